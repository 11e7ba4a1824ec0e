-- Before the first write: a script is not rolled back, so whatever could refuse a later write is asked about now.
local function refusal(writes)
  for _, write in ipairs(writes) do
    local kind = redis.call('TYPE', write.key).ok
    if kind ~= 'none' and kind ~= write.kind then
      return 'WRONGTYPE ' .. write.key .. ' is a ' .. kind .. ', not a ' .. write.kind
    end
    if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(write.command)) then
      return 'NOPERM this user may not ' .. write.command[1] .. ' ' .. write.key
    end
  end
  return nil
end

local function append(stream, longest, fields)
  redis.call('XADD', stream, 'MAXLEN', '~', longest, '*', unpack(fields))
end

local function same_fields(key, seen)
  local fields = redis.call('HGETALL', key)
  if #fields ~= #seen then return false end
  local values = {}
  for i = 1, #seen, 2 do values[seen[i]] = seen[i + 1] end
  for i = 1, #fields, 2 do
    if values[fields[i]] ~= fields[i + 1] then return false end
  end
  return true
end

local function is_past(epoch)
  local now = redis.call('TIME')
  return tonumber(now[1]) + tonumber(now[2]) / 1000000 >= epoch
end
