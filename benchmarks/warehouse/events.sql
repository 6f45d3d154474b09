-- Owns how a planned day becomes events, in the tables where events arrive: what fills `attempts` from there is the same
-- as in production. Receipts come in two inserts, the repeated (in other words, as a second source tells them) and contradicting
-- ones after the others.

INSERT INTO send_events
    (request_id, attempt, at, event_id, provider, carrier, country, region, app, purpose, template, category, cause,
     outcome, error_class, latency_ms, segments, phone_hash)
SELECT
    request_id, attempt, at, lower(hex(sipHash128(request_id, attempt, 'send'))), provider, carrier, country, region, app,
    purpose, template, category, cause, outcome,
    multiIf(outcome = 'rejected', 'throttled', outcome = 'failed', 'provider', outcome = 'unknown', 'timeout', ''),
    latency_ms, 1, phone_hash
FROM plan;

INSERT INTO receipt_events
    (request_id, attempt, at, provider_at, event_id, provider, carrier, status, error_class, raw_status, raw_code)
WITH
    arrayConcat(
        if(is_interim, [('pending', 0.5 * final_seconds)], []),
        if(final != '', [(toString(final), final_seconds)], [])) AS receipts
SELECT
    request_id, attempt, at + toIntervalMillisecond(toInt64(receipt.2 * 1000)), NULL,
    lower(hex(sipHash128(request_id, attempt, receipt.1))), provider,
    multiIf(NOT names_carrier, '', sipHash64(request_id) % 20 = 0, concat(substring(carrier, 1, length(carrier) - 1), '0'), carrier),
    receipt.1,
    if(receipt.1 = 'failed', ['handset', 'number', 'route', 'blocked'][sipHash64(request_id, 'class') % 4 + 1], ''),
    multiIf(receipt.1 = 'delivered', 'DELIVRD', receipt.1 = 'pending', 'ENROUTE', 'UNDELIV'),
    if(receipt.1 = 'failed', concat('MK:00', toString(10 + sipHash64(request_id, 'code') % 20)), '000')
FROM plan
ARRAY JOIN receipts AS receipt;

INSERT INTO receipt_events
    (request_id, attempt, at, provider_at, event_id, provider, carrier, status, error_class, raw_status, raw_code)
SELECT
    request_id, attempt, at + toIntervalMillisecond(toInt64((final_seconds + 30) * 1000)), NULL,
    lower(hex(sipHash128(request_id, attempt, 'again'))), provider, '',
    if(is_contradicted, 'failed', final),
    if(is_contradicted OR final = 'failed', 'route', ''),
    'UNDELIV', '000'
FROM plan
WHERE final != '' AND (is_repeated OR is_contradicted);

INSERT INTO verify_events
    (request_id, attempt, at, event_id, provider, country, app, purpose, template, check, result, source)
WITH
    if(is_wrong_first, [(1, 'wrong', 0), (2, 'approved', attempt)], [(1, 'approved', attempt)]) AS checks
SELECT
    request_id, told.3, at + toIntervalMillisecond(toInt64((fill_seconds + 5 * told.1) * 1000)),
    lower(hex(sipHash128(request_id, attempt, told.1, 'check'))), provider, country, app, purpose, template,
    told.1 + 2 * (attempt - 1), told.2, 'check'
FROM plan
ARRAY JOIN checks AS told
WHERE is_filled;
