-- Owns `attempts`: one row an attempt, merged from its events by min and max alone, so that any order and any
-- repetition of the same events gives the same row. Read it with FINAL.
--
-- `request_minute` comes out of the UUIDv7, so an event of any kind finds its row without a look-up. An attempt is
-- submitted at or after that minute and at most an hour later (the longest lifetime of a verification): cohorts go by
-- `cohort_at`, windows on it are cut by `request_minute` with that hour to spare.
--
-- The attempt with number 1 stands for the verification: its approval and the first resend are noted there.
-- Separate columns rather than one tuple of the first final receipt: reading an element of a tuple under FINAL takes
-- the element before the rows are merged (seen with 26.9: the element of a merged row came back empty).

CREATE TABLE IF NOT EXISTS attempts
(
    request_minute   DateTime('UTC')          COMMENT 'minute of the UUIDv7',
    request_id       UUID,
    attempt          UInt8,

    provider         SimpleAggregateFunction(max, LowCardinality(String)),
    carrier_prefix   SimpleAggregateFunction(max, LowCardinality(String)) COMMENT 'by the prefix of the number',
    carrier_reported SimpleAggregateFunction(max, LowCardinality(String)) COMMENT 'by a receipt',
    country          SimpleAggregateFunction(max, LowCardinality(String)),
    region           SimpleAggregateFunction(max, LowCardinality(String)),
    app              SimpleAggregateFunction(max, LowCardinality(String)),
    purpose          SimpleAggregateFunction(max, LowCardinality(String)),
    template         SimpleAggregateFunction(max, LowCardinality(String)),
    category         SimpleAggregateFunction(max, LowCardinality(String)),
    cause            SimpleAggregateFunction(max, LowCardinality(String)),

    submitted_at     SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))),
    outcome          SimpleAggregateFunction(max, LowCardinality(String)),
    outcome_class    SimpleAggregateFunction(max, LowCardinality(String)),
    outcome_code     SimpleAggregateFunction(max, LowCardinality(String)),
    latency_ms       SimpleAggregateFunction(max, UInt32),
    segments         SimpleAggregateFunction(max, UInt8),
    phone_hash       SimpleAggregateFunction(max, String),

    receipt_at       SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))) COMMENT 'first receipt of any kind',
    delivered_at     SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))) COMMENT 'first receipt that says delivered',
    failed_at        SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))) COMMENT 'first receipt that says failed',
    failure          SimpleAggregateFunction(min, Nullable(String))
                     COMMENT 'of the first failed receipt: 23 characters of time, then class and code separated by a tab',

    filled_at        SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))) COMMENT 'its own code was entered',
    approved_at      SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))) COMMENT 'attempt 1 only: the verification was approved',
    resent_at        SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))) COMMENT 'attempt 1 only: the user asked again',

    -- What the metrics are written in. Of two final receipts the earlier counts, so a final state never goes back.
    cohort_at        DateTime64(3, 'UTC') ALIAS assumeNotNull(submitted_at),
    carrier          LowCardinality(String) ALIAS if(carrier_reported != '', carrier_reported, carrier_prefix),
    carrier_source   LowCardinality(String) ALIAS if(carrier_reported != '', 'receipt', 'prefix'),
    submitted        Bool ALIAS submitted_at IS NOT NULL AND outcome != 'refused',
    accepted         Bool ALIAS outcome = 'accepted',
    delivered        Bool ALIAS outcome = 'accepted' AND delivered_at IS NOT NULL AND (failed_at IS NULL OR delivered_at <= failed_at),
    failed           Bool ALIAS outcome = 'accepted' AND failed_at IS NOT NULL AND (delivered_at IS NULL OR failed_at < delivered_at),
    pending          Bool ALIAS outcome = 'accepted' AND delivered_at IS NULL AND failed_at IS NULL,
    failure_class    String ALIAS splitByChar('\t', ifNull(substring(failure, 24), ''))[1],
    failure_code     String ALIAS splitByChar('\t', ifNull(substring(failure, 24), ''))[2],
    delivery_seconds Nullable(Float64) ALIAS if(delivered, greatest(0, dateDiff('millisecond', submitted_at, delivered_at)) / 1000, NULL),
    is_code          Bool ALIAS category = 'code' AND submitted,
    is_verification  Bool ALIAS category = 'code' AND submitted AND attempt = 1
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(request_minute)
ORDER BY (request_minute, request_id, attempt)
TTL request_minute + toIntervalDay({retention_days});

CREATE MATERIALIZED VIEW IF NOT EXISTS attempts_from_send TO attempts AS
SELECT
    toStartOfMinute(UUIDv7ToDateTime(request_id, 'UTC')) AS request_minute,
    request_id, attempt,
    provider, carrier AS carrier_prefix, country, region, app, purpose, template, category, cause,
    at AS submitted_at, outcome, error_class AS outcome_class, error_code AS outcome_code,
    latency_ms, segments, phone_hash
FROM send_events;

-- A resend tells the verification's first attempt that the user asked again.
CREATE MATERIALIZED VIEW IF NOT EXISTS attempts_from_resend TO attempts AS
SELECT
    toStartOfMinute(UUIDv7ToDateTime(request_id, 'UTC')) AS request_minute,
    request_id, toUInt8(1) AS attempt,
    at AS resent_at
FROM send_events
WHERE cause = 'resend';

-- The provider is the one the attempt was submitted to: a receipt told under another name does not move it there.
CREATE MATERIALIZED VIEW IF NOT EXISTS attempts_from_receipt TO attempts AS
SELECT
    toStartOfMinute(UUIDv7ToDateTime(request_id, 'UTC')) AS request_minute,
    request_id, attempt,
    carrier AS carrier_reported,
    at AS receipt_at,
    if(status = 'delivered', at, NULL) AS delivered_at,
    if(status = 'failed', at, NULL) AS failed_at,
    if(status = 'failed', concat(toString(at), error_class, '\t', raw_code), NULL) AS failure
FROM receipt_events;

CREATE MATERIALIZED VIEW IF NOT EXISTS attempts_from_fill TO attempts AS
SELECT
    toStartOfMinute(UUIDv7ToDateTime(request_id, 'UTC')) AS request_minute,
    request_id, attempt,
    at AS filled_at
FROM verify_events
WHERE attempt > 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS attempts_from_approval TO attempts AS
SELECT
    toStartOfMinute(UUIDv7ToDateTime(request_id, 'UTC')) AS request_minute,
    request_id, toUInt8(1) AS attempt,
    at AS approved_at
FROM verify_events
WHERE result = 'approved';
