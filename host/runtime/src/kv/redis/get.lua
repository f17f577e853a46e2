-- A value that may have ended. KEYS: the values, their ends. ARGV: the key.
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and string.sub(stored, 1, 1) == 't' then
  local time = redis.call('TIME')
  if tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0') <= time[1] * 1000000 + time[2] then
    return false
  end
end
return stored
