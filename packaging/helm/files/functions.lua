#!lua name=hitl_desktop_3e6c64eb21ab
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

redis.register_function{
  function_name = 'hitl_read_gates_3e6c64eb21ab',
  flags = {'no-writes'},
  callback = function(KEYS, ARGV)
-- KEYS: gate hashes. ARGV: bytes a field may have, bytes after which the reply is full, the prefix of bundle keys, '1' to
-- read bundles whole, how many of the names that follow are a gate's, and the names of a gate's and a bundle's fields.
-- Reply, packed: for each key read (the rest did not fit), {gate, bundle, left out, whole}. A gate or bundle is the list
-- of its fields' values, false for each that is absent; or false if there is no such hash; or the text of the error that
-- reading it gave. Left out says whether a field of the bundle was too long; whole is the map of all its fields.
local longest, budget, prefix, is_whole = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
local gate_fields, bundle_fields = {}, {}
for i = 6, #ARGV do
  local names = i < 6 + tonumber(ARGV[5]) and gate_fields or bundle_fields
  names[#names + 1] = ARGV[i]
end
local used = 0

-- A bundle on another node of a cluster is no damage of one record: then nothing is read.
local function fault(text)
  if string.find(text, 'non local key', 1, true) then error(text) end
  return text
end

local function read(key, names)
  local values = redis.pcall('HMGET', key, unpack(names))
  if values.err then return fault(values.err) end
  for i = 1, #names do
    if values[i] then return values end
  end
  return false
end

local function read_bundle(key)
  local length = redis.pcall('HSTRLEN', key, 'items')
  if type(length) == 'table' then return fault(length.err), false end
  if length <= longest then return read(key, bundle_fields), false end
  local names = {}
  for i, name in ipairs(bundle_fields) do names[i] = name == 'items' and '' or name end
  return read(key, names), true
end

local function cut(values)
  local was_cut = false
  for i, value in ipairs(values) do
    if value and #value > longest then
      values[i], was_cut = string.sub(value, 1, 1024), true
    end
    used = used + (value and #values[i] or 0)
  end
  return was_cut
end

local function whole(key)
  redis.setresp(3)
  local fields = redis.call('HGETALL', key).map
  redis.setresp(2)
  for _, value in pairs(fields) do used = used + #value end
  return fields
end

local replies = {}
for i, key in ipairs(KEYS) do
  if used > budget then break end
  local gate, bundle, left_out, all = read(key, gate_fields), false, false, false
  if type(gate) == 'table' then
    if cut(gate) then
      gate = 'one of its fields is too long'
    elseif gate[1] then
      bundle, left_out = read_bundle(prefix .. gate[1])
      if type(bundle) == 'table' then
        left_out = cut(bundle) or left_out
        if is_whole then all = whole(prefix .. gate[1]) end
      end
    end
  end
  replies[i] = {gate, bundle, left_out, all}
end
return cmsgpack.pack(replies)
  end,
}

redis.register_function{
  function_name = 'hitl_decide_3e6c64eb21ab',
  callback = function(KEYS, ARGV)
-- KEYS: gate hash, bundle hash, pending set, decision log, audit stream, event stream. ARGV: one packed table.
-- Reply: {outcome} or {outcome, gate's fields}; it writes all or nothing.
local ask = cmsgpack.unpack(ARGV[1])
local gate_key, bundle_key, pending, log, audit, events = unpack(KEYS)

local fields = redis.call('HGETALL', gate_key)
if #fields == 0 then return {'missing'} end
local gate = {}
for i = 1, #fields, 2 do gate[fields[i]] = fields[i + 1] end

if gate.decision_id == ask.decision_id then return {'repeated', fields} end
if gate.status ~= 'pending' then return {'decided', fields} end
if (gate.expires_at or '') ~= ask.expires_text then return {'changed'} end
if ask.expires_epoch and is_past(ask.expires_epoch) then return {'overdue'} end
if gate.evidence_bundle_id ~= ask.bundle_id or gate.task_id ~= ask.task_id or gate.session_id ~= ask.session_id then
  return {'changed'}
end
if not same_fields(bundle_key, ask.bundle) then return {'changed'} end

local refused = refusal({
  {key = gate_key, kind = 'hash', command = {'HSET', gate_key, 'status', 'x'}},
  {key = pending, kind = 'zset', command = {'ZREM', pending, 'x'}},
  {key = log, kind = 'list', command = {'RPUSH', log, 'x'}},
  {key = audit, kind = 'stream', command = {'XADD', audit, '*', 'x', 'x'}},
  {key = events, kind = 'stream', command = {'XADD', events, '*', 'x', 'x'}},
})
if refused then return redis.error_reply(refused) end

redis.call('HSET', gate_key, unpack(ask.gate))
redis.call('ZREM', pending, ask.request_id)
redis.call('RPUSH', log, ask.log)
append(audit, 100000, ask.audit)
append(events, 10000, ask.event)
return {'written'}
  end,
}

redis.register_function{
  function_name = 'hitl_request_3e6c64eb21ab',
  callback = function(KEYS, ARGV)
-- KEYS: gate hash, bundle hash, pending set, decision log, audit stream, event stream. ARGV: one packed table.
-- The orchestrator's order of writes; a request_id that exists is left as it is, so a lost reply may be asked for again.
local ask = cmsgpack.unpack(ARGV[1])
local gate_key, bundle_key, pending, log, audit, events = unpack(KEYS)

if redis.call('EXISTS', gate_key) == 1 then return {'exists'} end

local refused = refusal({
  {key = gate_key, kind = 'hash', command = {'HSET', gate_key, 'status', 'x'}},
  {key = bundle_key, kind = 'hash', command = {'HSET', bundle_key, 'items', 'x'}},
  {key = pending, kind = 'zset', command = {'ZADD', pending, '0', 'x'}},
  {key = log, kind = 'list', command = {'RPUSH', log, 'x'}},
  {key = audit, kind = 'stream', command = {'XADD', audit, '*', 'x', 'x'}},
  {key = events, kind = 'stream', command = {'XADD', events, '*', 'x', 'x'}},
})
if refused then return redis.error_reply(refused) end

redis.call('HSET', gate_key, unpack(ask.gate))
redis.call('HSET', bundle_key, unpack(ask.bundle))
redis.call('ZADD', pending, ask.score, ask.request_id)
redis.call('RPUSH', log, ask.log)
append(audit, 100000, ask.audit)
append(events, 10000, ask.event)
return {'written'}
  end,
}

redis.register_function{
  function_name = 'hitl_expire_3e6c64eb21ab',
  callback = function(KEYS, ARGV)
-- KEYS: gate hash, pending set, event stream. ARGV: one packed table.
-- Ends an overdue gate: only while it is pending, with the deadline the caller read, past by the server's clock.
local ask = cmsgpack.unpack(ARGV[1])
local gate_key, pending, events = unpack(KEYS)

local status, expires_text = unpack(redis.call('HMGET', gate_key, 'status', 'expires_at'))
if not status then return {'missing'} end
if status ~= 'pending' then return {'decided', redis.call('HGETALL', gate_key)} end
if expires_text ~= ask.expires_text then return {'changed'} end
if not is_past(ask.expires_epoch) then return {'early'} end

local refused = refusal({
  {key = gate_key, kind = 'hash', command = {'HSET', gate_key, 'status', 'x'}},
  {key = pending, kind = 'zset', command = {'ZREM', pending, 'x'}},
  {key = events, kind = 'stream', command = {'XADD', events, '*', 'x', 'x'}},
})
if refused then return redis.error_reply(refused) end

redis.call('HSET', gate_key, 'status', 'expired')
redis.call('ZREM', pending, ask.request_id)
append(events, 10000, ask.event)
return {'written'}
  end,
}

redis.register_function{
  function_name = 'hitl_audit_3e6c64eb21ab',
  callback = function(KEYS, ARGV)
-- KEYS: audit stream. ARGV: one packed list of names and values.
local fields = cmsgpack.unpack(ARGV[1])
local refused = refusal({{key = KEYS[1], kind = 'stream', command = {'XADD', KEYS[1], '*', 'x', 'x'}}})
if refused then return redis.error_reply(refused) end
append(KEYS[1], 100000, fields)
return 'written'
  end,
}
