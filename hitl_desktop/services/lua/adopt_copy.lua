-- KEYS: the single-tenant key, the tenant's. ARGV: the tenant's id, and '1' for a session.
-- Copies what has no copy yet; replies the state before.
local source, copy, tenant = KEYS[1], KEYS[2], ARGV[1]

local function copy_group(name, group)
  local create = {'XGROUP', 'CREATE', copy, name, group['last-delivered-id']}
  if group['entries-read'] then
    create[#create + 1], create[#create + 2] = 'ENTRIESREAD', group['entries-read']
  end
  redis.call(unpack(create))
  local from = '-'
  repeat
    local page = redis.call('XPENDING', source, name, from, '+', PAGE)
    for _, waiting in ipairs(page) do
      local id, consumer, idle, deliveries = unpack(waiting)
      redis.call('XCLAIM', copy, name, consumer, 0, id, 'IDLE', idle, 'RETRYCOUNT', deliveries, 'FORCE', 'JUSTID')
      from = '(' .. id
    end
  until #page < PAGE
end

local function copy_stream()
  -- A stream that was trimmed empty is one, too.
  redis.call('XGROUP', 'CREATE', copy, 'adopting', '0', 'MKSTREAM')
  redis.call('XGROUP', 'DESTROY', copy, 'adopting')
  each_entry(source, function(id, fields)
    redis.call('XADD', copy, id, unpack(owned(fields, tenant)))
    return true
  end)
  local facts = redis.call('XINFO', 'STREAM', source)
  for i = 1, #facts, 2 do facts[facts[i]] = facts[i + 1] end
  redis.call('XSETID', copy, facts['last-generated-id'], 'ENTRIESADDED', facts['entries-added'],
    'MAXDELETEDID', facts['max-deleted-entry-id'])
  for name, group in pairs(groups_of(source)) do copy_group(name, group) end
end

local before = state(source, copy, tenant)
if before ~= 'waiting' then return before end
if redis.call('TYPE', source).ok == 'stream' then
  local is_whole, fault = pcall(copy_stream)
  if not is_whole then
    redis.call('DEL', copy)
    return redis.error_reply(type(fault) == 'table' and fault.err or tostring(fault))
  end
else
  redis.call('COPY', source, copy)
  if ARGV[2] == '1' then redis.call('HSET', copy, 'tenant_id', tenant) end
end
return before
