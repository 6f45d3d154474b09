-- Owns the taking of an Idempotency-Key: the first claim stays.
-- KEYS: the hash of the key.
-- ARGV: the claim as JSON, life in seconds.
-- Returns the claim that stands, and the answer to it (empty while there is none).

if redis.call('HSETNX', KEYS[1], 'idempotency_claim', ARGV[1]) == 1 then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return {redis.call('HGET', KEYS[1], 'idempotency_claim'), redis.call('HGET', KEYS[1], 'idempotency_answer') or ''}
