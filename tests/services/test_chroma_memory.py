"""Where the store in memory decides by itself what Chroma decides, it decides as Chroma does."""

import random
from pathlib import Path
from typing import Any

from hitl_desktop.services.chroma_memory import MemoryChroma, MemoryCollection
from hitl_desktop.tenancy import TenantContext
from tests.knowledge import DOCUMENTS, embedded, new, store_of

SPECIAL = "iI\u0130\u0131sS\u017f\u1e9e\u00dfkK\u212a\u00b5\u03c3\u03c2\u0390\u1fd3\u03b0\u1fe3\ufb05\ufb06\u01c5\u1f88"
CASED = [c for c in map(chr, range(0x20000)) if len({c, c.lower(), c.upper(), c.casefold()}) > 1]


async def test_a_letter_matches_the_same_letters_as_in_chroma(tmp_path: Path, *, full: bool) -> None:
    some = {*SPECIAL, *random.sample(CASED, 600 if full else 60)}
    letters = sorted({one for c in some for one in (c, c.lower(), c.upper(), c.casefold()) if len(one) == 1})
    clients: list[Any] = [MemoryChroma(), embedded(tmp_path)]
    found: list[list[set[str]]] = []
    with TenantContext.tenant_scope("acme-corp"):
        for client in clients:
            store = store_of(client)
            await store.put(DOCUMENTS, [new(f"{ord(c):x}", f"a{c}z") for c in letters])
            found.append([{hit.document_id for hit in (await store.search(f"a{c}z")).hits} for c in letters])
            client.close()
    wrong = {
        f"U+{ord(c):04X}": (ours, theirs) for c, ours, theirs in zip(letters, *found, strict=True) if ours != theirs
    }
    assert wrong == {}


async def test_reading_only_gets_and_never_makes() -> None:
    made: list[str] = []

    class Watched(MemoryChroma):
        def get_or_create_collection(self, name: str, **options: Any) -> MemoryCollection:
            made.append(name)
            return super().get_or_create_collection(name, **options)

    store = store_of(Watched())
    with TenantContext.tenant_scope("acme-corp"):
        await store.put(DOCUMENTS, [new("d1", "text")])
        assert made == [f"acme-corp_{DOCUMENTS}"]
        await store.search("text")
        await store.document(DOCUMENTS, "d1")
        await store.probe()
        await store.adopt(execute=False)
    assert made == [f"acme-corp_{DOCUMENTS}"]


async def test_two_stores_in_memory_share_nothing() -> None:
    with TenantContext.tenant_scope("acme-corp"):
        await store_of(MemoryChroma()).put(DOCUMENTS, [new("d1", "text")])
        assert (await store_of(MemoryChroma()).search("text")).hits == ()
