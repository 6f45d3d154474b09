-- Owns the made-up past: one row an attempt with all that will happen to it, drawn from hashes of its number, so that
-- the same numbers give the same past. `{first}` to `{last}` are the attempts of one day, `{midnight}` is its beginning.
--
-- Ninety of a hundred numbers are first attempts; the other ten are second attempts, seven asked for by the user and
-- three failovers, of the request ninety numbers before. What belongs to a request hangs on `r`, what belongs to an
-- attempt on `n`.

INSERT INTO plan
WITH
    numbers.number AS n,
    n % 100 >= 90 AS is_second,
    toUInt64(if(is_second, n - 90, toInt64(n))) AS r, -- of one type: hashes of different types differ
    (salt, x) -> (sipHash64(x, salt) / 18446744073709551616.) AS u,
    -- two busy times a day, a quiet night
    u('time', r) AS t,
    86400 * (t + 0.09 * sin(6.283185307 * t) / 6.283185307 * 5 - 0.06 * sin(12.566370614 * t) / 12.566370614 * 2) AS second_of_day,
    {midnight} * 1000 + toUInt64(greatest(0, least(86399.9, second_of_day)) * 1000) AS request_ms,
    u('area', r) AS a,
    toUInt8(floor(12 * pow(a, 2.2))) AS country_number,
    toUInt8(floor(3 * pow(u('carrier', r), 1.6))) AS carrier_number,
    toUInt8(floor(12 * pow(u('provider', n), 1.8))) AS provider_number,
    u('category', r) AS c,
    u('outcome', n) AS o,
    u('fate', n) AS f,
    -- Box and Muller; medians of 3 to 8 seconds by provider, and one in a hundred is late by up to three days
    sqrt(-2 * log(u('normal', n) + 1e-12)) * cos(6.283185307 * u('angle', n)) AS z,
    if(u('late', n) < 0.01, 600 + 258600 * pow(u('how late', n), 3), (3 + provider_number * 0.4) * exp(0.75 * z)) AS delay,
    if(is_second, if(n % 100 < 97, 40 + 140 * u('again', n), 3.), 0.05) AS waits
SELECT
    toUUID(concat(
        lower(hex(toUInt64(bitShiftLeft(request_ms, 16) + 0x7000 + sipHash64(r, 'a') % 4096))),
        lower(hex(toUInt64(bitOr(toUInt64(0x8000000000000000), bitShiftRight(sipHash64(r, 'b'), 2))))))) AS request_id,
    toUInt8(1 + is_second) AS attempt,
    fromUnixTimestamp64Milli(toInt64(request_ms + toUInt64(waits * 1000)), 'UTC') AS at,
    concat('provider-', toString(provider_number)) AS provider,
    concat('carrier-', toString(country_number), '-', toString(carrier_number)) AS carrier,
    ['CN', 'US', 'IN', 'BR', 'DE', 'GB', 'FR', 'ID', 'JP', 'MX', 'ES', 'NG'][country_number + 1] AS country,
    concat(country, '-', toString(toUInt8(floor(8 * pow(u('region', r), 1.5))))) AS region,
    concat('app-', toString(toUInt8(floor(4 * pow(u('app', r), 2))))) AS app,
    multiIf(u('purpose', r) < 0.7, 'login', u('purpose', r) < 0.9, 'signup', 'payment') AS purpose,
    concat('template-', toString(toUInt8(floor(8 * pow(u('template', r), 2))))) AS template,
    multiIf(c < 0.9, 'code', c < 0.98, 'notification', 'marketing') AS category,
    multiIf(NOT is_second, 'first', n % 100 < 97, 'resend', 'failover') AS cause,
    multiIf(o < 0.96, 'accepted', o < 0.98, 'rejected', o < 0.99, 'failed', o < 0.997, 'unknown', 'refused') AS outcome,
    toUInt32(40 + 400 * pow(u('latency', n), 3)) AS latency_ms,
    lower(hex(sipHash128(toUInt64(12000000 * u('phone', r))))) AS phone_hash,
    multiIf(outcome != 'accepted', '', f < 0.94, 'delivered', f < 0.975, 'failed', '') AS final,
    delay AS final_seconds,
    u('interim', n) < 0.05 AS is_interim,
    u('repeated', n) < 0.03 AS is_repeated,
    u('contradicted', n) < 0.002 AS is_contradicted,
    u('names carrier', n) < 0.3 AS names_carrier,
    category = 'code' AND final = 'delivered' AND delay < 1800 AND u('filled', n) < 0.8 AS is_filled,
    u('wrong', r) < 0.06 AS is_wrong_first,
    delay + 4 + 20 * pow(u('reads', r), 2) AS fill_seconds
FROM numbers({first}, {count}) AS numbers
