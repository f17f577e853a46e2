-- One change of one key. Redis runs a script alone, so nothing comes between its look at the store and its change.
--
-- KEYS: the values (a hash), their names (a sorted set, for lists), their ends (a sorted set of microseconds), the bytes
--       of this app, the bytes of all apps of its tenant, and a place to add in.
-- ARGV: the operation, the key, the quota of the app, that of its tenant or '', and what the operation takes.
--
-- A value is stored behind a flag: 't' when it has an end, '-' when it has none. Scripts choose keys, and a key is never
-- part of a name in KEYS: it is a field of a hash, where no character means anything.
local VALUES, NAMES, ENDS, USED, SHARE, SCRATCH = unpack(KEYS)
local operation, key = ARGV[1], ARGV[2]
local quota, share = tonumber(ARGV[3]), tonumber(ARGV[4])

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function cost(name, length)
  return #name + length + 64
end

local function count(by)
  if by ~= 0 then
    redis.call('INCRBY', USED, by)
    redis.call('INCRBY', SHARE, by)
  end
end

local function drop(name)
  local length = redis.call('HSTRLEN', VALUES, name)
  redis.call('ZREM', ENDS, name)
  if length > 0 then
    redis.call('HDEL', VALUES, name)
    redis.call('ZREM', NAMES, name)
    count(-cost(name, length - 1))
  end
end

-- More than one change can add, so that ended values do not pile up.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', now, 'LIMIT', 0, 8)) do
  drop(name)
end

local stored, ends = redis.call('HGET', VALUES, key), nil
if stored and string.sub(stored, 1, 1) == 't' then
  ends = tonumber(redis.call('ZSCORE', ENDS, key) or '0')
  if ends <= now then
    drop(key)
    stored, ends = false, nil
  end
end
local present = stored and string.sub(stored, 2)

-- Puts a value, or says why there is no room for it.
local function put(value, lifetime, done)
  local before = stored and cost(key, #present) or 0
  local after = cost(key, #value)
  if tonumber(redis.call('GET', USED) or '0') - before + after > quota then
    return {'full'}
  end
  if share and after > before and tonumber(redis.call('GET', SHARE) or '0') + after - before > share then
    return {'shared'}
  end
  local at = ends
  if lifetime == 'forever' then
    at = nil
  elseif lifetime ~= 'keep' then
    at = now + tonumber(lifetime)
  end
  redis.call('HSET', VALUES, key, (at and 't' or '-') .. value)
  if not stored then
    redis.call('ZADD', NAMES, 0, key)
  end
  if at then
    redis.call('ZADD', ENDS, at, key)
  elseif ends then
    redis.call('ZREM', ENDS, key)
  end
  count(after - before)
  return done
end

-- The sum of two ints of 64 bits. Numbers of a script have 53, so larger ones are added by the server.
local function sum(start, by)
  if #start <= 15 and #by <= 15 then
    return string.format('%.0f', start + by)
  end
  redis.call('HSET', SCRATCH, 'n', start)
  local added = redis.pcall('HINCRBY', SCRATCH, 'n', by)
  local found = redis.call('HGET', SCRATCH, 'n')
  redis.call('DEL', SCRATCH)
  if type(added) == 'table' then
    return nil, string.find(added.err, 'overflow') and 'overflow' or 'no int'
  end
  return found
end

if operation == 'set' then
  return put(ARGV[5], ARGV[6], {'done'})
elseif operation == 'delete' then
  if not stored then
    return {'no'}
  end
  drop(key)
  return {'yes'}
elseif operation == 'swap' then
  local value, lifetime, kind, expected = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
  if kind == 'nothing' then
    if present and present ~= 'jnull' then
      return {'no'}
    end
  elseif not present then
    return {'no'}
  elseif present ~= expected then
    -- Only of JSON has one value several texts, and whoever asks compares them.
    local both = string.sub(present, 1, 1) == 'j' and string.sub(expected, 1, 1) == 'j'
    return both and {'compare', present} or {'no'}
  end
  return put(value, lifetime, {'yes'})
elseif operation == 'add' then
  local by, lifetime, start = ARGV[5], ARGV[6], '0'
  if present then
    start, lifetime = string.match(present, '^j(%-?%d+)$'), 'keep'
    if not start then
      return {'no int'}
    end
  end
  local total, why = sum(start, by)
  if not total then
    return {why}
  end
  return put('j' .. total, lifetime, {'sum', total})
end
return redis.error_reply('an operation that this script does not know')
