"""What DNS by name costs: time in the program at the exit of calls, with the view network and with `dns` beside it.

    PYTHONPATH=tests/support python tests/bench/dns_cost.py [ROUNDS]

Three loops of two calls: a query to a server of its own and the answer, a datagram to another port, and reads of
/dev/zero. The kernel's own statistics tell the time in the program that counts, which calls those of views. Needs root.
"""

import ctypes
import os
import platform
import re
import struct
import subprocess
import sys
from pathlib import Path

from engine_runs import Cgroup, cgroup_root

from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.views.loading import load

_PAIRS = 20_000
_SUPPORT = str(Path(__file__).parents[1] / "support")
_SCRIPT = f"""
import os, socket, sys
sys.path.insert(0, {_SUPPORT!r})
import dns_server
dns_server.apart()
asked = dns_server.query("checkout-db.shop.svc.cluster.local")
told = dns_server.answer(asked, records=[bytes([10, 96, 0, 7])])
servers = {{}}
for port in (53, 54):
    servers[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    servers[port].bind(("127.0.0.1", port))
def ask(port):
    client, server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), servers[port]
    client.connect(("127.0.0.1", port))
    own = client.getsockname()
    for _ in range({_PAIRS}):
        client.send(asked)
        server.recvfrom(512)
        server.sendto(told, own)
        client.recv(512)
def read(_):
    zero = os.open("/dev/zero", os.O_RDONLY)
    for _ in range(4 * {_PAIRS}): os.read(zero, 1)
for loop, port in ((ask, 53), (ask, 54), (read, 0)):
    sys.stdout.write("x"); sys.stdout.flush(); sys.stdin.read(1)
    loop(port)
sys.stdout.write("x"); sys.stdout.flush(); sys.stdin.read(1)
"""
_LOOPS = ("query and answer, both sides", "datagrams of another port", "reads of /dev/zero")
_ENABLE_STATS, _BPF = 32, {"x86_64": 321, "aarch64": 280}[platform.machine()]


def used_ns(tracer: Tracer) -> int:
    """Return the time in the program at the exit of calls, until now."""
    text = Path(f"/proc/self/fdinfo/{tracer._programs.fds['on_sys_exit']}").read_text(encoding="ascii")
    return int(re.search(r"run_time_ns:\s*(\d+)", text)[1])  # type: ignore[index]


def run(tracer: Tracer, place: Cgroup) -> list[float]:
    """Run the loops; nanoseconds in the program for each four calls."""
    command = [sys.executable, "-c", _SCRIPT]
    found = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as program:
        place.take(program.pid)
        assert program.stdin
        assert program.stdout
        assert program.stdout.read(1)
        for _ in _LOOPS:
            before = used_ns(tracer)
            program.stdin.write(b"x")
            assert program.stdout.read(1)
            found.append((used_ns(tracer) - before) / _PAIRS)
        program.stdin.write(b"x")
    return found


def main() -> None:
    """Print the lowest of the rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    place, tracer = Cgroup(cgroup_root()), load()
    attribute = ctypes.create_string_buffer(struct.pack("I", 0), 128)
    statistics = ctypes.CDLL(None, use_errno=True).syscall(_BPF, _ENABLE_STATS, attribute, 4)
    assert statistics >= 0, os.strerror(ctypes.get_errno())
    modes: dict[str, list[list[float]]] = {}
    try:
        for _ in range(rounds):
            slot = tracer.add_container(place.path, wanted=None)
            tracer.enable("sockets", slot, True)
            modes.setdefault("network", []).append(run(tracer, place))
            tracer.enable("dns", slot, True)
            modes.setdefault("network and dns", []).append(run(tracer, place))
            tracer.remove(slot)
    finally:
        os.close(statistics)
        tracer.close()
        place.remove()
    print(f"load {os.getloadavg()[0]:.2f}, {rounds} rounds, {os.uname().release}; ns in the program for four calls")
    for at, loop in enumerate(_LOOPS):
        least = {mode: min(each[at] for each in found) for mode, found in modes.items()}
        print(f"{loop:30}", ", ".join(f"{mode} {nanoseconds:.0f}" for mode, nanoseconds in least.items()))


main()
