"""What many sessions on the same containers cost one agent, and whether each of them completes in time.

    python tests/bench/many_sessions.py [--sessions 60] [--containers 6] [--seconds 20] [--apart 0.1]

Every session has all views; the containers make calls of some forty kinds, and all CPUs are kept busy by others.
Needs root.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import session_load
from agent_process import Agent, Tree
from authority import Authority


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=60)
    parser.add_argument("--containers", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--apart", type=float, default=0.0, help="seconds from one session's start to the next")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        agent, tree = Agent(Path(folder), Authority()).ready(), Tree()
        try:
            begin = time.monotonic()
            outcomes = asyncio.run(session_load.run(agent, tree, **vars(chosen)))
            took, cpu = time.monotonic() - begin, agent.cpu_seconds()
            print(f"all took {took:.1f} s; the agent used {cpu:.1f} s of CPU and has {agent.rss_mebibytes():.0f} MiB")
        finally:
            agent.end()
            tree.remove()
    print_outcomes(outcomes)


def print_outcomes(outcomes: list[session_load.Outcome]) -> None:
    """Print how they ended, and how long their users waited."""
    finals = sorted(each.final_after_seconds for each in outcomes if each.final_after_seconds is not None)
    print(f"{len(finals)} of {len(outcomes)} completed; failures: {dict(Counter(each.failure for each in outcomes))}")
    rows = {
        "StartTrace, s": [each.start_seconds for each in outcomes],
        "final report after the end, s": finals,
        "longest silence, s": [each.longest_silence_seconds for each in outcomes],
        "reports": [each.reports for each in outcomes],
        "KiB a report": [each.bytes / 1024 / max(1, each.reports) for each in outcomes],
    }
    for name, values in rows.items():
        if values:
            print(f"{name:30} median {statistics.median(values):8.2f}  longest {max(values):8.2f}")


if __name__ == "__main__":
    main()
