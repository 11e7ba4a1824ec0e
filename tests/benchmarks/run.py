"""Runs the benchmarks, prints a table and writes bench.json. Ratios are to a floor measured in the same run.

Floor and subject alternate, in fresh processes; a figure is the median of the rounds. `--rounds N` and `--gates N` give
a quicker, rougher look. A limit that is missed is marked in the table; the exit code stays 0: a figure is no test.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.environments import key_file  # noqa: E402 - found through the path above
from tests.servers import Server  # noqa: E402 - as above

FOLDER = Path(__file__).parent
EVENTS = 400


@dataclass(frozen=True)
class Result:
    """One figure with the limit that it should keep."""

    name: str
    value: float
    limit: float
    unit: str


def environment(state: str) -> dict[str, str]:
    """Return an environment in which nothing of this machine's settings counts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HITL_", "REDIS_"))}
    # Where compiled modules may not be kept, every start would measure the compiler.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "QT_QPA_PLATFORM": "offscreen", "HITL_STATE_DIR": state, "PYTHONPATH": str(ROOT)}


def run(script: str, *arguments: object, state: str) -> str:
    """Run a script of this folder to its end and return its last line; empty if it prints none."""
    command = [sys.executable, str(FOLDER / script), *map(str, arguments)]
    done = subprocess.run(command, env=environment(state), stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.rstrip().rpartition("\n")[2]


def painted(script: str, state: str, settings: Mapping[str, str] = MappingProxyType({})) -> tuple[float, float]:
    """Return the seconds from the start of a process to its first frame, and its memory then, in MiB."""
    started = time.perf_counter()
    command = [sys.executable, str(FOLDER / script)]
    with subprocess.Popen(
        command, env={**environment(state), **settings}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        memory = process.stdout.readline()
        seconds = time.perf_counter() - started
    return seconds, int(memory) / 1024


def first_paint(rounds: int, state: str) -> list[Result]:
    """Measure the first frame."""
    for script in ("bare_window.py", "real_window.py"):
        painted(script, state)
    pairs = [(painted("bare_window.py", state), painted("real_window.py", state)) for _ in range(rounds)]
    return [
        Result("first_paint", median(real[0] / bare[0] for bare, real in pairs), 1.4, "ratio"),
        Result("first_paint_rss", median(real[1] / bare[1] for bare, real in pairs), 1.6, "ratio"),
    ]


def cached(rounds: int, folder: Path, gates: int) -> list[Result]:
    """Measure how soon a cached list shows, with no server to be reached."""
    state = str(folder / "cached")
    settings = {
        "HITL_KEY_FILE": str(key_file(folder)),
        "HITL_REDIS_URL": "redis://127.0.0.1:9/0",
        "MULTI_TENANCY_ENABLED": "true",
        "ALLOWED_TENANTS": "acme-corp",
    }
    subprocess.run(
        [sys.executable, str(FOLDER / "cache.py"), str(gates)], env={**environment(state), **settings}, check=True
    )
    painted("real_cached.py", state, settings)
    pairs = [(painted("bare_window.py", state), painted("real_cached.py", state, settings)) for _ in range(rounds)]
    return [Result("cached_first_rows", median(real[0] / bare[0] for bare, real in pairs), 1.5, "ratio")]


def load(server: Server, gates: int, rounds: int, state: str) -> list[Result]:
    """Measure a full load, and what a reviewer does at that size."""
    run("seed.py", server.unix_url, gates, state=state)
    run("seed.py", server.unix_url, 5, "widgets-inc", state=state)
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for _ in range(rounds):
        bare = json.loads(run("bare_load.py", server.unix_url, state=state))
        real = json.loads(run("real_load.py", server.unix_url, gates, state=state))
        assert bare["rows"] == real["rows"] == gates
        pairs.append((bare, real))
    reals = [real for _, real in pairs]
    return [
        Result("load_100k", median(real["seconds"] / bare["seconds"] for bare, real in pairs), 0.7, "ratio"),
        Result("load_100k_gap_p99_ms", median(real["gap_p99_ms"] for real in reals), 20, "ms"),
        Result("load_100k_gap_max_ms", median(real["gap_max_ms"] for real in reals), 33, "ms"),
        Result("sort_100k_ms", median(real["sort_ms"] for real in reals), 50, "ms"),
        Result("filter_100k_ms", median(real["filter_ms"] for real in reals), 50, "ms"),
        Result("tenant_switch_ms", median(real["switch_ms"] for real in reals), 100, "ms"),
    ]


def tenant_redis(server: Server, rounds: int, state: str) -> list[Result]:
    """Measure what rewriting costs a pipeline of 100 commands."""
    found = [json.loads(run("tenant_pipeline.py", server.unix_url, state=state)) for _ in range(rounds)]
    return [Result("tenant_redis_pipeline", median(each["ratio"] for each in found), 1.1, "ratio")]


def drain(server: Server, rounds: int, state: str, count: int = 10_000) -> list[Result]:
    """Measure how fast a full outbox is delivered, and how the window fares meanwhile."""

    def once(kind: str) -> dict[str, float]:
        server.flush()
        run("seed.py", server.unix_url, count, state=state)
        figures: dict[str, float] = json.loads(run("drain.py", kind, server.unix_url, state=state))
        assert figures["count"] == count
        return figures

    pairs = [(once("bare"), once("window")) for _ in range(rounds)]
    return [
        Result("outbox_drain", median(real["seconds"] / bare["seconds"] for bare, real in pairs), 1.5, "ratio"),
        Result("outbox_drain_gap_p99_ms", median(real["gap_p99_ms"] for _, real in pairs), 20, "ms"),
    ]


def delays(script: str, server: Server, state: str) -> float:
    """Return the 99th percentile of the delays that a listener sees, in milliseconds."""
    command = [sys.executable, str(FOLDER / script), server.unix_url, str(EVENTS)]
    with subprocess.Popen(command, env=environment(state), stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        subprocess.run(
            [sys.executable, str(FOLDER / "post_events.py"), server.unix_url, str(EVENTS)],
            env=environment(state),
            check=True,
        )
        seen = sorted(json.loads(listener.stdout.readline()))
    return float(seen[int(len(seen) * 0.99)]) / 1e6


def events(server: Server, rounds: int, state: str) -> list[Result]:
    """Measure how soon a posted gate stands in the list."""
    pairs = [(delays("bare_events.py", server, state), delays("real_events.py", server, state)) for _ in range(rounds)]
    return [Result("event_to_row_p99", median(real / bare for bare, real in pairs), 3, "ratio")]


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gates", type=int, default=100_000)
    chosen = parser.parse_args()
    server = Server("valkey")
    with tempfile.TemporaryDirectory() as state:
        try:
            results = first_paint(chosen.rounds, state)
            results += cached(chosen.rounds, Path(state), chosen.gates)
            server.start()
            results += events(server, chosen.rounds, state)
            server.flush()
            results += tenant_redis(server, chosen.rounds, state)
            server.flush()
            results += drain(server, chosen.rounds, state)
            server.flush()
            results += load(server, chosen.gates, chosen.rounds, state)
        finally:
            server.close()
    for result in results:
        mark = "" if result.value <= result.limit else "   missed"
        print(f"{result.name:<26}{result.value:>10.2f}  limit {result.limit:<6g}{result.unit}{mark}")
    rows = [vars(result) for result in results]
    (ROOT / "bench.json").write_text(json.dumps({"results": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
