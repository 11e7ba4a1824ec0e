"""Nothing that anybody wrote, and no credential, stands readable on the disk: open, after kill -9, after an exit."""

import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest

from hitl_desktop.domain.decision import Draft, Verdict
from hitl_desktop.domain.outbox import OutboxState
from hitl_desktop.services.connection import connect
from hitl_desktop.services.encoding import GateRequest
from hitl_desktop.services.gates import Gates
from hitl_desktop.settings import Settings, read_settings
from hitl_desktop.store.keys import Keys
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.environments import key_file
from tests.gates import TENANT, ask, decision, gate_request, item, written
from tests.servers import Server
from tests.stores import opened

ROOT = Path(__file__).parent.parent.parent
SCRIPT = Path(__file__).with_name("reviewer_process.py")
NAMES = TenantNames(TENANT)


def spelled(secret: bytes) -> dict[str, bytes]:
    """Return a secret in every spelling in which it might be written down."""
    spellings = {"as it is": secret, "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode()}
    for shift in range(3):
        # Within a longer text it is spelled in one of three ways; the ends, which depend on what is around, are cut.
        encoded = base64.b64encode(bytes(shift) + secret).rstrip(b"=")[4:-2]
        spellings[f"base64, {shift}"] = encoded
        spellings[f"base64 for addresses, {shift}"] = encoded.translate(bytes.maketrans(b"+/", b"-_"))
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return spellings
    escaped = json.dumps(text)[1:-1].encode()
    wide = {f"UTF-{size}, {end}": text.encode(f"utf-{size}-{end}") for size in (16, 32) for end in ("le", "be")}
    return spellings | wide | {"quoted": quote(text).encode(), "escaped": escaped}


def found(folder: Path, hidden: dict[str, bytes]) -> list[str]:
    """Return which of the secrets stand in which files beneath `folder`, and how they are spelled."""
    contents = [(path, path.read_bytes()) for path in folder.rglob("*") if path.is_file()]
    assert contents
    looked_for = [(what, how, text) for what, secret in hidden.items() for how, text in spelled(secret).items()]
    names = [(path, os.fsencode(path.name)) for path in folder.rglob("*")]
    return [
        f"{what}, {how}, in {path.name}"
        for path, content in contents + names
        for what, how, text in looked_for
        if text in content
    ]


def secret_text() -> str:
    return f"päpst{secrets.token_hex(9)}"


def with_evidence(request: GateRequest, content: str, task_id: str) -> GateRequest:
    items = [item("artifact", f"src/{secrets.token_hex(4)}.py", content), item("test_result", "in/the/folder.txt", "")]
    items[1]["metadata"] = {}
    bundle = {**request.bundle, "items": json.dumps(items), "task_id": task_id}
    return replace(request, bundle=bundle, task_id=task_id)


@contextmanager
def reviewer(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, SCRIPT],
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=environment["HOME"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def heard(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    word = process.stdout.readline().strip()
    if not word:
        pytest.fail(f"the reviewer's process ended: {process.communicate()[1]}")
    return word


def tell(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()


async def reject_elsewhere(server: Server, request: GateRequest, reason: str) -> None:
    async with connect(server.url) as connection:
        with TenantContext.tenant_scope(TENANT):
            gates = Gates(connection, NAMES)
            gate = await gates.get(request.request_id)
            await gates.decide(decision(gate, Verdict.REJECTED, reviewer="other@example.org", reason=reason), gate)


@pytest.fixture
def evidence_folder() -> Iterator[Path]:
    """A folder outside the home folder: what lies in it was never the application's to hide."""
    with tempfile.TemporaryDirectory(prefix="hitl-") as folder:
        yield Path(folder)


@dataclass
class Case:
    """One reviewer's day: what is written in it, and what of it must not be found."""

    texts: dict[str, str]
    hidden: dict[str, bytes]
    requests: dict[str, GateRequest]
    environment: dict[str, str]

    @property
    def settings(self) -> Settings:
        return read_settings(self.environment)


@pytest.fixture(params=["key file", "passphrase"])
async def case(request: pytest.FixtureRequest, valkey: Server, home: Path, evidence_folder: Path) -> Case:
    texts = {name: secret_text() for name in ("lost", "queued", "drafted", "lost reason", "queued reason")}
    texts |= {name: secret_text() for name in ("condition", "draft", "content", "file", "task", "theirs", "password")}
    hidden = {name: text.encode() for name, text in texts.items()}
    # What is searched for must be found, so it stands in the evidence; two words of it.
    texts["search"] = f"{texts['content']} {texts['file']}"
    (evidence_folder / "in" / "the").mkdir(parents=True)
    (evidence_folder / "in" / "the" / "folder.txt").write_text(f"In the folder: {texts['file']}")
    valkey.run("ACL", "SETUSER", "reviewer", "on", f">{texts['password']}", "~*", "&*", "+@all")
    requests = {name: gate_request(texts[name]) for name in ("lost", "queued", "drafted")}
    requests["drafted"] = with_evidence(requests["drafted"], f"x = '{texts['content']}'\n" * 40, texts["task"])
    await ask(valkey.url, TENANT, *requests.values())
    (home / "tmp").mkdir()
    environment = {
        **os.environ,
        "TMPDIR": str(home / "tmp"),
        "HITL_REDIS_URL": valkey.url.replace("redis://", f"redis://reviewer:{quote(texts['password'])}@"),
        "HITL_REVIEWER": "rev@example.org",
        "MULTI_TENANCY_ENABLED": "true",
        "ALLOWED_TENANTS": TENANT,
        "DEFAULT_TENANT_ID": TENANT,
        "HITL_EVIDENCE_FOLDERS": f"{TENANT}={evidence_folder}",
        "HITL_UNDO_SECONDS": "0",
    }
    if request.param == "key file":
        key = key_file(evidence_folder)
        hidden["key file"] = key.read_bytes()
        environment["HITL_KEY_FILE"] = str(key)
    else:
        environment["HITL_PASSPHRASE"] = secret_text()
        hidden["passphrase"] = environment["HITL_PASSPHRASE"].encode()
    return Case(texts, hidden, requests, environment)


async def test_nothing_that_was_read_or_written_can_be_found_on_the_disk(
    case: Case, valkey: Server, home: Path, qapp: object
) -> None:
    wanted, texts, hidden = case.settings, case.texts, case.hidden
    told = {"TEXTS": "\n".join(f"{name}={text}" for name, text in texts.items())}
    with reviewer(case.environment | told) as process:
        assert heard(process) == "decided"
        await reject_elsewhere(valkey, case.requests["lost"], texts["theirs"])
        tell(process)
        assert heard(process) == "ready"
        key = Keys(wanted.stores_dir, wanted.key_file, wanted.passphrase, "").find(NAMES)
        assert key is not None
        hidden["data key"] = key
        assert (wanted.stores_dir / f"{NAMES.file_stem}.db-wal").stat().st_size > 0
        assert found(home, hidden) == []
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
    assert found(home, hidden) == []
    assert [text for text in texts.values() if text in out + err] == []
    is_kept(case, home.with_name(f"{home.name}-copy"))

    with reviewer(case.environment) as process:
        assert heard(process) == "ready"
        assert found(home, hidden) == []
        tell(process)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert [text for text in texts.values() if text in out + err] == []
    assert not (wanted.stores_dir / f"{NAMES.file_stem}.db-wal").exists()
    assert found(home, hidden) == []
    assert written(valkey, TENANT, case.requests["queued"]).gate["reason"] == texts["queued reason"]


def is_kept(case: Case, copy: Path) -> None:
    """Look into a copy with the key: it was not secret because it was not there."""
    texts, drafted = case.texts, case.requests["drafted"].request_id
    shutil.copytree(case.settings.state_dir, copy)
    with opened(replace(case.settings, state_dir=copy), NAMES) as store:
        rows = {one.decision.reason: one for one in store.outbox.entries()}
        assert rows[texts["queued reason"]].decision.conditions == (texts["condition"],)
        assert rows[texts["lost reason"]].state is OutboxState.CONFLICT
        theirs = rows[texts["lost reason"]].theirs
        assert theirs is not None
        assert theirs.reason == texts["theirs"]
        assert store.drafts.all() == {drafted: Draft(texts["draft"])}
        assert [hit.request_id for hit in store.evidence.search(texts["search"])] == [drafted]
    shutil.rmtree(copy)


@pytest.mark.parametrize("how", list(spelled("päpst".encode() + b"0123456789abcdef")))
def test_the_search_would_find_it(home: Path, how: str) -> None:
    secret = secret_text().encode()
    spelling = spelled(secret)[how]
    (home / "file").write_bytes(b"before" + spelling + b"after")
    assert any(line.endswith("in file") for line in found(home, {"secret": secret}))


@pytest.mark.parametrize("shift", range(7))
def test_the_search_would_find_it_within_a_longer_text(home: Path, shift: int) -> None:
    secret = os.urandom(32)
    (home / "file").write_bytes(base64.b64encode(b"x" * shift + secret + b"and more"))
    assert found(home, {"secret": secret})
