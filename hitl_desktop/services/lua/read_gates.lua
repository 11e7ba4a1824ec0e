-- KEYS: gate hashes. ARGV: bytes a field may have, bytes after which the reply is full, the prefix of bundle keys.
-- Reply, packed: for each key read (the rest did not fit), {gate, bundle, names left out}; a hash is a flat list of
-- names and values, false if it does not exist, or the text of the error that reading it gave.
local longest, budget, prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local used = 0

local function fields_but_items(key)
  local fields = {}
  for _, name in ipairs(redis.call('HKEYS', key)) do
    fields[#fields + 1] = name
    fields[#fields + 1] = name == 'items' and '' or redis.call('HGET', key, name)
  end
  return fields
end

local function read(key, left_out)
  local length = redis.pcall('HSTRLEN', key, 'items')
  if type(length) == 'table' then return length.err, 0 end
  local fields
  if length > longest then
    fields = fields_but_items(key)
    left_out[1] = 'items'
  else
    fields = redis.call('HGETALL', key)
  end
  if #fields == 0 then return false, 0 end
  local size = 0
  for i = 2, #fields, 2 do
    if #fields[i] > longest then
      left_out[#left_out + 1] = fields[i - 1]
      fields[i] = string.sub(fields[i], 1, 1024)
    end
    size = size + #fields[i - 1] + #fields[i]
  end
  return fields, size
end

local replies = {}
for i, key in ipairs(KEYS) do
  if used > budget then break end
  local gate_left_out, left_out = {}, {}
  local gate, size = read(key, gate_left_out)
  local bundle, bundle_size = false, 0
  if type(gate) == 'table' then
    if #gate_left_out > 0 then
      gate = 'the field ' .. gate_left_out[1] .. ' is too long'
    else
      for j = 1, #gate, 2 do
        if gate[j] == 'evidence_bundle_id' then bundle, bundle_size = read(prefix .. gate[j + 1], left_out) end
      end
    end
  end
  used = used + size + bundle_size
  replies[i] = {gate, bundle, left_out}
end
return cmsgpack.pack(replies)
