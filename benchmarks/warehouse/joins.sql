-- Owns the rivals: the same questions asked of the raw events, as an analyst would write them. Sends and receipts may be
-- there twice, so sends are read with FINAL and receipts grouped; the first final receipt counts, and any receipt may name
-- the carrier. `{keys}` are put in by questions.py: what the ten metrics are split by.

-- name: five_minutes
WITH receipts AS
(
    SELECT request_id, attempt, argMinIf(e.status, e.at, e.status != 'pending') AS status, max(e.carrier) AS carrier
    FROM receipt_events AS e
    WHERE e.at >= {start:DateTime('UTC')}
    GROUP BY request_id, attempt
)
SELECT
    toStartOfInterval(s.at, INTERVAL 5 MINUTE) AS bucket, if(r.carrier != '', r.carrier, s.carrier) AS carrier,
    countIf(r.status = 'delivered') / count() AS delivery_rate, count() AS n
FROM send_events AS s FINAL
LEFT JOIN receipts AS r USING (request_id, attempt)
WHERE s.at >= {start:DateTime('UTC')} AND s.at < {end:DateTime('UTC')} AND s.outcome = 'accepted'
GROUP BY bucket, carrier
ORDER BY bucket, carrier;

-- name: all_ten
WITH
    receipts AS
    (
        SELECT
            request_id, attempt, argMinIf(e.status, e.at, e.status != 'pending') AS status,
            argMinIf(e.error_class, e.at, e.status != 'pending') AS error_class,
            minIf(e.at, e.status != 'pending') AS at,
            max(e.carrier) AS carrier
        FROM receipt_events AS e
        WHERE e.at >= {start:DateTime('UTC')}
        GROUP BY request_id, attempt
    ),
    fills AS
    (
        SELECT request_id, attempt, min(e.at) AS at FROM verify_events AS e
        WHERE attempt > 0 AND e.at >= {start:DateTime('UTC')}
        GROUP BY request_id, attempt
    ),
    approvals AS
    (
        SELECT request_id, min(e.at) AS at FROM verify_events AS e
        WHERE result = 'approved' AND e.at >= {start:DateTime('UTC')}
        GROUP BY request_id
    ),
    resends AS
    (
        SELECT request_id, min(e.at) AS at FROM send_events AS e
        WHERE cause = 'resend' AND e.at >= {start:DateTime('UTC')}
        GROUP BY request_id
    )
SELECT
    {keys},
    countIf(s.outcome = 'accepted') / count() AS third_party_success_rate,
    countIf(s.outcome = 'accepted' AND r.status != '') / countIf(s.outcome = 'accepted') AS receipt_rate,
    countIf(s.outcome = 'accepted' AND r.status = 'delivered') / countIf(s.outcome = 'accepted') AS delivery_rate,
    countIf(s.outcome = 'accepted' AND r.status = 'delivered') / countIf(s.outcome = 'accepted' AND r.status != '') AS receipt_success_rate,
    countIf(s.outcome = 'accepted' AND r.status = 'delivered')
        / countIf(s.outcome = 'accepted' AND (r.status = 'delivered' OR (r.status = 'failed' AND r.error_class NOT IN ('handset', 'number')))) AS effective_success_rate,
    countIf(s.outcome = 'accepted' AND s.category = 'code' AND toUnixTimestamp(f.at) > 0) / countIf(s.outcome = 'accepted' AND s.category = 'code') AS fill_rate,
    countIf(s.attempt = 1 AND s.category = 'code' AND toUnixTimestamp(a.at) > 0) / countIf(s.attempt = 1 AND s.category = 'code') AS verification_success_rate,
    quantileExactInclusiveIf(0.5)(dateDiff('millisecond', s.at, r.at) / 1000, s.outcome = 'accepted' AND r.status = 'delivered') AS delivery_time,
    quantileExactInclusiveIf(0.95)(dateDiff('millisecond', s.at, r.at) / 1000, s.outcome = 'accepted' AND r.status = 'delivered') AS delivery_time_p95,
    countIf(s.outcome = 'accepted' AND r.status = 'delivered' AND dateDiff('millisecond', s.at, r.at) <= 60000)
        / countIf(s.outcome = 'accepted' AND (r.status != '' OR s.at < {end:DateTime('UTC')} - 60)) AS on_time_rate,
    countIf(s.attempt = 1 AND s.category = 'code' AND toUnixTimestamp(d.at) > 0 AND (toUnixTimestamp(a.at) = 0 OR d.at < a.at))
        / countIf(s.attempt = 1 AND s.category = 'code') AS resend_rate
FROM send_events AS s FINAL
LEFT JOIN receipts AS r USING (request_id, attempt)
LEFT JOIN fills AS f USING (request_id, attempt)
LEFT JOIN approvals AS a ON s.request_id = a.request_id
LEFT JOIN resends AS d ON s.request_id = d.request_id
WHERE s.at >= {start:DateTime('UTC')} AND s.at < {end:DateTime('UTC')} AND s.outcome != 'refused'
GROUP BY ALL
ORDER BY ALL;

-- name: month
WITH receipts AS
(
    SELECT request_id, attempt, argMin(e.status, e.at) AS status
    FROM receipt_events AS e
    WHERE e.status != 'pending' AND e.at >= {start:DateTime('UTC')}
    GROUP BY request_id, attempt
)
SELECT
    toDate(s.at) AS bucket, s.country AS country,
    countIf(r.status = 'delivered') / count() AS delivery_rate, count() AS n
FROM send_events AS s FINAL
LEFT JOIN receipts AS r USING (request_id, attempt)
WHERE s.at >= {start:DateTime('UTC')} AND s.at < {end:DateTime('UTC')} AND s.outcome = 'accepted'
GROUP BY bucket, country
ORDER BY bucket, country;

-- name: week
WITH receipts AS
(
    SELECT request_id, attempt, argMin(e.status, e.at) AS status, min(e.at) AS at
    FROM receipt_events AS e
    WHERE e.status != 'pending' AND e.at >= {start:DateTime('UTC')}
    GROUP BY request_id, attempt
)
SELECT
    s.provider AS provider,
    quantileExactInclusive(0.5)(dateDiff('millisecond', s.at, r.at) / 1000) AS delivery_time,
    quantileExactInclusive(0.95)(dateDiff('millisecond', s.at, r.at) / 1000) AS delivery_time_p95
FROM send_events AS s FINAL
JOIN receipts AS r USING (request_id, attempt)
WHERE s.at >= {start:DateTime('UTC')} AND s.at < {end:DateTime('UTC')} AND s.outcome = 'accepted' AND r.status = 'delivered'
GROUP BY provider
ORDER BY provider;
