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
