-- Owns the rollup for long windows: what the metrics count, by hour of submission, split by the dimensions asked for most.
-- It takes the place of `hourly` (0006), which was split in one way only; the scheduler fills it anew.
--
-- `split` names the dimensions that a row is counted by; the others are empty in it, and every split counts everything once.
-- A question is answered out of the smallest split that has its dimensions: a month by country then reads twelve rows an
-- hour and not a thousand.
--
-- `rollup` is only ever added to. Whoever builds an hour gives its rows a version of their own and then names that version
-- in `rollup_built`: a reader sees a whole hour or none, and two builders at once do no harm. Rows of a version that is
-- named no more are swept later. Which hours may be read, `touched_hours` says, as in 0006.

CREATE TABLE IF NOT EXISTS rollup
(
    split           LowCardinality(String) COMMENT 'names of dimensions, separated by commas: metrics/hourly',
    hour            DateTime('UTC')        COMMENT 'of submission',
    provider        LowCardinality(String),
    carrier         LowCardinality(String),
    country         LowCardinality(String),
    region          LowCardinality(String),
    app             LowCardinality(String),
    purpose         LowCardinality(String),
    template        LowCardinality(String),
    version         UInt64                 COMMENT 'of the build, see rollup_built',
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
    on_time         UInt64                 COMMENT 'delivered within rollup_built.on_time_seconds',
    delivery        AggregateFunction(quantilesTDigest(0.5, 0.95), Nullable(Float64)) COMMENT 'seconds'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (split, hour, provider, carrier, country, region, app, purpose, template)
TTL hour + toIntervalDay({retention_days});

CREATE TABLE IF NOT EXISTS rollup_built
(
    hour            DateTime('UTC'),
    version         UInt64               COMMENT 'milliseconds since 1970 and twenty random bits',
    covers_until    DateTime64(3, 'UTC') COMMENT 'every insert that began before this is in it',
    on_time_seconds UInt32,
    attempts        UInt64               COMMENT 'submitted in the hour'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY hour
TTL hour + toIntervalDay({retention_days});

DROP TABLE IF EXISTS hourly;

DROP TABLE IF EXISTS hourly_built;
