-- Owns what could not be read: one row a message or a line, with the reason, so that it is counted and seen, and can
-- be tried again. `payload` is masked where it held what may be a number or a code; then `masked` is true.

CREATE TABLE IF NOT EXISTS dead_letters
(
    at       DateTime64(3, 'UTC')    COMMENT 'when ingest gave it up',
    source   LowCardinality(String)  COMMENT 'stream or file it came from',
    place    String                  COMMENT 'sequence number in the stream, or line in the file',
    reason   String,
    payload  String,
    masked   Bool,
    id       FixedString(32)         COMMENT 'digest of source, place and payload: a redelivery is the same letter'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (source, id)
TTL toDateTime(at) + toIntervalDay({retention_days});
