-- Owns the beginning of a debt: a journal holds what the primary store does not have yet.
-- KEYS: the hash of journals. ARGV: the journal's name; the word on it.
-- Returns the server's time: who has heard later than that knows of it.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return redis.call('TIME')
