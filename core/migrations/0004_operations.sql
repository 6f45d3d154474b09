-- Owns what the service tells of itself: every change of status of its parts, and how the API answered, minute by
-- minute. Not of the ten metrics, and joined with none of them. Read with FINAL where rows are counted.

CREATE TABLE IF NOT EXISTS status_events
(
    at        DateTime64(6, 'UTC')     COMMENT 'when the instance noticed, by its clock',
    event_id  FixedString(32),
    instance  FixedString(32)          COMMENT 'a process of the service; a restart is another one',
    component LowCardinality(String)   COMMENT 'the part whose status it is, such as store',
    old       LowCardinality(String),
    new       LowCardinality(String),
    reason    String                   COMMENT 'in words, without numbers and codes'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (component, at, event_id)
TTL toDateTime(at) + toIntervalDay({retention_days});

CREATE TABLE IF NOT EXISTS availability_minutes
(
    at       DateTime('UTC')           COMMENT 'the minute begins',
    event_id FixedString(32),
    instance FixedString(32),
    calls    UInt32                    COMMENT 'calls answered, probes and telemetry left out',
    failed   UInt32                    COMMENT 'of them with a status of 500 or more',
    shed     UInt32                    COMMENT 'of the failed those refused because too many waited'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (at, instance, event_id)
TTL at + toIntervalDay({retention_days});
