"""A tenant's logins in a real secret service, and in keyrings that are none."""

import json
from contextlib import closing

import keyring
import pytest
from keyring.backends import fail, null

from hitl_desktop.store.credentials import Login, Service, forget_logins, keep_login, read_logins
from hitl_desktop.store.keyring import KeyringUnusableError, prove_keyring
from hitl_desktop.tenancy import TenantNames
from tests import keyrings

A, B = TenantNames("acme-corp"), TenantNames("widgets-inc")
REDIS = Login("redis://db:6379", "s3cret-é", "acme-corp-reviewer")
STAGING = Login("redis://staging", "other", "x")
CHROMA = Login("https://chroma", "hitl_token")


def test_each_tenant_and_profile_has_its_own(secret_service: str) -> None:
    keep_login(A, "", Service.REDIS, REDIS)
    keep_login(A, "", Service.CHROMA, CHROMA)
    keep_login(A, "staging", Service.REDIS, STAGING)
    assert read_logins(A, "") == {Service.REDIS: REDIS, Service.CHROMA: CHROMA}
    assert read_logins(A, "staging").keys() == {Service.REDIS}
    assert read_logins(B, "") == {}
    changed = Login(REDIS.server, "changed", REDIS.user)
    keep_login(A, "", Service.REDIS, changed)
    assert read_logins(A, "") == {Service.REDIS: changed, Service.CHROMA: CHROMA}
    assert forget_logins(B, "") == {}
    assert forget_logins(A, "") == {Service.REDIS: changed, Service.CHROMA: CHROMA}
    assert read_logins(A, "") == forget_logins(A, "") == {}
    assert read_logins(A, "staging") == {Service.REDIS: STAGING}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"redis": 1}', '{"redis": {"server": "x"}}', '{"mail": {}}'])
def test_what_is_no_entry_of_ours_counts_as_none(secret_service: str, text: str) -> None:
    keyring.set_password(*A.credentials_entry(""), text)
    assert read_logins(A, "") == {}
    keep_login(A, "", Service.REDIS, REDIS)
    assert read_logins(A, "") == {Service.REDIS: REDIS}


def test_a_login_shows_no_secret() -> None:
    assert "s3cret" not in f"{REDIS!r} {REDIS} {[REDIS]} { ({Service.REDIS: REDIS})!r}"


def test_a_keyring_that_only_pretends_keeps_nothing() -> None:
    with keyrings.used(null.Keyring()):  # type: ignore[no-untyped-call]
        with pytest.raises(KeyringUnusableError, match="does not keep what it is given"):
            prove_keyring()
        with pytest.raises(KeyringUnusableError, match="does not keep what it is given") as told:
            keep_login(A, "", Service.REDIS, REDIS)
        assert "s3cret" not in str(told.value)
        assert read_logins(A, "") == {}


def test_without_a_keyring_every_call_says_so() -> None:
    with keyrings.used(fail.Keyring()):  # type: ignore[no-untyped-call]
        for call in (
            prove_keyring,
            lambda: read_logins(A, ""),
            lambda: keep_login(A, "", Service.REDIS, REDIS),
            lambda: forget_logins(A, ""),
        ):
            with pytest.raises(KeyringUnusableError) as told:
                call()
            assert "s3cret" not in str(told.value)


def test_a_locked_keyring_gives_nothing_and_keeps_what_it_has(secret_service: str) -> None:
    keep_login(A, "", Service.REDIS, REDIS)
    with keyrings.locked(secret_service):
        for call in (prove_keyring, lambda: read_logins(A, ""), lambda: forget_logins(A, "")):
            with pytest.raises(KeyringUnusableError, match="cannot be used"):
                call()


def test_a_keyring_of_plain_files_is_refused() -> None:
    class PlainFile(keyrings.Asked):
        priority = 0.5  # type: ignore[assignment]

    with keyrings.used(PlainFile()), pytest.raises(KeyringUnusableError, match="may be a plain file"):
        prove_keyring()


def test_the_entry_is_the_tenants_alone_and_no_secret_is_in_its_name(secret_service: str) -> None:
    from secretstorage import dbus_init, get_collection_by_alias

    keep_login(A, "", Service.REDIS, REDIS)
    with closing(dbus_init()) as connection:
        (item,) = get_collection_by_alias(connection, "default").get_all_items()
        assert item.get_attributes()["username"] == "tenant:acme-corp"
        assert "s3cret" not in f"{item.get_attributes()} {item.get_label()}"
        assert json.loads(item.get_secret())["redis"]["user"] == REDIS.user
