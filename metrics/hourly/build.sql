-- Owns how hours are built, in all splits at one reading of the attempts. `{counts}` are put in by metrics/hourly, from the
-- catalogue, so that rollup and attempts count by the same words; `{dimensions}` and `{sets}` are the splits.

INSERT INTO rollup (split, hour, {dimensions}, version, {names}, delivery)
SELECT
    transform(grouping({dimensions}), {masks:Array(UInt64)}, {splits:Array(String)}, ''),
    toStartOfHour(cohort_at) AS submitted_hour, {dimensions}, {version:UInt64},
    {counts},
    quantilesTDigestState(0.5, 0.95)(delivery_seconds)
FROM attempts FINAL
WHERE submitted
    AND toStartOfHour(cohort_at) IN {hours:Array(DateTime('UTC'))}
    AND request_minute >= {first_minute:DateTime('UTC')} AND request_minute <= {last_minute:DateTime('UTC')}
GROUP BY GROUPING SETS ({sets})
