"""What the view of io_uring costs: nops of a ring with and without it, and the search for rings at a snapshot.

    PYTHONPATH=tests/support python tests/bench/io_uring_cost.py [ROUNDS]

A loop that hands over 8 nops with one call, in turns without a tracer, with counting, and with the view, as the traced
container and as a neighbour. Needs root.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from engine_runs import Cgroup, cgroup_root, compiled

from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.views import loading

_NOPS = 40_000
# So many processes with so many open files each.
_PROCESSES, _FILES = 20, 900
_HOLDER = f"""
files = [open("/dev/null") for _ in range({_FILES})]
print(len(files), flush=True)
input()
"""


def nops(program: Path, cgroup: Cgroup) -> float:
    """Run them in a cgroup: nanoseconds for each."""
    command = [program, str(_NOPS // 8)]
    done = subprocess.run(command, preexec_fn=cgroup.enter, capture_output=True, text=True, check=True, timeout=600)
    return float(done.stdout)


def seconds_of(act: Callable[[], object]) -> float:
    """Return how long it takes."""
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def snapshots(tracer: Tracer, slot: int, rounds: int) -> None:
    """Print how long one takes, with the walk over all open files and without."""
    command = [sys.executable, "-c", _HOLDER]
    holders = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(_PROCESSES)]
    for holder in holders:
        assert holder.stdout
        assert holder.stdout.readline()
    whole, rest = [], []
    for _ in range(rounds):
        tracer._rings._next_files_ns = 0
        whole.append(seconds_of(lambda: tracer.snapshot([slot])))
        tracer._rings._next_files_ns = 1 << 62
        rest.append(seconds_of(lambda: tracer.snapshot([slot])))
    for holder in holders:
        holder.communicate(b"\n", timeout=60)
    print(f"a snapshot with {_PROCESSES * _FILES} more open files: {median(whole) * 1e3:.1f} ms, of which all but")
    print(f"{median(rest) * 1e3:.1f} ms are the walk over all open files")


def main() -> None:
    """Print medians of the rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    target, neighbour, tracer = Cgroup(cgroup_root()), Cgroup(cgroup_root()), loading.load()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(__file__).parent / "ring_nops.c", Path(folder) / "ring_nops")
        try:
            for _ in range(rounds):
                found.setdefault("no tracer", []).append(nops(program, target))
                slot = tracer.add_container(target.path, wanted=None)
                found.setdefault("counting", []).append(nops(program, target))
                tracer.enable("io_uring", slot, True)
                found.setdefault("with the view", []).append(nops(program, target))
                found.setdefault("with the view, neighbour", []).append(nops(program, neighbour))
                tracer.remove(slot)
            slot = tracer.add_container(target.path, wanted=None)
            snapshots(tracer, slot, rounds)
            tracer.remove(slot)
        finally:
            tracer.close()
            target.remove()
            neighbour.remove()
    print(f"load {os.getloadavg()[0]:.2f}, {rounds} rounds of {_NOPS} nops, {os.uname().release}")
    for mode, nanoseconds in found.items():
        print(f"{mode:24} {median(nanoseconds):7.0f} ns a nop, {min(nanoseconds):.0f} at least")


main()
