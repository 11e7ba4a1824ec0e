-- KEYS: the single-tenant key, the tenant's. ARGV: the tenant's id, and '1' for a session.
return state(KEYS[1], KEYS[2], ARGV[1])
