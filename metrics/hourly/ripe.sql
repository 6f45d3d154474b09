-- Owns which hours the rollup should build now: over for `lasts` seconds, touched after they were built or not built yet,
-- and quiet for `quiet` seconds, since an hour that is still touched would be out of date at once.

SELECT toUnixTimestamp(hour), toUnixTimestamp64Milli(now64(3, 'UTC'))
FROM
(
    SELECT arrayJoin([hour - 3600, hour, hour + 3600]) AS hour, max(touched_at) AS touched_at
    FROM touched_hours
    GROUP BY hour
) AS touched
LEFT JOIN (SELECT hour, covers_until, on_time_seconds FROM rollup_built FINAL) AS built USING (hour)
WHERE hour + 3600 + {lasts:UInt32} <= now()
    AND touched.touched_at + toIntervalSecond({quiet:UInt32}) <= now64(3, 'UTC')
    AND (built.covers_until <= touched.touched_at OR built.on_time_seconds != {on_time_seconds:UInt32})
ORDER BY hour DESC
LIMIT {hours_max:UInt32}
