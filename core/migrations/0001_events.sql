-- Owns the raw events: what was told, as it was told, one table a kind, never changed.
-- The queue may deliver an event twice. Rows of one event are identical and share the sorting key, so
-- ReplacingMergeTree folds them; read with FINAL where they are counted.
-- `{retention_days}` comes from [warehouse] in the settings.

CREATE TABLE IF NOT EXISTS send_events
(
    request_id  UUID                     COMMENT 'UUIDv7: carries the time the request was accepted',
    attempt     UInt8                    COMMENT '1, 2, 3 ... within the request',
    at          DateTime64(3, 'UTC')     COMMENT 'moment of submission to the provider, by our clock',
    event_id    FixedString(32)          COMMENT 'digest of the natural key',
    provider    LowCardinality(String),
    carrier     LowCardinality(String)   COMMENT 'by the prefix of the number; numbers are ported',
    country     LowCardinality(String)   COMMENT 'ISO 3166-1 alpha-2',
    region      LowCardinality(String),
    app         LowCardinality(String)   COMMENT 'the sender: the app of its API key',
    purpose     LowCardinality(String),
    template    LowCardinality(String),
    category    LowCardinality(String)   COMMENT 'code, notification or marketing',
    cause       LowCardinality(String)   COMMENT 'first, failover or resend',
    outcome     LowCardinality(String)   COMMENT 'accepted, rejected, failed, unknown (timed out) or refused (by us, never submitted)',
    error_class LowCardinality(String)   COMMENT 'our vocabulary, core/events.py',
    error_code  LowCardinality(String)   COMMENT 'in the words of the provider',
    latency_ms  UInt32                   COMMENT 'the time the provider took to answer',
    segments    UInt8                    COMMENT 'parts the text was sent in',
    phone_hash  String                   COMMENT 'keyed hash of the number, 32 hex digits'
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(at)
ORDER BY (request_id, attempt, event_id)
TTL toDateTime(at) + toIntervalDay({retention_days});

CREATE TABLE IF NOT EXISTS receipt_events
(
    request_id  UUID,
    attempt     UInt8,
    at          DateTime64(3, 'UTC')           COMMENT 'when it reached us, by our clock',
    provider_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when the provider says it happened',
    event_id    FixedString(32),
    provider    LowCardinality(String),
    carrier     LowCardinality(String)         COMMENT 'only where the receipt names it',
    country     LowCardinality(String),
    region      LowCardinality(String),
    app         LowCardinality(String),
    purpose     LowCardinality(String),
    template    LowCardinality(String),
    status      LowCardinality(String)         COMMENT 'delivered, failed or pending; pending is an interim receipt',
    error_class LowCardinality(String),
    raw_status  LowCardinality(String)         COMMENT 'in the words of the provider',
    raw_code    LowCardinality(String)
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(at)
ORDER BY (request_id, attempt, event_id)
TTL toDateTime(at) + toIntervalDay({retention_days});

CREATE TABLE IF NOT EXISTS verify_events
(
    request_id UUID,
    attempt    UInt8                    COMMENT 'the attempt whose own code was entered; 0 when it was nobody''s',
    at         DateTime64(3, 'UTC'),
    event_id   FixedString(32),
    provider   LowCardinality(String),
    carrier    LowCardinality(String),
    country    LowCardinality(String),
    region     LowCardinality(String),
    app        LowCardinality(String),
    purpose    LowCardinality(String),
    template   LowCardinality(String),
    check      UInt16                   COMMENT '1, 2, 3 ... within the verification',
    result     LowCardinality(String)   COMMENT 'approved, wrong, expired, too_many or already_approved',
    source     LowCardinality(String)   COMMENT 'check, or conversion when the sender made the code'
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(at)
ORDER BY (request_id, attempt, event_id)
TTL toDateTime(at) + toIntervalDay({retention_days});

CREATE TABLE IF NOT EXISTS inbound_events
(
    at           DateTime64(3, 'UTC'),
    event_id     FixedString(32),
    provider     LowCardinality(String),
    carrier      LowCardinality(String),
    country      LowCardinality(String),
    region       LowCardinality(String),
    app          LowCardinality(String),
    purpose      LowCardinality(String),
    template     LowCardinality(String),
    message_hash FixedString(32)          COMMENT 'of the id the provider gave the message',
    phone_hash   String,
    keyword      LowCardinality(String)   COMMENT 'stop, start, help or other; the text itself stays out'
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(at)
ORDER BY (provider, event_id)
TTL toDateTime(at) + toIntervalDay({retention_days});
