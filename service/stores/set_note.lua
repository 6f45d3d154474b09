-- Owns the note that instances leave for each other: a word never gives way to an earlier one, whoever was slow to tell it.
-- KEYS: the note; the order of its word. ARGV: the same of the note to leave.
-- Returns 1 when it was left, 0 when a later one is there.
local held = tonumber(redis.call('GET', KEYS[2]) or '0')
if tonumber(ARGV[2]) < held then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2])
return 1
