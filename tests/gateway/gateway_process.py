"""The gateway as it is run: a process of its own, before a real Chroma server, with a token for each tenant."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hitl_desktop
from hitl_desktop.gateway.tokens import digest_of, new_token
from hitl_desktop.services.chroma import gateway_headers
from tests.processes import DEADLINE

ROOT = Path(hitl_desktop.__file__).parent.parent
TENANTS = ("acme-corp", "acme", "widgets-inc", "Old_Client")


@dataclass
class GatewayProcess:
    """A gateway that runs, with what a test asks of it."""

    url: str
    folder: Path
    process: "subprocess.Popen[str]"
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def token_file(self) -> Path:
        return self.folder / "tokens.toml"

    @property
    def audit_file(self) -> Path:
        return self.folder / "audit.jsonl"

    def headers(self, tenant_id: str) -> dict[str, str]:
        return gateway_headers(tenant_id, self.tokens[tenant_id])

    def refusals(self) -> list[dict[str, Any]]:
        if not self.audit_file.exists():
            return []
        return [json.loads(line) for line in self.audit_file.read_text().splitlines()]

    def write_tokens(self) -> None:
        """Put the digests into the token file, in one step."""
        lines = [f'"{tenant_id}" = "{digest_of(token)}"\n' for tenant_id, token in self.tokens.items()]
        fresh = self.token_file.with_suffix(".new")
        fresh.write_text("".join(lines))
        fresh.chmod(0o600)
        fresh.replace(self.token_file)


@contextmanager
def gateway_process(
    folder: Path, chroma: str, tenants: Sequence[str] = TENANTS, *options: str
) -> Iterator[GatewayProcess]:
    """Run `hitl-desktop tenants gateway` before `chroma` and yield it once it listens."""
    gateway = GatewayProcess("", folder, None, {tenant_id: new_token() for tenant_id in tenants})  # type: ignore[arg-type]  # below
    gateway.write_tokens()
    environment = {name: value for name, value in os.environ.items() if name != "HITL_STATE_DIR"}
    environment |= {"ALLOWED_TENANTS": ",".join(TENANTS), "HOME": str(folder), "HITL_STATE_DIR": str(folder / "state")}
    command = [sys.executable, "-m", "hitl_desktop", "tenants", "gateway", "--chroma", chroma, "--port", "0", *options]
    command += ["--tokens", str(gateway.token_file), "--audit", str(gateway.audit_file)]
    with (folder / "gateway.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said.startswith("The gateway listens at http://"), (folder / "gateway.log").read_text()
            gateway.url, gateway.process = said.split()[-1].rstrip("."), process
            yield gateway
        finally:
            process.terminate()
            try:
                process.wait(DEADLINE)
            finally:
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()
