-- Owns the counts by code: what providers answered when they refused, and what receipts said that failed, of all that arrived
-- in a window for attempts in a scope; the most frequent first, no more than `most`. The codes are the provider's own words;
-- the classes are ours (core/events.py). `{scope}` is put in by metrics/counts, from what it knows.

SELECT told.2 AS error_class, told.3 AS code, count() AS attempts
FROM
(
    SELECT
        -- an answer that refuses, or the first final receipt: never both
        multiIf(
            outcome != 'accepted', (cohort_at, toString(outcome_class), toString(outcome_code)),
            failed, (ifNull(failed_at, cohort_at), failure_class, failure_code),
            (toDateTime64(0, 3, 'UTC'), '', '')) AS told
    FROM attempts FINAL
    WHERE submitted
        AND request_minute GLOBAL IN (
            SELECT request_minute FROM arrivals
            WHERE seen_minute >= toStartOfMinute({start:DateTime64(3, 'UTC')}) AND seen_minute < {end:DateTime64(3, 'UTC')})
        {scope}
)
WHERE told.1 >= {start:DateTime64(3, 'UTC')} AND told.1 < {end:DateTime64(3, 'UTC')}
GROUP BY ALL
ORDER BY attempts DESC, error_class, code
LIMIT {most:UInt32}
