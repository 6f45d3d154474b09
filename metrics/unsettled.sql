-- Owns which days of `attempts` should be merged into one part: those before `before`, in more than one part,
-- never settled or grown by over a hundredth since. The oldest first.

SELECT parts.day
FROM
(
    SELECT toDate(partition) AS day, count() AS parts, sum(rows) AS all_rows, max(rows) AS largest
    FROM {parts}
    WHERE active AND database = currentDatabase() AND table = '{attempts}'
    GROUP BY day
) AS parts
LEFT JOIN (SELECT day, max(settled_at) AS settled_at FROM settled_days GROUP BY day) AS settled USING (day)
WHERE parts.parts > 1
    AND parts.day < {before:Date}
    AND (toUnixTimestamp(settled.settled_at) = 0 OR (all_rows - largest) * 100 > all_rows)
ORDER BY parts.day
