"""The tracers as data: how each is started, when it is ready, what of its words says how many calls it saw.

Each is told to trace one process or one cgroup, ours; none prints anything of other processes.
"""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
# The usual script with two maps. It attaches its probes one after the other, from one end: the timers at both ends tell
# that all are there.
_TWO_MAPS = """
interval:ms:100 { @first = 1; }
tracepoint:raw_syscalls:sys_enter /pid == %d/ { @start[tid] = nsecs; }
tracepoint:raw_syscalls:sys_exit /@start[tid]/ { @ns[args->id] = hist(nsecs - @start[tid]); delete(@start[tid]); }
interval:ms:100 { if (@first == 1) { @first = 2; printf("ready\\n"); } }
END { clear(@start); clear(@first); }
"""


@dataclass(frozen=True)
class Target:
    """What is traced: `pid` of its one process, the cgroup that holds it, and a folder for the tracer's own files."""

    pid: int
    cgroup: Path
    folder: Path


@dataclass(frozen=True)
class Tracer:
    """One way to trace.

    command: what to start once the target runs; None for no tracer at all.
    starts_target: the target is started by this command instead (it cannot attach to a running one).
    ready: this in its output or errors says that it traces; BPF_LINK, PERF_EVENT: a file of this kind being open does.
    seen: number of calls by its output, None when that cannot be said.
    latency: it measures how long calls take. ours: one of the modes that are to be judged.
    on: the workloads that it is for; none: all but those with objects. beside: the mode of ours that answers the same.
    """

    name: str
    says: str
    command: Callable[[Target], list[str]] | None = None
    starts_target: bool = False
    ready: str = ""
    seen: Callable[[str], int] | None = None
    latency: bool = False
    ours: bool = False
    needs: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    beside: str = ""


# The workloads that are judged by their calls, and those that work with files, connections and disks.
CALLS = ("getppid", "read", "tree", "storm", "redis", "nginx", "neighbour")
OBJECTS = ("paths", "connections", "blocks", "connecting neighbour")

BPF_LINK = "anon_inode:bpf_link"
PERF_EVENT = "anon_inode:[perf_event]"


def _mode(name: str, says: str, *options: str, on: tuple[str, ...] = ()) -> Tracer:
    """One mode of ours: the command line's own options make the difference."""

    def command(target: Target) -> list[str]:
        local = ["kubestrace", "local", "--profile", "Counts", "-o", "json", "-d", "120"]
        return [*local, *options, "--cgroup", str(target.cgroup)]

    return Tracer(
        name, says, command, ready=BPF_LINK, seen=_seen_by_us, latency=True, ours=True, needs=("kubestrace",), on=on
    )


def _snoop(name: str, says: str, beside: str, on: str, calls: int, *options: str) -> Tracer:
    """One of bcc's tools that print a line for each event, which stands for so many calls of the workload."""

    def command(target: Target) -> list[str]:
        return [name, *(word.format(pid=target.pid) for word in options)]

    def seen(output: str) -> int:
        return calls * sum(line[:1].isdigit() for line in output.splitlines())

    return Tracer(name, says, command, ready=PERF_EVENT, seen=seen, needs=(name,), on=(on,), beside=beside)


def _held(what: str) -> Callable[[Target], list[str]]:
    return lambda _: [sys.executable, str(HERE / "hold.py"), what]


def _seen_by_us(output: str) -> int:
    return int(json.loads(output)["status"]["summary"]["calls"])


def _seen_by_strace(output: str) -> int:
    """The total of its last line: 100.00 seconds usecs/call calls [errors] total."""
    totals = [line.split() for line in output.splitlines() if line.endswith("total")]
    return int(totals[-1][3]) if totals else 0


def _seen_by_perf(output: str) -> int:
    """Sum of the column after the call's name in all threads' tables."""
    return sum(int(calls) for calls in re.findall(r"^   [a-z_0-9]+ +(\d+) +\d+ +[\d.]+", output, re.MULTILINE))


def _seen_by_syscount(output: str) -> int:
    return sum(int(calls) for calls in re.findall(r"^\S+ +(\d+) +[\d.]+$", output, re.MULTILINE))


def _seen_by_bpftrace(output: str) -> int:
    return sum(int(calls) for calls in re.findall(r"^\[.*[)\]] +(\d+) \|", output, re.MULTILINE))


