-- Owns the counts by lag: one row a (minute of arrival, minute of submission, leaf) in which anything arrived.
--
-- Each attempt is unfolded into the moments of its life that lie in the window: submission, first final receipt, fill,
-- first check. A later receipt of an attempt that had a final one already is no arrival.

SELECT
    toUnixTimestamp(toStartOfMinute(arrived.1)) AS seen_minute,
    toUnixTimestamp(toStartOfMinute(cohort_at)) AS cohort_minute,
    provider, carrier, country, region, app, template, purpose,
    sum(arrived.2) AS submitted,
    sum(arrived.3) AS accepted,
    sum(arrived.4) AS receipts,
    sum(arrived.5) AS delivered,
    sum(arrived.6) AS failed,
    sum(arrived.7) AS filled,
    sum(arrived.8) AS first_checks,
    sum(arrived.9) AS first_checks_right,
    sum(arrived.10) AS accepted_codes
FROM
(
    SELECT
        cohort_at, provider, carrier, country, region, app, template, purpose,
        arrayJoin(arrayFilter(
            moment -> moment.1 >= {start:DateTime64(3, 'UTC')} AND moment.1 < {end:DateTime64(3, 'UTC')},
            [
                (cohort_at, 1, is_accepted, 0, 0, 0, 0, 0, 0, is_accepted AND is_code_attempt),
                (ifNull(final_at, never), 0, 0, is_final, is_delivered, is_final AND NOT is_delivered, 0, 0, 0, 0),
                (ifNull(filled_at, never), 0, 0, 0, 0, 0, is_accepted AND is_code_attempt, 0, 0, 0),
                (ifNull(first_check_at, never), 0, 0, 0, 0, 0, 0, 1, first_check_right, 0)
            ])) AS arrived
    FROM
    (
        SELECT
            cohort_at, provider, carrier, country, region, app, template, purpose, filled_at, first_check_at, first_check_right,
            accepted AS is_accepted, is_code AS is_code_attempt, delivered AS is_delivered,
            if(accepted, if(delivered, delivered_at, failed_at), NULL) AS final_at,
            final_at IS NOT NULL AS is_final,
            toDateTime64(0, 3, 'UTC') AS never
        FROM attempts FINAL
        WHERE submitted AND request_minute GLOBAL IN (
            SELECT request_minute FROM arrivals
            WHERE seen_minute >= toStartOfMinute({start:DateTime64(3, 'UTC')}) AND seen_minute < {end:DateTime64(3, 'UTC')})
    )
)
GROUP BY ALL
HAVING submitted OR receipts OR filled OR first_checks
ORDER BY ALL
