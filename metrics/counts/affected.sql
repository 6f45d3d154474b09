-- Owns how many people a fault touched: different numbers, by their hash, among the attempts of a scope and a window.
-- `{scope}` is put in by metrics/counts, from names it knows; values are bound.

SELECT uniqExactIf(phone_hash, phone_hash != '') + countIf(phone_hash = '') AS people
FROM attempts FINAL
WHERE submitted
    AND cohort_at >= {start:DateTime64(3, 'UTC')} AND cohort_at < {end:DateTime64(3, 'UTC')}
    AND request_minute >= {first_minute:DateTime('UTC')} AND request_minute <= {last_minute:DateTime('UTC')}
    {scope}
