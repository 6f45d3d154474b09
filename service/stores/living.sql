-- Owns which verifications to these numbers may still be approved; the reader tells whose they are.
SELECT requests.phone_hash, requests.app, requests.purpose, requests.expires_at, requests.at, requests.id
FROM requests
LEFT JOIN approvals ON approvals.request_id = requests.id
WHERE requests.phone_hash IN :numbers
  AND requests.purpose IN :purposes
  AND requests.expires_at > :now
  AND approvals.request_id IS NULL
