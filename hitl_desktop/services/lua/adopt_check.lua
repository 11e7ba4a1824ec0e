-- KEYS: the single-tenant key, the tenant's. ARGV: the tenant.
return state(KEYS[1], KEYS[2], ARGV[1])
