"""What the view of the network costs: time in its programs for a connection, and connections with and without it.

    PYTHONPATH=tests/support python tests/bench/network_cost.py [ROUNDS]

A loop of connect, accept and close over loopback (both ends), in turns without a tracer, with counting, and with the
view, as the traced container and as a neighbour. The kernel's own statistics tell the time in the view's program at the
tracepoint (run_time_ns), which runs ten times a cycle, with what it takes to measure that. A loop of getppid tells what
the view costs calls that are none of its own, one of reads what it takes to see that a descriptor is no socket, and one
of datagrams what a sendto and a recvfrom cost more. Needs root.
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
from kubestrace_agent.views.loading import load

_CYCLES, _CALLS, _DATAGRAMS = 8000, 400_000, 40_000
_SCRIPT = f"""
import os, socket, time
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(16)
address = server.getsockname()
begin = time.perf_counter()
for _ in range({_CYCLES}):
    client = socket.socket()
    client.connect(address)
    accepted, _ = server.accept()
    client.close()
    accepted.close()
cycle = (time.perf_counter() - begin) / {_CYCLES} * 1e6
call = os.getppid
begin = time.perf_counter()
for _ in range({_CALLS}):
    call()
plain = (time.perf_counter() - begin) / {_CALLS} * 1e6
zero, read = os.open("/dev/zero", os.O_RDONLY), os.read
begin = time.perf_counter()
for _ in range({_CALLS}):
    read(zero, 1)
reads = (time.perf_counter() - begin) / {_CALLS} * 1e6
sender, receiver = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
receiver.bind(("127.0.0.1", 0))
there = receiver.getsockname()
begin = time.perf_counter()
for _ in range({_DATAGRAMS}):
    sender.sendto(b"x", there)
    receiver.recvfrom(10)
print(cycle, plain, reads, (time.perf_counter() - begin) / {_DATAGRAMS} * 1e6)
"""
_HOOKS = ("on_sock_state",)
_ENABLE_STATS, _BPF = 32, {"x86_64": 321, "aarch64": 280}[platform.machine()]


def run(place: Cgroup) -> tuple[float, ...]:
    """Run the loops: microseconds for each cycle, call of getppid, call of read, and datagram."""
    command = [sys.executable, "-c", _SCRIPT]
    done = subprocess.run(command, preexec_fn=place.enter, capture_output=True, text=True, check=True, timeout=600)
    return tuple(map(float, done.stdout.split()))


def used(tracer: Tracer) -> int:
    """Nanoseconds in the view's program at the tracepoint."""
    words = [Path(f"/proc/self/fdinfo/{tracer._programs.fds[hook]}").read_text(encoding="ascii") for hook in _HOOKS]
    return sum(int(re.search(r"run_time_ns:\s*(\d+)", text)[1]) for text in words)  # type: ignore[index]


def measured(tracer: Tracer, target: Cgroup, neighbour: Cgroup, found: dict[str, list[tuple[float, ...]]]) -> None:
    """Run each mode once."""
    found.setdefault("no tracer", []).append(run(target))
    slot = tracer.add_container(target.path, wanted=None)
    found.setdefault("counting, traced", []).append(run(target))
    found.setdefault("counting, neighbour", []).append(run(neighbour))
    tracer.enable("sockets", slot, True)
    found.setdefault("with the view, traced", []).append(run(target))
    found.setdefault("with the view, neighbour", []).append(run(neighbour))
    tracer.remove(slot)


def in_programs(tracer: Tracer, target: Cgroup, neighbour: Cgroup) -> dict[str, float]:
    """Nanoseconds in the program at the tracepoint for each cycle, where the kernel measures them."""
    attribute = ctypes.create_string_buffer(struct.pack("I", 0), 128)
    statistics = ctypes.CDLL(None, use_errno=True).syscall(_BPF, _ENABLE_STATS, attribute, 4)
    assert statistics >= 0, os.strerror(ctypes.get_errno())
    slot = tracer.add_container(target.path, wanted=None)
    tracer.enable("sockets", slot, True)
    found = {}
    for who, place in (("traced", target), ("neighbour", neighbour)):
        before = used(tracer)
        run(place)
        found[who] = (used(tracer) - before) / _CYCLES
    tracer.remove(slot)
    os.close(statistics)
    return found


def main() -> None:
    """Print medians of the rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    target, neighbour, tracer = Cgroup(cgroup_root()), Cgroup(cgroup_root()), load()
    modes: dict[str, list[tuple[float, ...]]] = {}
    programs: dict[str, list[float]] = {}
    try:
        for _ in range(rounds):
            measured(tracer, target, neighbour, modes)
            for who, nanoseconds in in_programs(tracer, target, neighbour).items():
                programs.setdefault(who, []).append(nanoseconds)
    finally:
        tracer.close()
        target.remove()
        neighbour.remove()
    print(f"load {os.getloadavg()[0]:.2f}, {rounds} rounds of {_CYCLES} cycles, {os.uname().release}")
    for who, found in programs.items():
        print(f"{who:9} {median(found):6.0f} ns a cycle in the program at the tracepoint, {min(found):.0f} at least")
    for mode, pairs in modes.items():
        cycles, calls, reads, datagrams = zip(*pairs, strict=True)
        print(
            f"{mode:26} {median(cycles):7.2f} us a cycle, {min(cycles):.2f} at least; "
            f"{median(calls) * 1000:4.0f} ns a call of getppid, {min(calls) * 1000:.0f} at least; "
            f"{median(reads) * 1000:4.0f} ns a read of /dev/zero, {min(reads) * 1000:.0f} at least; "
            f"{median(datagrams):5.2f} us a datagram, {min(datagrams):.2f} at least"
        )


main()
