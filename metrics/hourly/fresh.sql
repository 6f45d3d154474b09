-- Owns which hours may be read from the rollup: those for which nothing was inserted since they were built.

SELECT toUnixTimestamp(hour), version, attempts
FROM (SELECT hour, version, covers_until, on_time_seconds, attempts FROM rollup_built FINAL) AS built
LEFT JOIN
(
    SELECT arrayJoin([hour - 3600, hour, hour + 3600]) AS hour, max(touched_at) AS touched_at
    FROM touched_hours
    GROUP BY hour
) AS touched USING (hour)
WHERE hour >= {start:DateTime64(3, 'UTC')} AND hour + 3600 <= {end:DateTime64(3, 'UTC')}
    AND built.covers_until > touched.touched_at
    AND (on_time_seconds = {on_time_seconds:UInt32} OR {on_time_seconds:UInt32} = 0)
ORDER BY hour
