-- Owns the rollup for long windows: what the metrics count, by hour of submission and the dimensions asked for most.
--
-- `hourly` is only ever added to. Whoever builds an hour gives its rows a version of their own and then names that version
-- in `hourly_built`: a reader sees a whole hour or none, and two builders at once do no harm. Rows of a version that is
-- named no more are swept later.
--
-- `touched_hours` says when something was last inserted for the requests of an hour. An hour may be read from the rollup
-- while nothing came for it, or for the hours beside it (an attempt is submitted up to an hour from its request), after
-- `covers_until`; else it is read from `attempts`, so that both ways always say the same.

CREATE TABLE IF NOT EXISTS hourly
(
    hour            DateTime('UTC')        COMMENT 'of submission',
    provider        LowCardinality(String),
    carrier         LowCardinality(String),
    country         LowCardinality(String),
    purpose         LowCardinality(String),
    version         UInt64                 COMMENT 'of the build, see hourly_built',
    submitted       UInt64,
    accepted        UInt64,
    delivered       UInt64,
    final           UInt64                 COMMENT 'delivered or failed',
    not_the_handset UInt64                 COMMENT 'delivered, or failed for another reason than handset or number',
    accepted_codes  UInt64,
    filled_codes    UInt64,
    verifications   UInt64,
    approved        UInt64,
    asked_again     UInt64,
    on_time         UInt64                 COMMENT 'delivered within hourly_built.on_time_seconds',
    delivery        AggregateFunction(quantilesTDigest(0.5, 0.95), Nullable(Float64)) COMMENT 'seconds'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, provider, carrier, country, purpose)
TTL hour + toIntervalDay({retention_days});

CREATE TABLE IF NOT EXISTS hourly_built
(
    hour            DateTime('UTC'),
    version         UInt64               COMMENT 'milliseconds since 1970 and twenty random bits',
    covers_until    DateTime64(3, 'UTC') COMMENT 'every insert that began before this is in it',
    on_time_seconds UInt32
)
ENGINE = ReplacingMergeTree(version)
ORDER BY hour
TTL hour + toIntervalDay({retention_days});

CREATE TABLE IF NOT EXISTS touched_hours
(
    hour       DateTime('UTC') COMMENT 'of the request',
    touched_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'when the last insert for it began'
)
ENGINE = AggregatingMergeTree
ORDER BY hour
TTL hour + toIntervalDay({retention_days});

CREATE MATERIALIZED VIEW IF NOT EXISTS touched_hours_from_attempts TO touched_hours AS
SELECT toStartOfHour(request_minute) AS hour, now64(3, 'UTC') AS touched_at
FROM attempts
GROUP BY hour;

-- What is there already.
INSERT INTO touched_hours (hour, touched_at)
SELECT toStartOfHour(request_minute) AS hour, now64(3, 'UTC')
FROM attempts
GROUP BY hour;
