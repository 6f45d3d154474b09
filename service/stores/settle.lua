-- Owns the end of a debt: a journal was drained, and those that were long ago are forgotten.
-- KEYS: the hash of journals. ARGV: the journal's name, now and the oldest time that is kept, in seconds since 1970.
-- One that is owed says so, a settled one has the seconds and stays for a while: one that is missing was lost with the
-- server's data.

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local settled = tonumber(redis.call('HGET', KEYS[1], name))
  if settled and settled < tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], name)
  end
end
return 1
