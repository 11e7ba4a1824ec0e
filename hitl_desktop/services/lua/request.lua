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
