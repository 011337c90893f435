"""Measures the scale table: what the operator and an agent hold, beside the goals. Root is needed for the row `agent`.

    python tests/scale/run.py [--only ROW]... [--docs] [--json FILE]

A real API server with etcd, nodes and pods that kwok simulates, the operator as a process, and simulated agents that
speak the real gRPC with the operator's certificates. Everything it starts ends with it. It builds Kubernetes and kwok
where that was not done yet. About a quarter of an hour on two quiet cores; each row tells its seconds.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import agent_row
import goals
import idle_row
import page
import rows
from fleet import WHOLE, Fleet, Size, fleet

_DOCS = Path(__file__).parents[2] / "docs"
_FLEET_ROWS: dict[str, Callable[[Fleet], Awaitable[dict[str, Any]]]] = {
    "writes": rows.one_session,
    "sessions": rows.many_sessions,
    "half": rows.half_as_many_sessions,
    "wide": rows.wide_session,
    "restart": rows.restarted_operator,
    "changes": rows.sessions_and_changes,
    # The last: its sessions stay.
    "idle": lambda made: idle_row.idle(made.scale),
}
# After the operator has begun, before it is measured.
_SETTLE_SECONDS = 5


def main() -> None:
    """Measure, print, and write."""
    names = [row.name for row in goals.ROWS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=names, help="measure this row; again for others")
    parser.add_argument("--docs", action="store_true", help="write docs/scale.json and docs/scale.md")
    parser.add_argument("--json", type=Path, help="where to write the figures; rows that are not measured stay in it")
    parser.add_argument("--agents", type=int, default=WHOLE.agents)
    parser.add_argument("--pods", type=int, default=WHOLE.pods)
    parser.add_argument("--sessions", type=int, default=WHOLE.sessions)
    parser.add_argument("--operator", type=Path, help="a checkout whose operator is measured instead, to compare with")
    given = parser.parse_args()
    file = _DOCS / "scale.json" if given.docs else given.json
    size = Size(given.agents, given.pods, given.sessions)
    results = {"machine": machine(), "size": vars(size), "rows": {}}
    if given.only and file is not None and file.exists():
        results["rows"] = json.loads(file.read_text())["rows"]
    try:
        measure(results, size, given.only or names, given.operator)
    finally:
        # Rows that were measured before an end are kept.
        print(goals.table(results))
        if file is not None:
            file.write_text(json.dumps(results, indent=1) + "\n")
        if given.docs:
            (_DOCS / "scale.md").write_text(page.page(results))


def measure(results: dict[str, Any], size: Size, names: list[str], operator_of: Path | None) -> None:
    """Measure these rows, with the operator of another checkout where one is given."""
    if any(name in _FLEET_ROWS for name in names):
        with tempfile.TemporaryDirectory(prefix="kubestrace-scale-") as folder:
            asyncio.run(_measure_fleet(Path(folder), results, size, names, operator_of))
    if "agent" in names:
        # Its containers must end also when this is ended.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        begun = time.monotonic()
        note(results, "agent", agent_row.measure(), begun)


async def _measure_fleet(
    folder: Path, results: dict[str, Any], size: Size, names: list[str], operator_of: Path | None
) -> None:
    running = asyncio.current_task()
    assert running is not None
    # What was started must end also when this is ended.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    async with fleet(folder, size) as made:
        seconds = await made.make()
        say(f"{size.agents} nodes and agents and {size.pods + size.agents} pods: {seconds:.0f} s")
        results["made_within_seconds"] = round(seconds)
        made.scale.operator_of = operator_of
        made.scale.start_operator()
        await made.start_agents()
        for name, act in _FLEET_ROWS.items():
            if name in names:
                await asyncio.sleep(_SETTLE_SECONDS)
                begun = time.monotonic()
                try:
                    figures = await act(made)
                except RuntimeError as error:
                    # The other rows are worth their time.
                    figures = {"error": str(error)}
                note(results, name, figures, begun)
                if name != "idle":
                    await made.delete_sessions()


def note(results: dict[str, Any], name: str, figures: dict[str, Any], begun: float) -> None:
    """Take over the figures of a row, and print them."""
    results["rows"][name] = {**figures, "row_seconds": round(time.monotonic() - begun), "nice": os.nice(0)}
    say(f"{name}: {json.dumps(results['rows'][name])}")


def machine() -> dict[str, Any]:
    """Return what it is measured on."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    total = next(int(line.split()[1]) for line in lines if line.startswith("MemTotal:"))
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpus": os.cpu_count(),
        "memory_gib": round(total / 2**20),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_at_start": [round(each, 1) for each in os.getloadavg()],
    }


def say(line: str) -> None:
    """Print at once."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
