"""A process that uses a workspace: it says what it found, does what it is told line by line, and leaves at the end."""

import asyncio
import itertools
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from hitl_desktop.local import open_workspace
from hitl_desktop.services.chroma import NoEmbedding
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.knowledge import DOCUMENTS, VECTOR, new, store_of


async def write_for_ever(client: Any, tenant_id: str) -> None:
    """Write one document after the other, and say each one's id once the store has it."""
    with TenantContext.tenant_scope(tenant_id):
        store = store_of(client, tenant_id)
        for number in itertools.count():
            await store.put(DOCUMENTS, [new(str(number), f"document {number}")])
            print(json.dumps({"written": str(number)}), flush=True)


async def read(client: Any, tenant_id: str) -> list[str]:
    """Return the ids of all documents that are found by their words and by their vectors."""
    with TenantContext.tenant_scope(tenant_id):
        hits = (await store_of(client, tenant_id).search("document", 10_000)).hits
        there = client.get_collection(TenantNames(tenant_id).collection(DOCUMENTS), embedding_function=NoEmbedding())
        near = there.query(query_embeddings=[VECTOR], n_results=10_000, include=[])["ids"][0]
        return sorted({hit.document_id for hit in hits} & set(near))


async def main() -> None:
    async with open_workspace(Path(sys.argv[1])) as workspace:
        print(json.dumps({"url": workspace.redis_url}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            verb, _, argument = line.strip().partition(" ")
            if verb == "chroma":
                client = await workspace.chroma()
                print(json.dumps({"owned": client is not None}), flush=True)
            elif verb == "write":
                await write_for_ever(await workspace.chroma(), argument)
            elif verb == "read":
                found = await read(await workspace.chroma(), argument)
                print(json.dumps({"found": found}), flush=True)
            elif verb == "record":
                await workspace.record_tenant(argument)
                print(json.dumps({"tenants": workspace.tenants}), flush=True)


asyncio.run(main())
