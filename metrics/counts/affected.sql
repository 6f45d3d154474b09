-- Owns how many people a fault touched: the attempts of a scope and a window, those of them that fared badly as far as was
-- known by `seen_until`, and the different numbers among these, by their hash. `{badly}` and `{scope}` are put in by
-- metrics/counts, from what it knows.

SELECT count() AS attempts, countIf(badly) AS harmed, uniqExactIf(hash, badly AND hash != '') + countIf(badly AND hash = '') AS people
FROM
(
    SELECT hash, {badly} AS badly
    FROM
    (
        SELECT
            cohort_at, phone_hash AS hash, accepted AS is_accepted, delivered AS is_delivered, is_code AS is_code_attempt,
            filled_at, first_check_at, first_check_right,
            if(accepted, if(delivered, delivered_at, failed_at), NULL) AS final_at,
            ifNull(final_at < {seen_until:DateTime64(3, 'UTC')}, false) AS is_final
        FROM attempts FINAL
        WHERE submitted
            AND cohort_at >= {start:DateTime64(3, 'UTC')} AND cohort_at < {end:DateTime64(3, 'UTC')}
            AND request_minute >= {first_minute:DateTime('UTC')} AND request_minute <= {last_minute:DateTime('UTC')}
            {scope}
    )
)
