-- KEYS: gate hashes. ARGV: bytes a field may have, bytes after which the reply is full, the prefix of bundle keys.
-- Reply, packed: for each key read (the rest did not fit), {gate, bundle, names left out}; a hash is a map, false if it
-- does not exist, or the text of the error that reading it gave.
redis.setresp(3)
local longest, budget, prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local used = 0

local function fields_but_items(key)
  local fields = {}
  for _, name in ipairs(redis.call('HKEYS', key)) do
    fields[name] = name == 'items' and '' or redis.call('HGET', key, name)
  end
  return fields
end

local function read_bundle(key, left_out)
  local length = redis.pcall('HSTRLEN', key, 'items')
  if type(length) == 'table' then return length.err, 0 end
  local fields
  if length > longest then
    fields = fields_but_items(key)
    left_out[1] = 'items'
  else
    fields = redis.call('HGETALL', key).map
  end
  if next(fields) == nil then return false, 0 end
  local size = 0
  for name, value in pairs(fields) do
    if #value > longest then
      left_out[#left_out + 1] = name
      fields[name] = string.sub(value, 1, 1024)
    end
    size = size + #value
  end
  return fields, size
end

local function read_gate(key)
  local reply = redis.pcall('HGETALL', key)
  if reply.err then return reply.err, 0 end
  local fields, size = reply.map, 0
  if next(fields) == nil then return false, 0 end
  for name, value in pairs(fields) do
    if #value > longest then return 'the field ' .. name .. ' is too long', 0 end
    size = size + #value
  end
  return fields, size
end

local replies = {}
for i, key in ipairs(KEYS) do
  if used > budget then break end
  local left_out, bundle, bundle_size = {}, false, 0
  local gate, size = read_gate(key)
  local bundle_id = type(gate) == 'table' and gate.evidence_bundle_id
  if bundle_id then bundle, bundle_size = read_bundle(prefix .. bundle_id, left_out) end
  used = used + size + bundle_size
  replies[i] = {gate, bundle, left_out}
end
return cmsgpack.pack(replies)
