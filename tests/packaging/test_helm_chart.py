"""The chart, rendered by Helm itself and applied to a real server."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hitl_desktop.services.acl import PASSWORD, Role, commands, set_user
from hitl_desktop.services.connection import connect
from hitl_desktop.services.errors import Refused
from hitl_desktop.services.gates import Gates
from hitl_desktop.services.history import History
from hitl_desktop.services.scripts import LIBRARY
from hitl_desktop.settings import KeyLayout, read_tenancy
from hitl_desktop.tenancy import TenantContext, TenantNames
from tests.gates import decision, gate_request, posted
from tests.servers import Server

CHART = Path("packaging/helm")
Render = Callable[..., dict[tuple[str, str], Any]]


@pytest.fixture(scope="module")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("helm")), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return call


@pytest.fixture
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Render:
    def call(**values: Any) -> dict[tuple[str, str], Any]:
        settings = [word for name, value in values.items() for word in ("--set-json", f"{name}={json.dumps(value)}")]
        done = helm("template", "try", str(CHART), *settings)
        if done.returncode:
            raise ValueError(done.stderr)
        documents = [document for document in yaml.safe_load_all(done.stdout) if document]
        return {(document["kind"], document["metadata"]["name"]): document for document in documents}

    return call


def tenants(**values: Any) -> dict[str, Any]:
    return {"enabled": True, "allowedTenants": ["acme-corp", "widgets-inc"], **values}


def test_helm_finds_nothing_wrong(helm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout


def test_every_object_is_rendered_with_its_references(render: Render) -> None:
    objects = render()
    assert {kind for kind, _ in objects} == {"ConfigMap", "Service", "StatefulSet", "NetworkPolicy"}
    for (kind, name), thing in objects.items():
        if kind == "StatefulSet":
            assert ("Service", thing["spec"]["serviceName"]) in objects
            labels = thing["spec"]["template"]["metadata"]["labels"]
            assert thing["spec"]["selector"]["matchLabels"].items() <= labels.items()
            assert objects["Service", name]["spec"]["selector"].items() <= labels.items()
    assert not [name for kind, name in render(**{"chroma.enabled": False}) if "chroma" in name]


@pytest.mark.parametrize("listed", [["acme-corp", "widgets-inc"], "acme-corp, widgets-inc"])
def test_the_environment_of_agents_says_what_the_block_says(render: Render, listed: Any) -> None:
    objects = render(multiTenancy=tenants(allowedTenants=listed, defaultTenant="acme-corp", tenantHeader="X-Client"))
    read = read_tenancy(objects["ConfigMap", "try-tenancy"]["data"])
    assert read == (True, "acme-corp", ("acme-corp", "widgets-inc"), "X-Client")
    assert read_tenancy(render(**{"multiTenancy.enabled": False})["ConfigMap", "try-tenancy"]["data"]).enabled is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"multiTenancy": tenants(allowedTenants=["Acme Corp"])},
        {"multiTenancy": tenants(allowedTenant=["acme-corp"])},
        {"multiTenancy": tenants(defaultTenant="a_b")},
        {"keyLayout": "hash"},
        {"redis.password": "secret"},
    ],
)
def test_values_outside_the_schema_are_refused(render: Render, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="don't meet the specifications of the schema"):
        render(**wrong)


def test_the_files_of_the_chart_are_those_that_the_application_makes() -> None:
    made = runpy.run_path("packaging/chart_files.py")["chart_files"]()
    assert {path.name: path.read_text() for path in (CHART / "files").iterdir()} == made


@pytest.mark.parametrize("layout", list(KeyLayout))
def test_the_users_have_the_rules_that_the_command_line_prints(render: Render, layout: KeyLayout) -> None:
    lines = render(keyLayout=layout.value)["ConfigMap", "try-redis-users"]["data"]["users.acl"].splitlines()
    printed = {set_user(TenantNames(tenant, layout), role) for tenant in ("acme-corp", "widgets-inc") for role in Role}
    others = {"user default reset off", f"user admin reset on {PASSWORD} ~* &* +@all"}
    assert set(lines) - others == {
        line.replace("ACL SETUSER", "user").replace(f">{PASSWORD}", PASSWORD) for line in printed
    }


def test_single_tenant_mode_has_the_same_rules_without_a_tenant(render: Render) -> None:
    lines = render(**{"multiTenancy.enabled": False})["ConfigMap", "try-redis-users"]["data"]["users.acl"].splitlines()
    for role in Role:
        rules = [TenantNames(None).key_pattern, *(f"+{name}" for name in commands(role, KeyLayout.PLAIN))]
        assert f"user single-tenant-{role} reset on {PASSWORD} ~{' '.join(rules)}" in lines


def users(render: Render, folder: Path, *, without: str = "", **values: Any) -> list[str]:
    """Return the lines that the server's users are made from, filled in as the chart's own script does it."""
    data = render(**values)["ConfigMap", "try-redis-users"]["data"]
    mounted, passwords, filled = (folder / name for name in ("users", "passwords", "filled"))
    for made in (mounted, passwords, filled):
        made.mkdir()
    for name, content in data.items():
        (mounted / name).write_text(content)
    for line in data["users.acl"].splitlines():
        if "<PASSWORD>" in line and line.split()[1] != without:
            (passwords / line.split()[1]).write_text(f"password of {line.split()[1]}\n")
    done = subprocess.run(
        ["sh", mounted / "fill.sh", mounted, passwords, filled], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ValueError(done.stderr)
    return (filled / "users.acl").read_text().splitlines()


def load_functions(server: Server, render: Render, folder: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    """Load the functions, or `code`, as the chart's own script does it once the server runs."""
    for name, content in render()["ConfigMap", "try-redis-functions"]["data"].items():
        (folder / name).write_text(code if code and name.endswith(".lua") else content)
    words: list[str | Path] = ["sh", folder / "load.sh", str(server.port), folder / "functions.lua"]
    return subprocess.run([*words, folder / "passwords" / "admin"], capture_output=True, text=True, check=False)


