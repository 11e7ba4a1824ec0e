"""T08, on this machine: each tenant's file opens with its own key alone, and no other file holds a tenant's words."""

import shutil
from itertools import permutations
from pathlib import Path

import pytest

from hitl_desktop.store.database import open_database
from hitl_desktop.store.errors import StoreError, WrongKeyError
from hitl_desktop.store.keyring import read_secret
from hitl_desktop.store.keys import Keys
from hitl_desktop.store.tenant_store import open_tenant_store
from hitl_desktop.tenancy import TenantNames
from tests.isolation.filling import MARKS, export_of, fill
from tests.isolation.looks import the_store
from tests.isolation.place import Place, files

ACME, WIDGETS = MARKS


async def fill_both(place: Place) -> None:
    await fill(place, ACME, WIDGETS)
    await fill(place, WIDGETS, ACME)


def data_key(place: Place, tenant: str) -> bytes:
    settings, folder = place.settings, place.settings.stores_dir
    found = Keys(folder, settings.key_file, settings.passphrase, (folder / "store-id").read_text()).find(
        place.names(tenant)
    )
    assert found is not None
    return found


def store_of(place: Place, tenant: str, suffix: str = ".db") -> Path:
    return place.settings.stores_dir / f"{place.names(tenant).file_stem}{suffix}"


async def test_no_file_but_an_export_holds_a_tenants_words_in_plain(plain_place: Place) -> None:
    await fill_both(plain_place)
    exports = {export_of(plain_place, tenant): tenant for tenant in MARKS}
    found = {path: [mark for mark in MARKS.values() if mark.encode() in path.read_bytes()] for path in files()}
    assert set(exports) <= set(found)
    assert len([path for path in found if path.suffix == ".db"]) == len(MARKS)
    for path, marks in found.items():
        assert marks == ([MARKS[exports[path]]] if path in exports else []), path
        assert path.stat().st_mode & 0o077 == 0, path


async def test_a_tenants_file_opens_with_its_own_key_alone(plain_place: Place) -> None:
    await fill_both(plain_place)
    assert data_key(plain_place, ACME) != data_key(plain_place, WIDGETS)
    for tenant, other in permutations(MARKS):
        for key in (data_key(plain_place, other), bytes(32)):
            with pytest.raises(WrongKeyError):
                open_database(store_of(plain_place, tenant), key)
        assert f"{MARKS[tenant]}-draft" in await the_store(plain_place, tenant, [])


@pytest.mark.parametrize("suffixes", [(".db",), (".key",), (".db", ".key")], ids="+".join)
async def test_a_file_put_in_the_place_of_another_tenants_is_not_read(
    plain_place: Place, suffixes: tuple[str, ...]
) -> None:
    await fill_both(plain_place)
    for suffix in suffixes:
        shutil.copy(store_of(plain_place, WIDGETS, suffix), store_of(plain_place, ACME, suffix))
    store = open_tenant_store(plain_place.settings, plain_place.names(ACME))
    try:
        assert "moved aside" in store.notice
        assert (store.outbox.entries(), store.drafts.all(), list(store.gates.pages(10))) == ([], {}, [])
    finally:
        store.close()
    assert MARKS[WIDGETS] not in await the_store(plain_place, ACME, [])


async def test_keys_in_the_keyring_are_each_tenants_own(
    plain_place: Place, secret_service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HITL_KEY_FILE")
    await fill_both(plain_place)
    store_id = (plain_place.settings.stores_dir / "store-id").read_text()
    keys = {tenant: read_secret(TenantNames(tenant).data_key_entry(store_id)) for tenant in MARKS}
    assert None not in keys.values()
    assert len(set(keys.values())) == len(MARKS)
    for tenant, other in permutations(MARKS):
        assert keys[tenant] == data_key(plain_place, tenant).hex()
        with pytest.raises(StoreError):
            open_database(store_of(plain_place, tenant), bytes.fromhex(keys[other] or ""))
        assert f"{MARKS[tenant]}-draft" in await the_store(plain_place, tenant, [])
        assert not any((keys[tenant] or "").encode() in path.read_bytes() for path in files())
