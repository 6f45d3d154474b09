-- Owns the counts by code: what providers answered when they refused, and what receipts said that failed, by leaf and by
-- minute of arrival. The codes are the provider's own words; the classes are ours (core/events.py).

SELECT
    toUnixTimestamp(toStartOfMinute(told.1)) AS seen_minute,
    toUnixTimestamp(toStartOfMinute(cohort_at)) AS cohort_minute,
    provider, carrier, country, region, app, template, purpose,
    told.2 AS stage, told.3 AS error_class, told.4 AS code,
    count() AS attempts
FROM
(
    SELECT
        cohort_at, provider, carrier, country, region, app, template, purpose,
        -- an answer that refuses, or the first final receipt: never both
        multiIf(
            outcome != 'accepted', (cohort_at, 'answer', toString(outcome_class), toString(outcome_code)),
            failed, (ifNull(failed_at, cohort_at), 'receipt', failure_class, failure_code),
            (toDateTime64(0, 3, 'UTC'), '', '', '')) AS told
    FROM attempts FINAL
    WHERE submitted AND request_minute GLOBAL IN (
        SELECT request_minute FROM arrivals
        WHERE seen_minute >= toStartOfMinute({start:DateTime64(3, 'UTC')}) AND seen_minute < {end:DateTime64(3, 'UTC')})
)
WHERE told.1 >= {start:DateTime64(3, 'UTC')} AND told.1 < {end:DateTime64(3, 'UTC')}
GROUP BY ALL
ORDER BY ALL
