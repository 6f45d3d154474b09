-- Owns how hours are built. `{counts}` are put in by metrics/hourly, from the catalogue, so that rollup and attempts count
-- by the same words.

INSERT INTO hourly (hour, provider, carrier, country, purpose, version, {names}, delivery)
SELECT
    toStartOfHour(cohort_at), provider, carrier, country, purpose, {version:UInt64},
    {counts},
    quantilesTDigestState(0.5, 0.95)(delivery_seconds)
FROM attempts FINAL
WHERE submitted
    AND toStartOfHour(cohort_at) IN {hours:Array(DateTime('UTC'))}
    AND request_minute >= {first_minute:DateTime('UTC')} AND request_minute <= {last_minute:DateTime('UTC')}
GROUP BY 1, 2, 3, 4, 5
