-- Owns the writing of facts: each is one field of a hash, set once; all of a call are there, or none.
-- KEYS: for each fact its hash, and the sorted set that finds it ('-' where nothing has to).
-- ARGV: as MessagePack a list with, for each fact, field, value, life of the hash in seconds (0: for ever), score, member;
--       the life of the sets in seconds.
-- Returns for each fact 1 when it was not there before.

local function lengthen(key, seconds)
  -- A life is made longer, never shorter: a late fact with a short life must not end a living verification.
  if seconds > 0 and redis.call('TTL', key) < seconds then
    redis.call('EXPIRE', key, seconds)
  end
end

local new, set_life = {}, tonumber(ARGV[2])
for i, place in ipairs(cmsgpack.unpack(ARGV[1])) do
  local hash, set = KEYS[2 * i - 1], KEYS[2 * i]
  local field, value, life, score, member = unpack(place)
  new[i] = redis.call('HSETNX', hash, field, value)
  lengthen(hash, life)
  if set ~= '-' then
    redis.call('ZADD', set, string.format('%.0f', score), member)
    lengthen(set, set_life)
    -- Measured from the newest member, not from a clock: the scores are the service's microseconds.
    local newest = redis.call('ZRANGE', set, -1, -1, 'WITHSCORES')[2]
    redis.call('ZREMRANGEBYSCORE', set, '-inf', string.format('(%.0f', tonumber(newest) - set_life * 1000000))
  end
end
return new
