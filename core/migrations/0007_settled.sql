-- Owns what upkeep has done: the days of `attempts` that were merged into one part, and when; and how a message is found
-- by its recipient: a filter over the hashes of each few thousand sends, so that a trace reads those that may hold it.

CREATE TABLE IF NOT EXISTS settled_days
(
    day        Date                 COMMENT 'partition of attempts',
    settled_at DateTime('UTC')
)
ENGINE = ReplacingMergeTree(settled_at)
ORDER BY day
TTL day + toIntervalDay({retention_days});

ALTER TABLE send_events ADD INDEX IF NOT EXISTS by_phone phone_hash TYPE bloom_filter(0.001) GRANULARITY 1;
