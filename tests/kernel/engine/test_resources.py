"""The numbers of real cgroups, against what the kernel's own files and the program's use of CPU say."""

import contextlib
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from view_messages import resources

from kubestrace_agent.containers import cgroups
from kubestrace_agent.containers.held_files import HeldFile
from kubestrace_agent.kernel.counters.counts import RawCounts
from kubestrace_agent.views.resources.collector import Numbers
from kubestrace_agent.views.resources.files import CgroupFiles, GoneError
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.resources_pb2 import ResourcesResult

MOUNT = Path("/sys/fs/cgroup")
QUOTA_US, PERIOD_US = 20_000, 100_000
# Spins for a second of wall time, then says how much CPU time it had.
SPIN = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass\nprint(time.process_time())"
# In a network namespace of its own: 30 connections to where nobody listens, 1,000 datagrams to a socket that nobody
# reads, and a connection that stays in TIME_WAIT; tells how many datagrams were lost, as it sees them.
NETWORK = """
import socket, sys
print("ready", flush=True); sys.stdin.readline()
for _ in range(30): socket.socket().connect_ex(("127.0.0.1", 9))
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
receiver.bind(("127.0.0.1", 0))
for _ in range(1000): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes(500), receiver.getsockname())
receiver.setblocking(False)
came = 0
try:
    while receiver.recv(1000): came += 1
except BlockingIOError: pass
listener = socket.create_server(("127.0.0.1", 0), backlog=0)
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.close(); server.close()
print(1000 - came, flush=True); sys.stdin.readline()
"""
# Starts threads until it may not.
THREADS = """
import threading
refused = 0
stop = threading.Event()
for _ in range(20):
    try: threading.Thread(target=stop.wait, daemon=True).start()
    except RuntimeError: refused += 1
print(refused, flush=True); stop.set()
"""
MOST_THREADS = 8
# Touches 2,048 pages that it has never touched before.
TOUCH = "import mmap\nm = mmap.mmap(-1, 2048 * 4096)\nfor i in range(2048): m[i * 4096] = 1"


