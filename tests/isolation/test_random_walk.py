"""T08: three tenants whose names are much alike do whatever can be done, in any order, and none ever meets another."""

import shutil
from pathlib import Path
from random import Random

import pytest

from hitl_desktop.services.chroma_memory import MemoryChroma
from hitl_desktop.settings import KeyLayout
from hitl_desktop.tenancy import TenantNames
from tests import servers
from tests.isolation import client_steps, command_steps, review_steps
from tests.isolation.model import Model
from tests.isolation.place import Place, settle_in
from tests.isolation.walk import walking
from tests.seeds import BRINGS_BACK
from tests.servers import Server

# One begins as another; one is legacy, and a file system that does not heed case would take it for another.
MARKS = {"acme": "quince", "acme-corp": "medlar", "Acme.Corp": "loquat"}
STEPS = {**client_steps.STEPS, **review_steps.STEPS, **command_steps.STEPS}
TOGETHER = 250
"""Steps of one walk; then all is emptied and another begins, since comparing everything takes longer and longer."""


@pytest.fixture
def walk_length(*, full: bool) -> int:
    """How many steps each server and layout gets of 2,000, or 20,000, in all."""
    return (20_000 if full else 2_000) // (len(servers.available()) * len(KeyLayout))


@pytest.mark.parametrize("layout", list(KeyLayout))
async def test_three_tenants_never_meet(
    server: Server, layout: KeyLayout, monkeypatch: pytest.MonkeyPatch, walk_length: int, seed: int
) -> None:
    settle_in(monkeypatch, server, layout, *MARKS)
    for start in range(0, walk_length, TOGETHER):
        server.flush()
        place = Place(server, layout, MemoryChroma())
        state = Path.home() / f"state-{start}"
        monkeypatch.setenv("HITL_STATE_DIR", str(state))
        models = [Model(TenantNames(tenant, layout), mark) for tenant, mark in MARKS.items()]
        random = Random(f"{seed}-{start}")  # noqa: S311 - chooses a path, guards nothing
        async with walking(place, models, random) as walk:
            try:
                await walk.go(list(STEPS), list(STEPS.values()), TOGETHER)
            except BaseException as error:
                error.add_note(f"{BRINGS_BACK} leads here again; the last steps of {start} + n:")
                error.add_note("\n".join(walk.taken))
                raise
        shutil.rmtree(state)
