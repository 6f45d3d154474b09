-- Owns what instances hear of each other, in one look: whose journals are owed, and up to when each of them has heard.
-- An instance says up to when it got an answer, not that it asked: what was sent to it may have been lost.
-- KEYS: the hash of journals; the hash of hearers. ARGV: the name of who asks; up to when it has heard, in microseconds of
-- this server's time, 0 for never; after how many seconds of silence a hearer is forgotten.
-- Returns the time, and both hashes.
local now = redis.call('TIME')
if ARGV[2] ~= '0' then
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
local oldest = (tonumber(now[1]) - tonumber(ARGV[3])) * 1000000
local hearers = redis.call('HGETALL', KEYS[2])
for at = 1, #hearers, 2 do
    if tonumber(hearers[at + 1]) < oldest then
        redis.call('HDEL', KEYS[2], hearers[at])
    end
end
return { now, redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]) }
