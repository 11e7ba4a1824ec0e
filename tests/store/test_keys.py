"""Where a tenant's data key is: keyring, key file, passphrase, or nowhere; and what is kept in each case."""

import os
from pathlib import Path

import keyring
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hitl_desktop.settings import Settings
from hitl_desktop.store.errors import NoKeyError, StoreError, WrongKeyError
from hitl_desktop.store.keys import KEY_BYTES, Keys
from hitl_desktop.store.removal import remove_store
from hitl_desktop.tenancy import TenantNames
from tests.environments import key_file
from tests.stores import NAMES, add, database, files, opened, settings, summaries

OTHER = TenantNames("widgets-inc")


def test_the_keyring_has_a_random_key_for_each_tenant(home: Path, secret_service: str) -> None:
    wanted = settings(home / "state")
    for names in (NAMES, OTHER):
        with opened(wanted, names) as store:
            assert store.is_durable
            assert store.notice == ""
            add(store, f"of {names.tenant_id}")
        with opened(wanted, names) as store:
            assert summaries(store) == [f"of {names.tenant_id}"]
    assert files(wanted) == ["tenant-acme-corp.db", "tenant-widgets-inc.db"]
    store_id = (wanted.stores_dir / "store-id").read_text().strip()
    keys = [keyring.get_password(*names.data_key_entry(store_id)) for names in (NAMES, OTHER)]
    assert len(set(keys)) == 2
    assert all(key is not None and len(bytes.fromhex(key)) == KEY_BYTES for key in keys)


def test_two_state_folders_have_two_keys_in_one_keyring(home: Path, secret_service: str) -> None:
    first, second = settings(home / "first"), settings(home / "second")
    for wanted in (first, second):
        with opened(wanted) as store:
            add(store, str(wanted.state_dir.name))
    assert remove_store(first, NAMES, discard=True)
    with opened(second) as store:
        assert summaries(store) == ["second"]


def test_several_state_folders_share_a_key_file(home: Path) -> None:
    key = key_file(home)
    first, second = settings(home / "first", key_file=key), settings(home / "second", key_file=key)
    for wanted in (first, second):
        with opened(wanted) as store:
            add(store, wanted.state_dir.name)
    for wanted in (first, second):
        with opened(wanted) as store:
            assert summaries(store) == [wanted.state_dir.name]
    wrapped = [(wanted.stores_dir / "tenant-acme-corp.key").read_bytes() for wanted in (first, second)]
    assert wrapped[0] != wrapped[1]
    assert all(key.read_bytes() not in blob for blob in wrapped)


def test_a_passphrase_wraps_the_key(home: Path) -> None:
    right, wrong = (settings(home / "state", passphrase=text) for text in ("correct horse", "battery staple"))
    with opened(right) as store:
        add(store, "kept")
    with opened(right) as store:
        assert summaries(store) == ["kept"]
    keys = Keys(right.stores_dir, None, "battery staple", "id")
    with pytest.raises(WrongKeyError, match="passphrase is not the one"):
        keys.find(NAMES)
    with opened(wrong) as store:
        assert "passphrase is not the one" in store.notice
        assert summaries(store) == []
    with opened(right) as store:
        assert summaries(store) == ["kept"]


def test_with_nothing_to_encrypt_with_it_is_in_memory_alone_and_says_so(home: Path) -> None:
    wanted = settings(home / "state")
    with opened(wanted) as store:
        assert not store.is_durable
        assert "only work online" in store.notice
        assert "Keyring" in store.notice
        add(store, "in memory")
        assert summaries(store) == ["in memory"]
        assert files(wanted) == []
    with opened(wanted) as store:
        assert summaries(store) == []


@pytest.mark.parametrize("by", ["key file", "passphrase"])
def test_a_key_that_is_not_given_this_time_leaves_the_file_alone(home: Path, by: str) -> None:
    given_by = {"key_file": key_file(home)} if by == "key file" else {"passphrase": "correct horse"}
    with opened(settings(home / "state", **given_by)) as store:
        add(store, "kept")
    with opened(settings(home / "state")) as store:
        assert not store.is_durable
        assert ("HITL_KEY_FILE" if by == "key file" else "HITL_PASSPHRASE") in store.notice
    with opened(settings(home / "state", **given_by)) as store:
        assert store.notice == ""
        assert summaries(store) == ["kept"]


