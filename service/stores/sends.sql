-- Owns when somebody asked that these numbers be sent to, and what; oldest first.
SELECT attempts.phone_hash, attempts.category, attempts.at
FROM attempts
WHERE attempts.phone_hash IN :numbers
  AND attempts.at >= :since
  AND attempts.cause <> 'failover'
ORDER BY attempts.at
