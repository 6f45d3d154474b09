-- Owns what detection asks for: the first check of a verification, and which minutes of requests an arriving event touched.
--
-- Detection counts what arrived in a minute by the minute of its submission. Facts lie with their attempt, by the minute
-- of the request; `arrivals` says which of those minutes anything arrived for, so that the last minute is counted without
-- reading the three days from which a receipt may still come. It is fed by what is inserted into `attempts`, after the
-- views of 0002 and of this file, and holds a row a pair of minutes, not a row an event.

ALTER TABLE attempts ADD COLUMN IF NOT EXISTS
    first_check_at SimpleAggregateFunction(min, Nullable(DateTime64(3, 'UTC'))) COMMENT 'attempt 1 only: a code was entered first';

ALTER TABLE attempts ADD COLUMN IF NOT EXISTS
    first_check_right SimpleAggregateFunction(max, Bool) COMMENT 'attempt 1 only: that check approved';

CREATE MATERIALIZED VIEW IF NOT EXISTS attempts_from_first_check TO attempts AS
SELECT
    toStartOfMinute(UUIDv7ToDateTime(request_id, 'UTC')) AS request_minute,
    request_id, toUInt8(1) AS attempt,
    at AS first_check_at,
    result = 'approved' AS first_check_right
FROM verify_events
WHERE check = 1 AND source = 'check';

CREATE TABLE IF NOT EXISTS arrivals
(
    seen_minute    DateTime('UTC') COMMENT 'minute in which something arrived, by our clock',
    request_minute DateTime('UTC') COMMENT 'minute of the UUIDv7 of the request it arrived for'
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(seen_minute)
ORDER BY (seen_minute, request_minute)
TTL seen_minute + toIntervalDay({retention_days});

CREATE MATERIALIZED VIEW IF NOT EXISTS arrivals_from_attempts TO arrivals AS
SELECT
    toStartOfMinute(assumeNotNull(coalesce(submitted_at, delivered_at, failed_at, filled_at, first_check_at))) AS seen_minute,
    request_minute
FROM attempts
WHERE coalesce(submitted_at, delivered_at, failed_at, filled_at, first_check_at) IS NOT NULL
GROUP BY seen_minute, request_minute;

-- What is there already.
INSERT INTO attempts (request_minute, request_id, attempt, first_check_at, first_check_right)
SELECT toStartOfMinute(UUIDv7ToDateTime(request_id, 'UTC')), request_id, 1, at, result = 'approved'
FROM verify_events
WHERE check = 1 AND source = 'check';

INSERT INTO arrivals (seen_minute, request_minute)
SELECT DISTINCT toStartOfMinute(assumeNotNull(moment)), request_minute
FROM attempts
ARRAY JOIN [submitted_at, delivered_at, failed_at, filled_at] AS moment
WHERE moment IS NOT NULL;