@pytest.mark.parametrize("what", ["gone", "short"])
def test_a_key_file_that_cannot_be_used_leaves_the_store_alone(home: Path, what: str) -> None:
    wanted = settings(home / "state", key_file=key_file(home))
    with opened(wanted) as store:
        add(store, "kept")
    assert wanted.key_file is not None
    content = wanted.key_file.read_bytes()
    if what == "gone":
        wanted.key_file.unlink()
    else:
        wanted.key_file.write_bytes(content[:-1])
    with opened(wanted) as store:
        assert not store.is_durable
        assert "key file" in store.notice
    wanted.key_file.write_bytes(content)
    with opened(wanted) as store:
        assert summaries(store) == ["kept"]


def test_one_who_takes_to_a_key_file_keeps_what_the_keyring_opens(home: Path, secret_service: str) -> None:
    with opened(settings(home / "state")) as store:
        add(store, "kept")
    with opened(settings(home / "state", key_file=key_file(home))) as store:
        assert store.notice == ""
        assert summaries(store) == ["kept"]
    with opened(settings(home / "state", key_file=key_file(home, "other")), OTHER) as store:
        assert store.is_durable
    assert (settings(home / "state").stores_dir / "tenant-widgets-inc.key").exists()


def test_an_entry_of_the_keyring_that_is_no_key_costs_no_file(home: Path, secret_service: str) -> None:
    wanted = settings(home / "state")
    with opened(wanted) as store:
        add(store, "kept")
    where = NAMES.data_key_entry((wanted.stores_dir / "store-id").read_text().strip())
    right = keyring.get_password(*where)
    assert right is not None
    keyring.set_password(*where, "no key at all")
    with opened(wanted) as store:
        assert "is no key" in store.notice
        assert summaries(store) == []
    keyring.set_password(*where, right)
    with opened(wanted) as store:
        assert summaries(store) == ["kept"]


def test_a_key_cannot_be_taken_for_another_tenants(home: Path) -> None:
    wanted = settings(home / "state", key_file=key_file(home))
    for names in (NAMES, OTHER):
        with opened(wanted, names):
            pass
    folder = wanted.stores_dir
    (folder / "tenant-acme-corp.key").replace(folder / "tenant-widgets-inc.key")
    keys = Keys(folder, wanted.key_file, "", "id")
    with pytest.raises(WrongKeyError):
        keys.find(OTHER)


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, bytes, bytes]:
    folder = tmp_path_factory.mktemp("wrapped")
    wanted = settings(folder, key_file=key_file(folder))
    keys = Keys(folder, wanted.key_file, "", "id")
    return wanted, keys.create(NAMES), (folder / "tenant-acme-corp.key").read_bytes()


@given(data=st.data())
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_wrapped_key_that_was_changed_is_refused(data: st.DataObject, wrapped: tuple[Settings, bytes, bytes]) -> None:
    wanted, key, blob = wrapped
    changed = data.draw(
        st.one_of(
            st.binary(max_size=100),
            st.integers(0, len(blob) - 1).map(lambda length: blob[:length]),
            st.tuples(st.integers(0, len(blob) - 1), st.integers(1, 255)).map(
                lambda flip: bytes(byte ^ flip[1] if at == flip[0] else byte for at, byte in enumerate(blob))
            ),
        )
    )
    keys = Keys(wanted.state_dir, wanted.key_file, "", "id")
    assert keys.unwrap(NAMES, blob) == key
    with pytest.raises((WrongKeyError, NoKeyError)):
        keys.unwrap(NAMES, changed)


def test_a_killed_writer_leaves_no_half_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = settings(home / "state", key_file=key_file(home))

    def fails(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(StoreError), opened(wanted):
            pass
    assert not (wanted.stores_dir / "tenant-acme-corp.key").exists()
    with opened(wanted) as store:
        assert store.is_durable
        assert store.notice == ""
    assert database(wanted).exists()
