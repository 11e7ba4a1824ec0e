"""A process that uses a workspace: it says what it found, does what it is told line by line, and leaves at the end."""

import asyncio
import json
import sys
from pathlib import Path

from hitl_desktop.local import open_workspace


async def main() -> None:
    async with open_workspace(Path(sys.argv[1])) as workspace:
        print(json.dumps({"url": workspace.redis_url}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            verb, _, argument = line.strip().partition(" ")
            if verb == "chroma":
                client = await workspace.chroma()
                print(json.dumps({"owned": client is not None}), flush=True)
            elif verb == "record":
                await workspace.record_tenant(argument)
                print(json.dumps({"tenants": workspace.tenants}), flush=True)


asyncio.run(main())
