-- KEYS: audit stream. ARGV: one packed list of names and values.
local fields = cmsgpack.unpack(ARGV[1])
local refused = refusal({{key = KEYS[1], kind = 'stream', command = {'XADD', KEYS[1], '*', 'x', 'x'}}})
if refused then return redis.error_reply(refused) end
append(KEYS[1], 100000, fields)
return 'written'
