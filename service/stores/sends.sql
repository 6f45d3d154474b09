-- Owns when these numbers were sent to, and what; oldest first.
SELECT attempts.phone_hash, attempts.category, attempts.at
FROM attempts
WHERE attempts.phone_hash IN :numbers
  AND attempts.at >= :since
ORDER BY attempts.at
