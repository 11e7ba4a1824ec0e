-- Whether a single-tenant key and the tenant's copy of it hold the same, one page of a list or stream at a time.
-- A copy differs only in this: each entry of a stream gets a tenant_id, and a session names its new one. What was
-- appended to a copy since (lists, streams) does not make it another one. ARGV[2] is '1' for a session.
local PAGE = 1000

local function same_hash(source, copy, tenant)
  local has, fields, count = {}, redis.call('HGETALL', copy), 0
  for i = 1, #fields, 2 do has[fields[i]] = fields[i + 1] end
  if tenant then
    if has.tenant_id ~= tenant then return false end
    has.tenant_id = nil
  end
  fields = redis.call('HGETALL', source)
  for i = 1, #fields, 2 do
    if not (tenant and fields[i] == 'tenant_id') then
      if has[fields[i]] ~= fields[i + 1] then return false end
      has[fields[i]] = nil
    end
  end
  return next(has) == nil
end

local function same_page(source, copy)
  if #copy < #source then return false end
  for i = 1, #source do
    if source[i] ~= copy[i] then return false end
  end
  return true
end

local function same_list(source, copy)
  local from = 0
  repeat
    local page = redis.call('LRANGE', source, from, from + PAGE - 1)
    if not same_page(page, redis.call('LRANGE', copy, from, from + PAGE - 1)) then return false end
    from = from + PAGE
  until #page < PAGE
  return true
end

local function same_ranks(source, copy)
  if redis.call('ZCARD', source) ~= redis.call('ZCARD', copy) then return false end
  local from = 0
  repeat
    local page = redis.call('ZRANGE', source, from, from + PAGE - 1, 'WITHSCORES')
    if not same_page(page, redis.call('ZRANGE', copy, from, from + PAGE - 1, 'WITHSCORES')) then return false end
    from = from + PAGE
  until #page < 2 * PAGE
  return true
end

local function same_set(source, copy)
  local members = redis.call('SMEMBERS', source)
  if redis.call('SCARD', copy) ~= #members then return false end
  for _, member in ipairs(members) do
    if redis.call('SISMEMBER', copy, member) == 0 then return false end
  end
  return true
end

-- The fields of an entry as the tenant has them; nil where they name another tenant.
local function owned(fields, tenant)
  local names_one, is_first = false, false
  for i = 1, #fields, 2 do
    if fields[i] == 'tenant_id' then
      if fields[i + 1] ~= tenant then return nil end
      names_one = true
    end
    if fields[i] == '_init' then is_first = true end
  end
  if not names_one and not is_first then
    fields[#fields + 1], fields[#fields + 2] = 'tenant_id', tenant
  end
  return fields
end

local function each_entry(stream, act)
  local from = '-'
  repeat
    local page = redis.call('XRANGE', stream, from, '+', 'COUNT', PAGE)
    for _, entry in ipairs(page) do
      if not act(entry[1], entry[2]) then return false end
    end
    if #page > 0 then from = '(' .. page[#page][1] end
  until #page < PAGE
  return true
end

local function is_foreign(source, tenant)
  return not each_entry(source, function(_, fields) return owned(fields, tenant) ~= nil end)
end

local function groups_of(stream)
  local found = {}
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local fields = {}
    for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
    found[fields.name] = fields
  end
  return found
end

local function same_stream(source, copy, tenant)
  local is_same = each_entry(source, function(id, fields)
    local there = redis.call('XRANGE', copy, id, id)[1]
    local wanted = owned(fields, tenant)
    return there ~= nil and #there[2] == #wanted and same_page(wanted, there[2])
  end)
  if not is_same then return false end
  local copied = groups_of(copy)
  for name in pairs(groups_of(source)) do
    if not copied[name] then return false end
  end
  return true
end

local function is_same(source, copy, tenant)
  local kind = redis.call('TYPE', source).ok
  if redis.call('TYPE', copy).ok ~= kind then return false end
  if (redis.call('PTTL', source) < 0) ~= (redis.call('PTTL', copy) < 0) then return false end
  if kind == 'hash' then
    return same_hash(source, copy, ARGV[2] == '1' and tenant)
  end
  if kind == 'list' then return same_list(source, copy) end
  if kind == 'zset' then return same_ranks(source, copy) end
  if kind == 'set' then return same_set(source, copy) end
  if kind == 'stream' then return same_stream(source, copy, tenant) end
  return redis.call('GET', source) == redis.call('GET', copy)
end

-- What is to be done: gone, unknown, foreign, waiting, copied or differs.
local function state(source, copy, tenant)
  local kind = redis.call('TYPE', source).ok
  if kind == 'none' then return 'gone' end
  if kind ~= 'hash' and kind ~= 'list' and kind ~= 'zset' and kind ~= 'set' and kind ~= 'stream' and kind ~= 'string' then
    return 'unknown'
  end
  if kind == 'stream' and is_foreign(source, tenant) then return 'foreign' end
  if redis.call('EXISTS', copy) == 0 then return 'waiting' end
  return is_same(source, copy, tenant) and 'copied' or 'differs'
end
