import base64
from hashlib import sha256
from pathlib import Path

import pytest

from hitl_desktop.domain.evidence import INLINE_LIMIT, EvidenceItem, Integrity
from hitl_desktop.services.evidence import find_evidence, inline_evidence


def hashed(content: bytes) -> str:
    return sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = (tmp_path / "acme").resolve()
    (folder / "src").mkdir(parents=True)
    (folder / "src/pay.py").write_bytes(b"x = 1\n")
    (tmp_path / "secret").write_bytes(b"another client's")
    (folder / "out").symlink_to(tmp_path / "secret")
    return folder


def test_text_that_the_bundle_carries_is_verified() -> None:
    found = inline_evidence(EvidenceItem("artifact", "a.py", "", hashed(b"x = 1"), {"content": "x = 1"}))
    assert (found.content, found.text, found.integrity) == (b"x = 1", "x = 1", Integrity.VERIFIED)


def test_bytes_that_the_bundle_carries_are_verified() -> None:
    content = b"\x89PNG\0"
    encoded = base64.b64encode(content).decode()
    found = inline_evidence(EvidenceItem("image", "a.png", "", hashed(content), {"content_base64": encoded}))
    assert (found.content, found.text, found.integrity) == (content, None, Integrity.VERIFIED)


@pytest.mark.parametrize(
    "metadata",
    [{}, {"content": 7}, {"content_base64": "not base64!"}, {"content": "x" * (INLINE_LIMIT + 1)}],
)
def test_what_is_not_carried_as_agreed_is_missing(metadata: dict[str, object]) -> None:
    found = inline_evidence(EvidenceItem("artifact", "a.py", "", "", metadata))
    assert (found.content, found.integrity) == (None, Integrity.MISSING)


def test_a_file_is_looked_up_by_its_path(folder: Path) -> None:
    item = EvidenceItem("artifact", "src/pay.py", "", hashed(b"x = 1\n"))
    assert find_evidence(item, folder, rendered=False).integrity is Integrity.VERIFIED
    assert find_evidence(item, None, rendered=False).integrity is Integrity.MISSING


def test_a_hash_of_something_else_proves_nothing_only_where_agents_hash_renderings(folder: Path) -> None:
    item = EvidenceItem("artifact", "src/pay.py", "", hashed(b"rendered"))
    assert find_evidence(item, folder, rendered=True).integrity is Integrity.UNVERIFIABLE
    assert find_evidence(item, folder, rendered=False).integrity is Integrity.MISMATCH


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "out", "src/../../secret", "a\0b", "", "src", "x" * 5000])
def test_no_path_leads_out_of_the_folder(folder: Path, path: str) -> None:
    assert find_evidence(EvidenceItem("artifact", path), folder, rendered=False).content is None


def test_what_the_bundle_carries_goes_before_the_file(folder: Path) -> None:
    item = EvidenceItem("artifact", "src/pay.py", "", "", {"content": "carried"})
    assert find_evidence(item, folder, rendered=False).content == b"carried"
