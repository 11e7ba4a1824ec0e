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
