"""What watching pods costs those who are not watched: cgroups, forks and execs elsewhere, and each call.

Run as root: python tests/bench/pod_watch_cost.py [ROUNDS]. Prints medians of alternating rounds.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kubestrace_agent.kernel.counters.pod_slots import NewPod, PodSlots
from kubestrace_agent.views import loading

_UID = "5e" * 16


def _root() -> Path:
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines())
    return Path(next(folder for _, folder, kind, *_ in mounts if kind == "cgroup2"))


def _cgroups(count: int, folder: Path) -> None:
    for _ in range(count):
        folder.mkdir()
        folder.rmdir()


def _forks(count: int) -> None:
    for _ in range(count):
        if not (child := os.fork()):
            os._exit(0)
        os.waitpid(child, 0)


def _execs(count: int) -> None:
    for _ in range(count):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def _calls(count: int) -> None:
    for _ in range(count):
        os.getppid()


def _microseconds(function: Callable[[int], None], count: int) -> float:
    start = time.perf_counter()
    function(count)
    return (time.perf_counter() - start) / count * 1e6


def main() -> None:
    """Measure by turns without and with a watched pod; a slot counts all the time, so that the counting is in both."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    folder = _root() / "kubepods-burstable-podaaaaaaaa_bbbb_cccc_dddd_eeeeeeeeeeee.slice"
    kinds: dict[str, tuple[Callable[[int], None], int]] = {
        "mkdir and rmdir of a cgroup": (lambda count: _cgroups(count, folder), 500),
        "fork and exit": (_forks, 200),
        "spawn of /bin/true": (_execs, 100),
        "getppid from Python": (_calls, 100_000),
    }
    tracer = loading.load(max_containers=32, parts=["pods"])
    slot = tracer.reserve_slot(wanted=None)
    pods = PodSlots(tracer, [4])
    found: dict[tuple[str, bool], list[float]] = {}
    for number in range(2 * rounds):
        watched = number % 2 == 1
        if watched:
            pods.add([NewPod(_UID, None)])
        for name, (function, count) in kinds.items():
            found.setdefault((name, watched), []).append(_microseconds(function, count))
        if watched:
            pods.remove(_UID)
    for name in kinds:
        without, with_pod = (statistics.median(found[name, watched]) for watched in (False, True))
        print(f"{name:30} {without:9.3f} us without, {with_pod:9.3f} us with a watched pod")
    pods.close()
    tracer.remove(slot)
    tracer.close()


if __name__ == "__main__":
    main()
