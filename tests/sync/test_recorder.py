"""What is gathered of the server's changes and written together is what was told last."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from hitl_desktop.store.tenant_store import open_store
from hitl_desktop.sync.book import Change, GateBook
from hitl_desktop.sync.recorder import Recorder
from tests.environments import key_file
from tests.stores import NAMES, gate, settings

NAMED = {name: gate(name, request_id=name) for name in ("a", "b", "c")}


async def calm() -> None:
    """Let it write."""


@given(st.lists(st.tuples(st.sampled_from(sorted(NAMED)), st.booleans(), st.booleans()), max_size=12))
async def test_a_gate_that_went_is_not_kept_whatever_was_written_together(steps: list[tuple[str, bool, bool]]) -> None:
    there: set[str] = set()
    with TemporaryDirectory(prefix="hitl-") as folder:
        home = Path(folder)
        async with open_store(settings(home / "state", key_file=key_file(home)), NAMES) as disk:
            recorder = Recorder(disk, GateBook(str), calm)
            for name, comes, is_written in steps:
                recorder.note(Change((NAMED[name],)) if comes else Change(gone=(name,)))
                (there.add if comes else there.discard)(name)
                if is_written:
                    await recorder.flush()
            await recorder.flush()
            assert await disk(lambda store: {one.request_id for page in store.gates.pages(5) for one in page}) == there
