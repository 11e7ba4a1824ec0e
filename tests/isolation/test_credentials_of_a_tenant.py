"""T08, for credentials: each tenant logs in with what is its own, and nothing else here takes its place."""

import io
import secrets
from itertools import permutations

import pytest

from hitl_desktop.services.acl import Role
from hitl_desktop.services.errors import Refused
from hitl_desktop.store.credentials import Service, forget_logins, read_logins
from tests.isolation.filling import MARKS, fill
from tests.isolation.looks import the_command_line, the_window
from tests.isolation.place import Place, files
from tests.users import SECRET, load_functions, make_user

ACME, WIDGETS = MARKS


async def log_in(place: Place, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give each tenant a user of its own, log it in by the command line, let nobody else in; return the passwords."""
    passwords = {tenant: f"s3cret-{MARKS[tenant]}-{secrets.token_hex(8)}" for tenant in MARKS}
    load_functions(place.server)
    for tenant, password in passwords.items():
        make_user(place.server, place.names(tenant), Role.REVIEWER)
        user = place.names(tenant).redis_user(Role.REVIEWER)
        place.server.run("ACL", "SETUSER", user, f"<{SECRET}", f">{password}")
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        told = await place.run("tenants", "login", tenant)
        assert (told.code, password in repr(told)) == (0, False), told
    place.server.run("ACL", "SETUSER", "default", "off")
    return passwords


async def test_each_tenant_works_as_its_own_user_and_sees_nothing_of_the_other(
    place: Place, secret_service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await fill(place, ACME, WIDGETS) + await fill(place, WIDGETS, ACME)
    passwords = await log_in(place, monkeypatch)
    for tenant, other in permutations(MARKS):
        for look in (the_window, the_command_line):
            seen = await look(place, tenant, asked)
            assert f"{MARKS[tenant]}-summary-4" in seen, look.__name__
            assert MARKS[other] not in seen, look.__name__
            assert not any(password in seen for password in passwords.values())
        kept = read_logins(place.names(tenant), "")[Service.REDIS]
        assert (kept.user, kept.secret) == (place.names(tenant).redis_user(Role.REVIEWER), passwords[tenant])
    for path in files():
        assert not any(password.encode() in path.read_bytes() for password in passwords.values()), path


async def test_without_a_login_of_its_own_no_tenant_gets_in_by_anothers(
    plain_place: Place, secret_service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(plain_place, ACME, WIDGETS)
    await log_in(plain_place, monkeypatch)
    forget_logins(plain_place.names(ACME), "")
    async with plain_place.session(ACME) as session:
        with pytest.raises(Refused):
            await session.pending()
    assert (await plain_place.run("gates", "list", "--tenant", ACME)).code == 6
    assert (await plain_place.run("gates", "list", "--tenant", WIDGETS)).code == 0
