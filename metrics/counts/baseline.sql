-- Owns what became of cohorts, as far as had arrived by `seen_until`, or within so many minutes of the minute of submission: one
-- row a (hour of submission, leaf), over the dimensions asked for. `{hour}`, `{dimensions}`, `{grouping}` and `{known_until}` are
-- put in by metrics/counts, from what it knows.

SELECT
    {hour}{dimensions}
    count() AS submitted,
    countIf(is_accepted) AS accepted,
    countIf(final_at < known_until) AS receipts,
    countIf(final_at < known_until AND is_delivered) AS delivered,
    countIf(final_at < known_until AND NOT is_delivered) AS failed,
    countIf(is_accepted AND is_code_attempt AND filled_at < known_until) AS filled,
    countIf(first_check_at < known_until) AS first_checks,
    countIf(first_check_at < known_until AND first_check_right) AS first_checks_right,
    countIf(is_accepted AND is_code_attempt) AS accepted_codes
FROM
(
    SELECT
        cohort_at, provider, carrier, country, region, app, purpose, template, filled_at, first_check_at, first_check_right,
        accepted AS is_accepted, delivered AS is_delivered, is_code AS is_code_attempt,
        if(accepted, if(delivered, delivered_at, failed_at), NULL) AS final_at,
        {known_until} AS known_until
    FROM attempts FINAL
    WHERE submitted
        AND cohort_at >= {start:DateTime64(3, 'UTC')} AND cohort_at < {end:DateTime64(3, 'UTC')}
        AND request_minute >= {first_minute:DateTime('UTC')} AND request_minute <= {last_minute:DateTime('UTC')}
)
{grouping}