TRACERS = (
    Tracer("bare", "nothing", on=(*CALLS, *OBJECTS)),
    Tracer("empty", "nothing: two programs that return", _held("empty"), ready="ready", on=(*CALLS, *OBJECTS)),
    Tracer(
        "empty at sockets",
        "nothing: a program that returns at each change of a TCP socket's state",
        _held("sockets"),
        ready="ready",
        on=("connections", "connecting neighbour"),
    ),
    Tracer("no trace", "nothing: our programs loaded, no trace running", _held("idle"), ready="ready"),
    _mode(
        "kubestrace",
        "calls, errors by errno, exact sum and maximum, percentiles within 6.25 %, waits apart",
        on=(*CALLS, *OBJECTS),
    ),
    _mode("kubestrace --slow 10", "the same, and each call of 10 ms and more with its arguments", "--slow", "10"),
    _mode(
        "kubestrace + files",
        "calls as above, and by path: opens, stats, reads, writes, bytes, failures, time",
        "--files",
        on=("paths", "tree", "nginx"),
    ),
    _mode(
        "kubestrace + network",
        "calls as above, and by peer: attempts, failures, handshakes, bytes, lifetimes, retransmissions; listeners",
        "--network",
        on=("connections", "connecting neighbour", "redis", "nginx"),
    ),
    _mode(
        "kubestrace + block I/O",
        "calls as above, and by disk and operation: requests, bytes, time in the queue and in the device",
        "--block-io",
        on=("blocks",),
    ),
    _mode(
        "kubestrace + all views",
        "all of these, with stacks, callers, time on and off the CPU, by process and thread, and by time",
        *("--slow", "10", "--stacks", "--cpu-time", "--processes", "--errors", "--timeline", "60"),
        *("--files", "--network", "--memory", "--counters", "--block-io", "--io-uring", "--callers"),
        on=(*CALLS, *OBJECTS),
    ),
    _snoop("opensnoop", "a line for each open", "kubestrace + files", "paths", 4, "-p", "{pid}"),
    _snoop("statsnoop", "a line for each stat", "kubestrace + files", "paths", 4, "-p", "{pid}"),
    _snoop("filetop", "reads and writes by file", "kubestrace + files", "paths", 4, "-p", "{pid}", "1000"),
    _snoop("tcplife", "a line for each connection", "kubestrace + network", "connections", 3, "-p", "{pid}"),
    _snoop("tcpconnect", "a line for each connect", "kubestrace + network", "connections", 6, "-p", "{pid}"),
    Tracer(
        "biolatency",
        "a histogram of all disks' requests, whoever's they are",
        lambda _: ["biolatency", "-Q", "1000"],
        ready=BPF_LINK,
        needs=("biolatency",),
        on=("blocks",),
        beside="kubestrace + block I/O",
    ),
    Tracer(
        "syscount -L",
        "calls, sum of time",
        lambda target: ["syscount-bpfcc", "-L", "-T", "1000", "-p", str(target.pid)],
        ready="Tracing syscalls",
        seen=_seen_by_syscount,
        latency=True,
        needs=("syscount-bpfcc",),
    ),
    Tracer(
        "bpftrace",
        "calls and a histogram in powers of 2",
        lambda target: ["bpftrace", "-e", _TWO_MAPS % target.pid],
        ready="ready",
        seen=_seen_by_bpftrace,
        latency=True,
        needs=("bpftrace",),
    ),
    Tracer(
        "perf trace -s",
        "calls, errors, sum, minimum, average, maximum by thread",
        lambda target: ["perf", "trace", "-s", "-o", "/dev/stdout", "-p", str(target.pid)],
        ready=PERF_EVENT,
        seen=_seen_by_perf,
        latency=True,
        needs=("perf",),
    ),
    Tracer(
        "strace -c",
        "calls, errors, sum of CPU time in the kernel",
        lambda target: ["strace", "-c", "-f", "-o", "/dev/stdout", "-p", str(target.pid)],
        ready="attached",
        seen=_seen_by_strace,
        latency=True,
        needs=("strace",),
    ),
    Tracer(
        "strace --seccomp-bpf",
        "as strace -c, but of file calls only (-e trace=%file); cannot attach to what runs already",
        lambda target: [
            *("strace", "-c", "-f", "--seccomp-bpf", "-e", "trace=%file"),
            *("-o", str(target.folder / "seccomp"), "--"),
        ],
        starts_target=True,
        needs=("strace",),
    ),
)
BY_NAME = {tracer.name: tracer for tracer in TRACERS}
