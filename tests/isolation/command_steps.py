"""What is done by verbs of the command line, by people and by agents' scripts."""

import asyncio
import contextlib
import json
import subprocess
import sys
from typing import Any

from hitl_desktop.domain.time import parse_time
from hitl_desktop.services.encoding import GateRequest
from tests import processes
from tests.isolation.model import Asked, Model, Row
from tests.isolation.review_steps import check_outbox
from tests.isolation.walk import Step, Walk


async def list_gates(walk: Walk, model: Model) -> None:
    told: Any = json.loads((await walk.run(model, "gates", "list", "--json")).out)
    assert (told["tenant_id"], told["quarantined"]) == (model.tenant, [])
    assert {gate["request_id"] for gate in told["gates"]} == model.pending
    model.listed = model.pending


async def show_a_gate(walk: Walk, model: Model) -> None:
    if model.gates:
        name = walk.random.choice(list(model.gates))
        told = await walk.run(model, "gates", "show", name)
        assert model.gates[name].request.bundle["summary"] in told.out


async def show_anothers_gate(walk: Walk, model: Model) -> None:
    if (name := walk.foreign_gate(model)) is not None:
        await walk.run(model, "gates", "show", name, expect=7)
        await walk.run(model, "gates", "approve", name, expect=7)
        await walk.run(model, "gates", "approve", name, "--offline", expect=7)


async def decide(walk: Walk, model: Model) -> None:
    free = model.pending - {row.request_id for row in model.outbox.values()}
    if free:
        name, reason = walk.random.choice(sorted(free)), model.text()
        verb, verdict = walk.random.choice([("approve", "approved"), ("reject", "rejected")])
        told = await walk.run(model, "gates", verb, name, "--reason", reason, "--json")
        model.decide(name, json.loads(told.out)["decision_id"], verdict, reason)


async def queue(walk: Walk, model: Model) -> None:
    free = model.listed - {row.request_id for row in model.outbox.values()}
    if free:
        name, reason = walk.random.choice(sorted(free)), model.text()
        told = await walk.run(model, "gates", "reject", name, "--reason", reason, "--offline", "--json")
        model.outbox[json.loads(told.out)["decision_id"]] = Row(name, "rejected", reason)


async def sync(walk: Walk, model: Model) -> None:
    model.deliver()
    clashes = any(row.clashed for row in model.outbox.values())
    code = 5 if clashes else 6 if model.on_their_way else 0
    told: Any = json.loads((await walk.run(model, "gates", "sync", "--json", expect=code)).out)
    assert told["pending"] == len(model.pending)
    model.listed = model.pending


async def list_the_outbox(walk: Walk, model: Model) -> None:
    told: Any = json.loads((await walk.run(model, "outbox", "list", "--json")).out)
    assert {row["decision_id"] for row in told["decisions"]} == model.outbox.keys()
    walk.told(model, await walk.run(model, "outbox", "list", "--all"), await walk.run(model, "outbox", "export"))


async def withdraw(walk: Walk, model: Model) -> None:
    if model.outbox:
        name = walk.random.choice(sorted(model.outbox))
        await walk.run(model, "outbox", "withdraw", name)
        del model.outbox[name]


async def reach_for_anothers_row(walk: Walk, model: Model) -> None:
    for other in walk.others(model):
        for name in list(other.outbox)[:1]:
            for verb in ("show", "withdraw", "retry", "export"):
                await walk.run(model, "outbox", verb, name, expect=7)


async def request(walk: Walk, model: Model) -> None:
    task, summary = f"{model.mark}-task-cli", model.text()
    words = ("--type", "plan", "--task", task, "--session", f"{model.mark}-session", "--summary", summary)
    told: Any = json.loads((await walk.run(model, "gates", "request", *words, "--json")).out)
    model.gates[told["request_id"]] = Asked(await _as_written(walk, model, told))


async def _as_written(walk: Walk, model: Model, told: Any) -> GateRequest:
    """Return the request that a verb made, of which only the server can tell the times."""
    client = walk.clients[model.tenant]
    gate = await client.hgetall(f"asdlc:gate_request:{told['request_id']}")
    bundle = await client.hgetall(f"asdlc:evidence_bundle:{told['evidence_bundle_id']}")
    at = parse_time(gate["requested_at"])
    words = (gate["request_id"], gate["task_id"], gate["session_id"], gate["gate_type"], gate["requested_by"])
    return GateRequest(*words, at, bundle)


async def kill_a_verb(walk: Walk, model: Model) -> None:
    """Kill a process while it decides; what it had begun is ended by the next one, once, or was never begun."""
    free = model.pending - {row.request_id for row in model.outbox.values()}
    if not free:
        return
    name, reason = walk.random.choice(sorted(free)), model.text()
    verb = ("gates", "approve", name, "--reason", reason, "--tenant", model.tenant)
    process = processes.start([sys.executable, "-m", "hitl_desktop", *verb])
    with contextlib.suppress(subprocess.TimeoutExpired):
        await asyncio.to_thread(process.wait, walk.random.uniform(0.2, 1.5))
    processes.end(process, kill=True)
    await (await walk.session(model)).sync()
    gate = await walk.clients[model.tenant].hgetall(f"asdlc:gate_request:{name}")
    if gate["status"] != "pending":
        model.decide(name, gate["decision_id"], "approved", reason)
    model.deliver()
    model.listed = model.pending
    await check_outbox(walk, model)


async def list_tenants(walk: Walk, model: Model) -> None:
    answer = await walk.place.run("tenants", "list", "--json")
    told: Any = json.loads(answer.out)
    assert {row["tenant_id"]: row["pending"] for row in told["tenants"]} == {
        each.tenant: len(each.pending) for each in walk.models
    }
    await walk.run(model, "doctor")


STEPS: dict[Step, float] = {
    list_gates: 1,
    show_a_gate: 1,
    show_anothers_gate: 1,
    decide: 1,
    queue: 1,
    sync: 1,
    list_the_outbox: 1,
    withdraw: 1,
    reach_for_anothers_row: 1,
    request: 1,
    list_tenants: 1,
    kill_a_verb: 0.3,
}
