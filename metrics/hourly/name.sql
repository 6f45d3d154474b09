-- Owns how built hours are named: from here on the rows of this version are read. An hour without an attempt has none.

INSERT INTO rollup_built (hour, version, covers_until, on_time_seconds, attempts)
SELECT hour, {version:UInt64}, toDateTime64({covers_until:Float64}, 3, 'UTC'), {on_time_seconds:UInt32}, counted.attempts
FROM (SELECT arrayJoin({hours:Array(DateTime('UTC'))}) AS hour) AS named
LEFT JOIN
(
    SELECT hour, sum(submitted) AS attempts
    FROM rollup
    WHERE split = {split:String} AND hour IN {hours:Array(DateTime('UTC'))} AND version = {version:UInt64}
    GROUP BY hour
) AS counted USING (hour)
