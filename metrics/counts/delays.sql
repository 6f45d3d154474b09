-- Owns the distribution of delays: how many of the receipts, deliveries and fills of the cohorts of [start, end) came in
-- which minute after the minute of submission, as far as had arrived by `seen_until`.
-- `{dimensions}` are put in by metrics/counts, from names it knows.

SELECT
    {dimensions}
    lag_minutes,
    countIf(fact = 'receipt') AS receipts,
    countIf(fact = 'receipt' AND delivered) AS delivered,
    countIf(fact = 'fill') AS filled
FROM
(
    SELECT
        provider, carrier, country, region, app, purpose, template, is_delivered AS delivered,
        arrayJoin(arrayFilter(
            told -> told.2 IS NOT NULL AND told.2 < {seen_until:DateTime64(3, 'UTC')},
            [('receipt', final_at), ('fill', if(is_code_attempt, filled_at, NULL))])) AS told,
        told.1 AS fact,
        dateDiff('minute', toStartOfMinute(cohort_at), toStartOfMinute(assumeNotNull(told.2))) AS lag_minutes
    FROM
    (
        SELECT
            cohort_at, provider, carrier, country, region, app, purpose, template, filled_at,
            delivered AS is_delivered, is_code AS is_code_attempt,
            if(delivered, delivered_at, failed_at) AS final_at
        FROM attempts FINAL
        WHERE accepted
            AND cohort_at >= {start:DateTime64(3, 'UTC')} AND cohort_at < {end:DateTime64(3, 'UTC')}
            AND request_minute >= {first_minute:DateTime('UTC')} AND request_minute <= {last_minute:DateTime('UTC')}
    )
)
GROUP BY ALL
ORDER BY ALL
