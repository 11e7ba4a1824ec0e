-- KEYS: the single-tenant key, the tenant's. ARGV: the tenant's id, and '1' for a session.
-- Deletes the former only if, at this moment, the latter holds all of it; replies the state before.
local before = state(KEYS[1], KEYS[2], ARGV[1])
if before == 'copied' then redis.call('DEL', KEYS[1]) end
return before
