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
