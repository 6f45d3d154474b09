-- Owns the counting of checks: counts one, and approves where it is right, in one step nobody can come between.
-- KEYS: the hash of the request, the string that keeps the answer to this call.
-- ARGV: most checks, what the check would be ('approved', 'wrong', 'expired'), the check as JSON with number 0,
--       the approval as JSON with number 0 (empty unless approved), life in seconds of a hash that had none, of the answer.
-- Returns the number of the check (0: not counted), its result, and how many are left; the same when it is asked again.

local given = redis.call('GET', KEYS[2])
if given then
  return cjson.decode(given)
end

local checks_max, result, check, approval, life = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local counted, last, approved = 0, 0, false
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local number = string.match(field, '^check:(%d+)$')
  if number then
    counted = counted + 1
    last = math.max(last, tonumber(number))
  elseif field == 'approval' then
    approved = true
  end
end

local left = math.max(checks_max - counted, 0)
if approved then
  return {0, 'already_approved', left}
end
if left == 0 then
  return {0, 'too_many', 0}
end

local number = last + 1
local numbered = '"check":' .. number
redis.call('HSET', KEYS[1], 'check:' .. number, (string.gsub(check, '"check":0', numbered, 1)))
if approval ~= '' then
  redis.call('HSET', KEYS[1], 'approval', (string.gsub(approval, '"check":0', numbered, 1)))
end
if redis.call('TTL', KEYS[1]) < 0 then
  redis.call('EXPIRE', KEYS[1], life)
end
local answer = {number, result, left - 1}
redis.call('SET', KEYS[2], cjson.encode(answer), 'EX', tonumber(ARGV[6]))
return answer
