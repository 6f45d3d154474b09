-- Owns what was counted for these requests, and who is approved; it locks their rows, in the order of their ids, so that
-- no other instance counts meanwhile. A request without checks has one row.
SELECT requests.id, checks.`check`, approvals.request_id
FROM requests
LEFT JOIN checks ON checks.request_id = requests.id
LEFT JOIN approvals ON approvals.request_id = requests.id
WHERE requests.id IN :ids
ORDER BY requests.id
FOR UPDATE