def test_functions_that_the_server_does_not_take_are_no_start(
    server: Server, render: Render, redis_cli: Path, tmp_path: Path
) -> None:
    admin = next(line.split() for line in users(render, tmp_path) if line.split()[1] == "admin")
    server.run("ACL", "SETUSER", *admin[1:])
    assert load_functions(server, render, tmp_path, "#!lua name=damaged\nreturn").returncode
    assert server.run("FUNCTION", "LIST") == []


@pytest.mark.parametrize("layout", list(KeyLayout))
async def test_a_tenants_users_reach_their_own_tenant_alone(
    server: Server, render: Render, redis_cli: Path, tmp_path: Path, layout: KeyLayout
) -> None:
    for line in users(render, tmp_path, keyLayout=layout.value):
        _, name, *rules = line.split()
        if name != "default":
            server.run("ACL", "SETUSER", name, *rules)
    loaded = load_functions(server, render, tmp_path)
    assert (loaded.returncode, loaded.stdout.strip()) == (0, LIBRARY), loaded.stderr

    def address(user: str) -> str:
        password = f"password of {user}".replace(" ", "%20")
        return f"redis://{user}:{password}@{server.host}:{server.port}/0"

    names = TenantNames("acme-corp", layout)
    with TenantContext.tenant_scope("acme-corp"):
        async with (
            connect(address("acme-corp-agent")) as agent,
            connect(address("acme-corp-reviewer")) as reviewer,
            connect(address("widgets-inc-reviewer")) as stranger,
        ):
            await posted(Gates(agent, names), asked := gate_request("A gate"))
            gate = await Gates(reviewer, names).get(asked.request_id)
            assert (await Gates(reviewer, names).decide(decision(gate), gate)).status == "approved"
            assert len(await History(reviewer, names).recent()) == 1
            with pytest.raises(Refused, match="does not permit"):
                await Gates(reviewer, names).request(gate_request("A reviewer asks nobody"))
            with pytest.raises(Refused, match="does not permit"):
                await Gates(stranger, names).pending_ids()


def test_a_missing_password_starts_nothing(render: Render, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"The secret has no password for widgets-inc-agent\."):
        users(render, tmp_path, without="widgets-inc-agent")
