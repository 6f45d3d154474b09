-- Owns what detection found: incidents as they stand, the notices of what became of them, and the evidence behind them.
-- Every write is an insert; the row with the highest `version` stands, so that writing the same minute again changes
-- nothing. Read with FINAL. Incidents are few and are kept: no TTL but on the evidence, which is a row a minute.

CREATE TABLE IF NOT EXISTS incidents
(
    id          String                   COMMENT 'made from what was first seen, where and when: the same data give the same id',
    version     UInt64                   COMMENT 'milliseconds since 1970 of the minute that was judged',
    state       LowCardinality(String)   COMMENT 'open or resolved',
    kind        LowCardinality(String)   COMMENT 'the name of the fault: metrics/detection/incidents.py',
    channel     LowCardinality(String)   COMMENT 'what moved',
    metric      LowCardinality(String)   COMMENT 'slug of the quality metric that shows it',
    scope       String                   COMMENT 'JSON: dimension to list of values; {} is everything',
    onset       DateTime64(3, 'UTC'),
    detected_at DateTime64(3, 'UTC'),
    updated_at  DateTime64(3, 'UTC'),
    resolved_at Nullable(DateTime64(3, 'UTC')),
    affected    UInt64                   COMMENT 'messages that fared worse than they would have, whole incident',
    lost        UInt64                   COMMENT 'of them, those that never got where they should',
    share       Nullable(Float64)        COMMENT 'of all that was lost everywhere in that time, the part in this scope',
    expected    Nullable(Float64)        COMMENT 'ratio on a good day; of a delay, the share within a minute',
    observed    Nullable(Float64)        COMMENT 'the same since the onset',
    n           UInt64                   COMMENT 'messages that `observed` is taken over',
    codes       String                   COMMENT 'JSON: [{code, error_class, share}] of what grew',
    normal      Array(String)            COMMENT 'what stayed normal, in words',
    confidence  Float64                  COMMENT 'natural logarithm of the odds that it is no chance',
    silenced    Bool                     COMMENT 'an operator''s silence or maintenance window covers it'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id;

CREATE TABLE IF NOT EXISTS incident_notifications
(
    at          DateTime64(3, 'UTC')     COMMENT 'the minute that was judged',
    incident_id String,
    event       LowCardinality(String)   COMMENT 'opened, updated, resolved or reopened',
    version     UInt64,
    incident    String                   COMMENT 'JSON: the incident as it was told'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (at, incident_id, event);

CREATE TABLE IF NOT EXISTS incident_evidence
(
    incident_id String,
    minute      DateTime('UTC'),
    version     UInt64,
    channel     LowCardinality(String),
    expected    Float64                  COMMENT 'what a good day would have brought in that minute',
    observed    Float64                  COMMENT 'what it brought',
    low         Float64                  COMMENT 'band in which 95 of 100 good minutes lie',
    high        Float64,
    n           UInt64                   COMMENT 'messages it is out of'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (incident_id, minute)
TTL minute + toIntervalDay({retention_days});

-- Where detection stands, so that a job that starts again knows which minutes were judged.
CREATE TABLE IF NOT EXISTS detection_progress
(
    name    LowCardinality(String),
    version UInt64,
    minute  DateTime('UTC') COMMENT 'the last minute judged',
    note    String          COMMENT 'JSON of the job'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY name;