class Limited:
    """A cgroup with a CPU limit, in whichever hierarchies this machine has."""

    def __init__(self) -> None:
        hierarchy = cgroups.detect(MOUNT)
        name = f"kubestrace-engine-{uuid.uuid4().hex[:12]}"
        self.cgroup = hierarchy.root / name
        self.folders = [self.cgroup]
        if hierarchy.mode == agent_pb2.CGROUP_MODE_HYBRID:
            self.cpu = MOUNT / "cpu" / name
            self.folders += [self.cpu, MOUNT / "memory" / name, MOUNT / "pids" / name]
        else:
            self.cpu = self.cgroup
            (hierarchy.root / "cgroup.subtree_control").write_text("+cpu +memory +pids")
        for folder in self.folders:
            folder.mkdir()
        if self.cpu == self.cgroup:
            (self.cpu / "cpu.max").write_text(f"{QUOTA_US} {PERIOD_US}")
        else:
            (self.cpu / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self.cpu / "cpu.cfs_quota_us").write_text(str(QUOTA_US))

        self.pids = next((folder for folder in self.folders if (folder / "pids.max").exists()), None)

    def start(self, program: str, *before: str) -> subprocess.Popen[str]:
        """Start a program of Python inside, by a command that comes `before` it."""
        moves = "".join(
            f"open({str(folder / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n" for folder in self.folders
        )
        return subprocess.Popen(
            [*before, sys.executable, "-c", f"import os\n{moves}{program}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def stat(self) -> dict[str, int]:
        """Return the kernel's own numbers of throttling."""
        return {name: int(value) for name, value in map(str.split, (self.cpu / "cpu.stat").read_text().splitlines())}

    def remove(self) -> None:
        """Remove the cgroups; processes may still be leaving them."""
        for folder in self.folders:
            for _ in range(100):
                with contextlib.suppress(FileNotFoundError):
                    try:
                        folder.rmdir()
                    except OSError:
                        time.sleep(0.02)
                        continue
                break


@pytest.fixture
def limited() -> Iterator[Limited]:
    """Give a cgroup with a CPU limit of 200 millicores."""
    made = Limited()
    yield made
    made.remove()


def told(collector: Numbers) -> ResourcesResult:
    """Read once more, and return what is reported."""
    time.sleep(0.05)
    collector.count(RawCounts(time_ns=time.monotonic_ns()))
    report = agent_pb2.ContainerReport()
    collector.write(report)
    return resources(report)


def test_throttling_is_exactly_the_kernels(limited: Limited) -> None:
    """A program that spins at a fifth of a CPU is stopped in nearly each period; what was before is left out."""
    before = limited.start("pass")
    before.wait(timeout=200)
    collector, then = Numbers(), limited.stat()
    collector.begin_cgroup(limited.cgroup, new=False)
    program = limited.start(SPIN)
    output, _ = program.communicate(timeout=200)

    result, now = told(collector), limited.stat()

    assert result.levels["cpu.limitMillicores"] == 200
    assert result.grown["cpu.periods"] == now["nr_periods"] - then["nr_periods"]
    assert result.grown["cpu.throttledPeriods"] == now["nr_throttled"] - then["nr_throttled"] >= 5
    field, unit_ns = ("throttled_usec", 1000) if "throttled_usec" in now else ("throttled_time", 1)
    assert result.grown["cpu.throttledNanoseconds"] == unit_ns * (now[field] - then[field]) > 0
    spent_ns = float(output) * 1e9
    assert result.grown["cpu.usageNanoseconds"] == pytest.approx(spent_ns, rel=0.05, abs=5e6)


def test_faults_are_counted_where_the_controller_is(limited: Limited) -> None:
    """A program that touches 2,048 pages makes at least as many faults."""
    collector = Numbers()
    collector.begin_cgroup(limited.cgroup, new=False)
    limited.start(TOUCH).wait(timeout=200)

    result = told(collector)

    assert 2048 <= result.grown["memory.faults"] < 2048 + 20_000
    assert result.levels["memory.peakBytes"] >= 2048 * 4096


def test_a_container_is_read_when_its_last_process_has_ended(limited: Limited) -> None:
    """Before the runtime removes its cgroup, though nobody asks meanwhile."""
    collector = Numbers()
    program = limited.start(SPIN)
    while not (limited.cgroup / "cgroup.procs").read_text():
        assert program.poll() is None
        time.sleep(0.01)
    collector.begin_cgroup(limited.cgroup, new=True)
    output, _ = program.communicate(timeout=200)
    time.sleep(0.2)
    limited.remove()

    result = told(collector)

    assert not result.ended_unread
    assert result.grown["cpu.usageNanoseconds"] == pytest.approx(float(output) * 1e9, rel=0.05, abs=30e6)


def test_what_a_pods_network_lost_is_exactly_what_the_program_saw(limited: Limited) -> None:
    """Counted for its network namespace alone, up to its last moment; what was before is left out."""
    with limited.start(NETWORK, "unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh") as program:
        assert program.stdin
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        collector = Numbers()
        collector.begin_cgroup(limited.cgroup, new=False)
        program.stdin.write("go\n")
        program.stdin.flush()
        dropped = int(program.stdout.readline())
        waiting = told(collector).pod_network
        program.communicate("end\n", timeout=200)
    time.sleep(0.2)

    network = told(collector).pod_network

    assert not network.of_node
    assert network.counters["Tcp.AttemptFails"] == network.counters["Tcp.OutRsts"] == 30
    assert network.counters["Udp.RcvbufErrors"] == network.counters["Udp.InErrors"] == dropped > 0
    assert network.counters["Tcp.RetransSegs"] == network.counters["TcpExt.ListenOverflows"] == 0
    assert waiting.levels["TCP.tw"] == 1


def test_threads_that_the_limit_refused_are_counted(limited: Limited) -> None:
    """With the limit; how many descriptors a process may have open is told beside it."""
    assert limited.pids
    (limited.pids / "pids.max").write_text(str(MOST_THREADS))
    with limited.start(f"print('ready', flush=True); input()\n{THREADS}input()") as program:
        assert program.stdin
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        collector = Numbers()
        collector.begin_cgroup(limited.cgroup, new=False)
        program.stdin.write("go\n")
        program.stdin.flush()
        refused = int(program.stdout.readline())
        result = told(collector)
        program.communicate("end\n", timeout=200)

    assert result.grown["pids.maxEvents"] == refused == 20 - (MOST_THREADS - 1)
    assert result.levels["pids.limit"] == MOST_THREADS
    assert result.levels["pids.underLimit"] == result.levels["pids.current"] <= MOST_THREADS
    assert result.levels["limits.openFiles"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_cgroup_that_was_removed_is_gone_though_another_has_its_place(limited: Limited) -> None:
    """What is held open does not keep it, and a new one of the same name is another one."""
    events = cgroups.events(limited.cgroup)
    again = HeldFile(f"{limited.cgroup}/cgroup.events", str)
    numbers = CgroupFiles(limited.cgroup)
    assert events.value() is False
    assert again.value()
    assert numbers.read().levels["cpu.limitMillicores"] == 200
    limited.remove()
    assert (events.value(), again.value()) == (None, None)
    with pytest.raises(GoneError):
        numbers.read()
    for folder in limited.folders:
        folder.mkdir()

    assert events.value() is None
    assert again.value()
    with pytest.raises(GoneError):
        numbers.read()


def test_a_limit_that_changes_is_that_of_the_next_reading(limited: Limited) -> None:
    """Though its file is held open."""
    assert limited.pids
    numbers = CgroupFiles(limited.cgroup)
    program = limited.start("print('ready', flush=True); input()")
    assert program.stdout
    assert program.stdout.readline() == "ready\n"
    found = []
    for most in ("7", "max", "9"):
        (limited.pids / "pids.max").write_text(most)
        found.append(numbers.read().levels.get("pids.limit"))
    program.communicate("\n", timeout=200)

    assert found == [7, None, 9]
