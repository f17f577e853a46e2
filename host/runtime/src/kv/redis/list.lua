-- A page of keys. KEYS: the names, the ends. ARGV: where it begins and ends, most keys that are looked at.
-- Answers the last key that was looked at, or '' when there are no more, and then the keys that have not ended.
local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local found = {#names == tonumber(ARGV[3]) and names[#names] or ''}
local ended = redis.call('ZCOUNT', KEYS[2], '-inf', now) > 0
for _, name in ipairs(names) do
  local ends = ended and redis.call('ZSCORE', KEYS[2], name)
  if not ends or tonumber(ends) > now then
    found[#found + 1] = name
  end
end
return found
