"""What the view of block I/O costs: time in its programs for each request, and reads with and without it.

    PYTHONPATH=tests/support python tests/bench/block_io_cost.py [ROUNDS]

A loop of direct reads of 4 KiB, in turns without a tracer, with counting, and with the view, as the traced container
and as a neighbour. The kernel's own statistics tell the time in the programs (run_time_ns), with what it takes to
measure that. Needs root and a disk under the home folder.
"""

import ctypes
import os
import platform
import re
import struct
import subprocess
import sys
from pathlib import Path
from statistics import median

from engine_runs import Cgroup, cgroup_root

from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.views import loading

_READS = 4000
_SCRIPT = f"""
import mmap, os, sys, time
fd, buffer = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT), [mmap.mmap(-1, 4096)]
begin = time.perf_counter()
for number in range({_READS}):
    os.preadv(fd, buffer, 4096 * (number % 1024))
print((time.perf_counter() - begin) / {_READS} * 1e6)
"""
_V1 = [path for path in map(Path, ("/sys/fs/cgroup/blkio", "/sys/fs/cgroup/memory")) if (path / "tasks").exists()]
_HOOKS = ("on_block_issue", "on_block_complete")
_ENABLE_STATS, _BPF = 32, {"x86_64": 321, "aarch64": 280}[platform.machine()]


class Place:
    """A container's cgroups: one name in all hierarchies."""

    def __init__(self) -> None:
        self.v2 = Cgroup(cgroup_root())
        self.folders = [self.v2.path, *(root / self.v2.path.name for root in _V1)]
        for folder in self.folders[1:]:
            folder.mkdir()

    def run(self, file: Path) -> float:
        """Run the reads: microseconds for each."""

        def inside() -> None:
            for folder in self.folders:
                (folder / "cgroup.procs").write_text("0", encoding="ascii")

        command = [sys.executable, "-c", _SCRIPT, file]
        done = subprocess.run(command, preexec_fn=inside, capture_output=True, text=True, check=True, timeout=600)
        return float(done.stdout)

    def remove(self) -> None:
        """Remove them."""
        for folder in self.folders:
            folder.rmdir()


def used(tracer: Tracer) -> tuple[int, int]:
    """Nanoseconds in the view's programs, and requests that were issued."""
    words = [Path(f"/proc/self/fdinfo/{tracer._programs.fds[hook]}").read_text(encoding="ascii") for hook in _HOOKS]
    times = [int(re.search(r"run_time_ns:\s*(\d+)", text)[1]) for text in words]  # type: ignore[index]
    return sum(times), int(re.search(r"run_cnt:\s*(\d+)", words[0])[1])  # type: ignore[index]


def main() -> None:
    """Print medians of the rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    file = Path.home() / f"kubestrace-bench-{os.getpid()}"
    target, neighbour, tracer = Place(), Place(), loading.load()
    reads: dict[str, list[float]] = {}
    programs: dict[str, list[float]] = {}
    attribute = ctypes.create_string_buffer(struct.pack("I", 0), 128)
    statistics = ctypes.CDLL(None, use_errno=True).syscall(_BPF, _ENABLE_STATS, attribute, 4)
    assert statistics >= 0, os.strerror(ctypes.get_errno())
    try:
        file.write_bytes(os.urandom(4 << 20))
        os.sync()
        for _ in range(rounds):
            reads.setdefault("no tracer", []).append(target.run(file))
            slot = tracer.add_container(target.v2.path, wanted=None)
            reads.setdefault("counting", []).append(target.run(file))
            tracer.enable("block_io", slot, True)
            for who, place in (("traced", target), ("neighbour", neighbour)):
                spent, requests = used(tracer)
                reads.setdefault(f"with the view, {who}", []).append(place.run(file))
                more, after = used(tracer)
                programs.setdefault(who, []).append((more - spent) / (after - requests))
            tracer.remove(slot)
    finally:
        os.close(statistics)
        tracer.close()
        file.unlink(missing_ok=True)
        target.remove()
        neighbour.remove()
    print(f"load {os.getloadavg()[0]:.2f}, {rounds} rounds of {_READS} reads, {os.uname().release}")
    for who, found in programs.items():
        print(f"{who:9} {median(found):6.0f} ns in the view's programs for each request, {min(found):.0f} at least")
    for mode, microseconds in reads.items():
        print(f"{mode:24} {median(microseconds):7.1f} us a read, {min(microseconds):.1f} at least")


main()
