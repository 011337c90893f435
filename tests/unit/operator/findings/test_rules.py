"""Findings: each rule by a result that has the fault, and by its innocent twin."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubestrace_operator.findings import executions, text, unusual_calls
from kubestrace_operator.findings.finding import Facts, Severity
from kubestrace_operator.findings.rules import MOST, RULES, judge
from kubestrace_operator.results import merge
from kubestrace_operator.results.histograms import bucket_index
from kubestrace_operator.results.rows import ContainerRow, SyscallRow
from kubestrace_operator.views.network_dns import NUMBERS, Dns, Question, QuestionKey
from kubestrace_operator.views.network_rows import Times
from kubestrace_protos.v1 import agent_pb2

MS, SECOND = 1_000_000, 1_000_000_000
UNUSED = dict.fromkeys(("stats", "syncs", "reads", "readBytes", "writes", "writeBytes", "totalNanoseconds"), 0)
ALL_VIEWS = frozenset({"network", *(view for rule in RULES for view in rule.needs)})
# Those of security have a file of their own.
NUMERIC = tuple(rule for rule in RULES if rule not in (*executions.RULES, *unusual_calls.RULES))
ENDED_NS = 1_767_225_605 * SECOND  # 2026-01-01T00:00:05Z


def row(name: str, calls: int, each_ns: int = 1000, *, wait: bool = False, **changes: Any) -> SyscallRow:
    """Return a row whose calls all took the same time."""
    made = SyscallRow(name, wait=wait, calls=calls, timed=calls, total_ns=calls * each_ns, max_ns=each_ns)
    return replace(made, **{"latency": {bucket_index(each_ns): calls}, **changes})


def failing(name: str, errno: str, failed: int, calls: int) -> SyscallRow:
    """Return a row of which some calls failed alike."""
    return row(name, calls, errors=failed, errnos={errno: failed})


def life(pod: str = "shop-1", restarts: int = 0, exit_code: int = 1, reason: str = "Error") -> ContainerRow:
    """Return a life of a container that has ended."""
    container = agent_pb2.Container(
        pod_name=pod, pod_uid=pod, container_name="app", container_id=f"{pod}.{restarts}", restart_count=restarts
    )
    state = agent_pb2.ContainerState(container=container, exit_code=exit_code, exit_reason=reason)
    state.finish_time_unix_nanoseconds = ENDED_NS
    return ContainerRow(state, "n1")


def failed_call(time: str, arguments: str = '"/etc/app.yaml"', **changes: Any) -> dict[str, Any]:
    """Return a status with a sample of a call that failed."""
    sample = {"time": time, "arguments": arguments, "pod": "shop-1", "container": "app"}
    counts = {"syscall": "openat", "errno": "ENOENT", "count": 1, "samples": [sample], **changes}
    return {"summary": {"errorCounts": [counts]}}


def facts(*rows: SyscallRow, seconds: float = 10, **changes: Any) -> Facts:
    """Return a result of ten seconds of which all is known."""
    given_status = changes.pop("status", {})
    return replace(Facts(seconds, rows, [], given_status, ALL_VIEWS), **changes)


def found(given_facts: Facts) -> list[str]:
    """Name what is found."""
    return [each.id for each in judge(given_facts).findings]


def budget(runnable_s: float, busy_s: float) -> dict[str, Any]:
    """Return a status with a time budget."""
    parts = {"threadNanoseconds": 100 * SECOND, "userNanoseconds": int(busy_s * SECOND), "kernelNanoseconds": 0}
    return {"timeBudget": {**parts, "runnableNanoseconds": int(runnable_s * SECOND)}}


def disk(count: int, p99_ms: int, each_bytes: int = 4096, waited_s: float = 0.5, **changes: Any) -> dict[str, Any]:
    """Return a status with one row of a disk."""
    times = {"p99Nanoseconds": p99_ms * MS}
    device = {"node": "n1", "device": "vda", "operation": "flush", "count": count, "bytes": count * each_bytes}
    pressure = {"ioSomeNanoseconds": int(waited_s * SECOND)}
    containers = [{"pod": "shop-1", "container": "app", "resources": {"pressure": pressure}}]
    return {"blockIO": {"devices": [{**device, "deviceTime": times, **changes}]}, "containers": containers}


def throttled(periods: int, stopped: int, stopped_s: float, **changes: Any) -> dict[str, Any]:
    """Return a status with a container that has a CPU limit."""
    cpu = {"periods": periods, "throttledPeriods": stopped, "throttledNanoseconds": int(stopped_s * SECOND)}
    numbers = {"cpu": {**cpu, "limitMillicores": 300}, "coveredNanoseconds": 10 * SECOND, **changes}
    return {"containers": [{"pod": "shop-1", "container": "app", "resources": numbers}]}


def stalled(memory_s: float) -> dict[str, Any]:
    """Return a status with a container that waited for memory."""
    pressure = {"memoryFullNanoseconds": int(memory_s * SECOND)}
    return {"containers": [{"pod": "shop-1", "container": "app", "resources": {"pressure": pressure}}]}


def ended(*processes: dict[str, Any]) -> dict[str, Any]:
    """Return a status with processes of a container."""
    of_it = {"pod": "shop-1", "container": "app", "node": "n1", "executable": "/srv/worker", "hostPid": 7}
    life = {"startTime": "2026-01-01T00:00:04.500000Z", "lifetimeNanoseconds": 500 * MS, "calls": 5, "threads": 1}
    return {"processes": [{**of_it, **life, "waitNanoseconds": 0, **each} for each in processes]}


def opened(path: str, times: int = 1, **changes: int) -> dict[str, Any]:
    """Return a status with a file that was opened and read so often, and cost 100 ms."""
    of_it = {"opens": times, "reads": times, "errors": 0, "totalNanoseconds": 100 * MS}
    return {"files": {"paths": [{"path": path, **UNUSED, **of_it, **changes}]}}


def linked(path: str, file: str) -> dict[str, Any]:
    """Return a status with an empty file of a ConfigMap: it is opened by one path, and read by another."""
    (link,), (behind,) = opened(path, reads=0)["files"]["paths"], opened(file, opens=0)["files"]["paths"]
    return {"files": {"paths": [{**link, "file": file}, behind]}}


def growing(*mib: float, processes: int = 1, each_s: float = 5, **changes: Any) -> dict[str, Any]:
    """Return a status with a container that had so much anonymous memory, at equal times."""
    levels = [
        {"sinceStartNanoseconds": int(at * each_s * SECOND), "anonBytes": int(each * (1 << 20)), "processes": 1}
        for at, each in enumerate(mib)
    ]
    levels[-1]["processes"] = processes
    row = {"pod": "shop-1", "container": "app", "restarts": 0, "memory": {"levels": levels, "flows": []}}
    return {"startTime": "2026-01-01T00:00:00Z", "containers": [row | changes]}


def thrashing(major: int = 1000, refaults: int = 1000, waited_s: float = 1, **changes: Any) -> dict[str, Any]:
    """Return a status with a container whose pages do not fit, for ten seconds."""
    numbers = {
        "memory": {"majorFaults": major, "refaults": refaults},
        "pressure": {"memorySomeNanoseconds": int(waited_s * SECOND), "memoryFullNanoseconds": 0},
        "coveredNanoseconds": 10 * SECOND,
    }
    row = {"pod": "shop-1", "container": "app", "restarts": 0, "resources": numbers | changes}
    return {"startTime": "2026-01-01T00:00:00Z", "containers": [row]}


def shared_lock(**changes: Any) -> dict[str, Any]:
    """Return a status with a lock for which half a thread waits, and that is kept for a millisecond."""
    lock = {
        "address": "0x1000",
        "process": "app",
        "pid": 7,
        "threads": 4,
        "waits": 300,
        "totalNanoseconds": 5 * SECOND,
        "p50Nanoseconds": 16 * MS,
        "wakes": 300,
        "handedOn": 300,
        "holds": 300,
        "heldNanoseconds": 300 * MS,
        "longestHeldNanoseconds": 9 * MS,
        "pod": "shop-1",
        "container": "app",
    }
    return {"locks": {"locks": [lock | changes]}}


def churning(
    mapped: int, unmapped: int, given_back: int = 0, faults: int = 100_000, system_ms: int = 100
) -> dict[str, Any]:
    """Return a status with a container that maps and unmaps, and uses a second of CPU."""
    counts = {"mmap anonymous private": mapped, "munmap": unmapped, "madvise given back": given_back}
    flows = [{"kind": kind, "calls": calls, "bytes": 0} for kind, calls in counts.items()]
    cpu = {"usageNanoseconds": SECOND, "systemNanoseconds": system_ms * MS}
    numbers = {"cpu": cpu, "memory": {"faults": faults}}
    return {"containers": [{"pod": "a", "container": "app", "memory": {"flows": flows}, "resources": numbers}]}


def threads(refused: int = 0, under_limit: int = 10, limit: int = 100) -> dict[str, Any]:
    """Return a status with a container that has a limit of threads."""
    pids = {"maxEvents": refused, "current": 5, "underLimit": under_limit, "limit": limit}
    return {"containers": [{"pod": "shop-1", "container": "app", "resources": {"pids": pids}}]}


def began(second: int) -> ContainerRow:
    """Return a container that was counted from then on."""
    made = life(restarts=0, exit_code=0)
    made.state.start_time_unix_nanoseconds = ENDED_NS + (second - 5) * SECOND
    return made


MINUTE = range(13)


def pod_network(**changes: Any) -> dict[str, Any]:
    """Return a status with the network of a pod."""
    counters = {"listenOverflows": 0, "listenDrops": 0, "sentSegments": 0, "retransmittedSegments": 0}
    return {"network": {"pods": [{"pod": "shop-1", "nodeNetwork": False, **counters, **changes}]}}


def queue(peak: int, most: int, **changes: Any) -> dict[str, Any]:
    """Return a status with a listener in whose queue so many connections waited at once."""
    listener = {
        "pod": "shop-1",
        "address": "10.1.2.3",
        "port": 80,
        "accepted": 9,
        "backlogPeak": peak,
        "backlogMax": most,
    }
    return {"network": {**pod_network(**changes)["network"], "listeners": [listener]}}


def dns(*names: str, each_ms: int = 1, **numbers: int) -> dict[str, Any]:
    """Return a status with queries of DNS: NAME*N asks N times, and !NAME for what there is not."""
    asked: dict[QuestionKey, Question] = {}
    for word in names:
        name, _, times = word.partition("*")
        count = int(times or 1)
        counts = {"queries": count, "answers": count, "nxdomain": count if name.startswith("!") else 0}
        histogram = {bucket_index(each_ms * MS): count}
        key = QuestionKey(name.removeprefix("!"), "A", "10.96.0.10")
        asked[key] = Question(
            dict.fromkeys(NUMBERS, 0) | counts | numbers, Times(histogram, each_ms * count * MS, each_ms * MS)
        )
    told = Dns(asked)
    return {"network": {**told.document(), **told.section(20, 1).document(20)["network"]}}


def pod_counters(**changes: Any) -> dict[str, Any]:
    """Return the same as every session has it."""
    return {"resources": pod_network(**changes)["network"]}


def asked_for(paths: int, others: int = 0) -> dict[str, Any]:
    """Return a status with files, each asked for as often; and with so many others, asked for once."""
    rows = [{"path": f"/etc/{number}", **UNUSED, "stats": 100} for number in range(paths)]
    return {"files": {"paths": rows, "otherPaths": {"stats": others}}}


def missing(paths: int, times: int) -> dict[str, Any]:
    """Return a status with files that are not there, each asked for so often."""
    gone = {**UNUSED, "stats": times, "failed": [{"errno": "ENOENT", "count": times}]}
    return {"files": {"paths": [{"path": f"/etc/{number}", **gone} for number in range(paths)]}}


def moved(word: str, count: int, each_bytes: int, path: str = "/data/log", spent_ns: int = SECOND) -> dict[str, Any]:
    """Return a status with a file that was read or written so often."""
    of_it = {f"{word}s": count, f"{word}Bytes": count * each_bytes, "totalNanoseconds": spent_ns}
    return {"files": {"paths": [{"path": path, **UNUSED, **of_it}]}}


def killed(oom_kills: int) -> dict[str, Any]:
    """Return a status with a container of which processes were killed for memory."""
    memory = {"oomKills": oom_kills, "limitBytes": 64 << 20}
    return {"containers": [{"pod": "shop-1", "container": "app", "resources": {"memory": memory}}]}


def tried(established: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a status with a peer that was tried ten times."""
    row = {
        "role": "client",
        "address": "10.0.0.5",
        "port": 80,
        "attempts": 10,
        "established": established,
        "abandoned": 0,
        **changes,
    }
    return {"network": {"peers": [row]}}


def both_ways(established: int) -> dict[str, Any]:
    """Return a status with a peer of two addresses, of which that of IPv6 refused ten times."""
    refused = {
        "role": "client",
        "address": "::1",
        "port": 80,
        "attempts": 10,
        "failed": [{"errno": "ECONNREFUSED", "count": 10}],
    }
    taken = {"role": "client", "address": "127.0.0.1", "port": 80, "attempts": 10, "established": established}
    return {"network": {"peers": [refused, taken]}}


def hung(age_s: int, *, wait: bool = False) -> dict[str, Any]:
    """Return a status with a call that has not returned."""
    place = {"pod": "shop-1", "container": "app", "arguments": "3</data/wal>"}
    return {"unreturned": [{"syscall": "fsync", "wait": wait, "ageNanoseconds": age_s * SECOND, **place}]}


def locking(age_s: int, **changes: Any) -> dict[str, Any]:
    """Return a status with a thread that waits for a lock."""
    call = hung(age_s, wait=True)["unreturned"][0]
    return {"unreturned": [{**call, "syscall": "flock", "arguments": "3</data/lock>, LOCK_EX", **changes}]}


POLLED = "{fd=5<10.0.0.5:80>, events=POLLIN}"


def timeout(
    length_ns: int, syscall: str = "poll", arguments: str = f"[{POLLED}], 1, 999", **changes: Any
) -> dict[str, Any]:
    """Return a wait that ended in a timeout."""
    end = {"errno": "EAGAIN"} if syscall == "recvfrom" else {"result": 0}
    return {"syscall": syscall, "wait": True, "nanoseconds": length_ns, "arguments": arguments, **end, **changes}


def waiting(age_s: int) -> dict[str, Any]:
    """Return a read that has not returned."""
    return {**hung(age_s, wait=True)["unreturned"][0], "syscall": "read", "arguments": "5<10.0.0.5:80>, ..., 80"}


def unanswered(*calls: dict[str, Any], unreturned: Sequence[dict[str, Any]] = (), **changes: Any) -> dict[str, Any]:
    """Return a status with a peer that was sent to and sent nothing, and calls that waited for it."""
    counts = {"established": 1, "closed": 1, "open": 0, "bytesSent": 18, "bytesReceived": 0}
    row = {"role": "client", "address": "10.0.0.5", "port": 80, **counts, "lifetime": {"p50Nanoseconds": SECOND}}
    return {"network": {"peers": [{**row, **changes}]}, "slowCalls": list(calls), "unreturned": list(unreturned)}


def peer(*, life_ns: int = MS, waiting: int | None = None, **changes: Any) -> dict[str, Any]:
    """Return a status with one peer of 100 short connections, and the sockets that wait for their end."""
    counts = {"established": 100, "closed": 100, "bytesSent": 5000, "bytesReceived": 50_000}
    made = {"role": "client", "address": "10.0.0.5", "port": 80, **counts, "lifetime": {"p50Nanoseconds": life_ns}}
    pods = [] if waiting is None else [{"pod": "shop-1", "nodeNetwork": False, "timeWait": waiting}]
    return {"network": {"peers": [{**made, **changes}], "pods": pods}}


def blocked(length_ns: int, **changes: Any) -> dict[str, Any]:
    """Return a write to standard output that waited."""
    who = {"pod": "shop-1", "container": "app", "node": "n1", "hostPid": 4, "hostTid": 4, "thread": "app"}
    call = {"syscall": "write", "wait": True, "arguments": "1<pipe>, ..., 80", "nanoseconds": length_ns}
    return {**who, "process": "app", "pid": 1, "tid": 1, **call, **changes}


def writing(*lengths_ns: int, **changes: Any) -> dict[str, Any]:
    """Return a status with such writes of a container's first process."""
    first = {"pod": "shop-1", "container": "app", "node": "n1", "hostPid": 4}
    return {"containers": [first], "slowCalls": [blocked(each, **changes) for each in lengths_ns]}


def served(waited_s: float) -> dict[str, Any]:
    """Return a thread that made 100 calls."""
    return {"name": "loop", "calls": 100, "waitNanoseconds": int(waited_s * SECOND)}


def busy(
    busy_s: float,
    *,
    waited_s: float = 1,
    ready_s: float = 0,
    calls: int = 100,
    threads: Sequence[dict[str, Any]] = (),
    **changes: Any,
) -> dict[str, Any]:
    """Return a status with a container whose one process took so much of a CPU."""
    place = {"pod": "shop-1", "container": "app", "node": "n1"}
    counts = {"calls": calls, "waitNanoseconds": int(waited_s * SECOND), "name": "app"}
    process = {**place, **counts, "threads": len(threads) or 1, "busiestThreads": list(threads), **changes}
    return {"containers": [{**place, **budget(ready_s, busy_s)}], "processes": [process]}


LIVES = [life(restarts=0), life(restarts=1)]
LOCKS = (row("futex", 40_000), row("futex", 40_000, 20_000, wait=True))
JUST_BEFORE, LONG_BEFORE = "2026-01-01T00:00:04.900000Z", "2026-01-01T00:00:01.000000Z"

# Rule -> results that have the fault, and others that do not.
CASES: dict[str, tuple[Sequence[Facts], Sequence[Facts]]] = {
    "oom-killed": (
        [facts(containers=[life(exit_code=137, reason="OOMKilled")]), facts(status=killed(1))],
        [
            facts(containers=[life(exit_code=137)]),
            facts(containers=[life(exit_code=0, reason="Completed")]),
            facts(status=killed(0)),
        ],
    ),
    "died-after-error": (
        [facts(containers=[life()], status=failed_call(JUST_BEFORE))],
        [
            facts(containers=[life(exit_code=143)], status=failed_call(JUST_BEFORE)),
            facts(containers=[life(exit_code=137)], status=failed_call(JUST_BEFORE)),
            facts(containers=[life()], status=failed_call(LONG_BEFORE)),
            facts(containers=[life(exit_code=0)], status=failed_call(JUST_BEFORE)),
            facts(containers=[life("shop-2")], status=failed_call(JUST_BEFORE)),
            facts(containers=[life()], status=failed_call(JUST_BEFORE, expected=True)),
            facts(containers=[life()], status=failed_call(JUST_BEFORE, syscall="prctl")),
            facts(containers=[life()], status=failed_call(JUST_BEFORE, errno="EAGAIN")),
        ],
    ),
    "crashed": (
        [
            facts(containers=[life(exit_code=139)]),
            facts(containers=[life(exit_code=134)], status=failed_call(JUST_BEFORE)),
            facts(status=ended({"signal": "SIGSEGV", "end": "killed by SIGSEGV"})),
            facts(status=ended({"ends": [{"end": "killed by SIGABRT, core dumped", "count": 3}], "processes": 3})),
            facts(status=ended({"ends": [{"end": "killed by seccomp for calling mkdirat (SIGSYS)", "count": 1}]})),
            # Its exit code says that a container ended so; the others of it are told too.
            facts(containers=[life(exit_code=135)], status=ended({"signal": "SIGBUS"}, {"exitCode": 0})),
        ],
        [
            facts(containers=[life(exit_code=143), life(exit_code=137)]),
            facts(containers=[life(exit_code=141), life(exit_code=1), life(exit_code=255)]),
            facts(status=ended({"signal": "SIGTERM"}, {"signal": "SIGPIPE"}, {"signal": "SIGKILL"}, {"exitCode": 139})),
            facts(status=ended({"ends": [{"end": "killed for memory (SIGKILL)", "count": 2}]})),
        ],
    ),
    "ended-with-error": (
        [
            facts(containers=[life()]),
            facts(containers=[life(exit_code=127), life("shop-2", exit_code=0)]),
            facts(containers=[life(exit_code=143)]),
            # A missing file is no cause where it was missing long before.
            facts(containers=[life()], status=failed_call(LONG_BEFORE)),
            facts(status=ended(*[{"exitCode": 2}] * 3, *[{"exitCode": 0}] * 3)),
            facts(status=ended({"processes": 5, "ends": [{"end": "exited with 7", "count": 5}]})),
        ],
        [
            facts(containers=[life(exit_code=0)]),
            facts(containers=LIVES),
            facts(containers=[life()], status=failed_call(JUST_BEFORE)),
            facts(containers=[life(exit_code=139), life("shop-2", exit_code=137, reason="OOMKilled")]),
            facts(status=ended(*[{"exitCode": 2}] * 2)),
            facts(status=ended(*[{"exitCode": 2}] * 3, *[{"exitCode": 0}] * 4)),
            facts(status=ended(*[{"exitCode": 1, "executable": "/usr/bin/grep"}] * 9)),
            facts(status=ended(*[{"signal": "SIGTERM", "end": "killed by SIGTERM"}] * 9)),
            facts(status=ended({"processes": 9, "ends": [{"end": "executed /bin/false", "count": 9}]})),
        ],
    ),
    "empty-file": (
        [
            facts(containers=[life()], status=opened("/etc/shop/app.yaml")),
            facts(containers=[life(exit_code=3)], status=opened("/run/secrets/token", 5)),
            facts(status=opened("/srv/shop/app.json", 5)),
            facts(row("execve", 2), status=opened("/srv/shop/app.json", 5)),
            facts(containers=[life()], status=linked("/etc/shop/app.yaml", "/etc/shop/..2026/app.yaml")),
        ],
        [
            facts(status=opened("/etc/shop/app.yaml", 4)),
            facts(containers=[life(exit_code=143)], status=opened("/etc/shop/app.yaml", 4)),
            # Each of the programs that are started reads it.
            facts(row("execve", 3), status=opened("/etc/shop/app.yaml", 5)),
            facts(containers=[life()], status=opened("/etc/shop/app.yaml", readBytes=1)),
            facts(containers=[life()], status=opened("/etc/shop/app.yaml", reads=0)),
            facts(containers=[life()], status=opened("/etc/shop/app.yaml", writes=1)),
            facts(containers=[life()], status=opened("/srv/shop/__init__.py")),
            facts(containers=[life()], status=opened("/etc/machine-id")),
            facts(containers=[life()], status=opened("/proc/1/config")),
            # Something else is the reason.
            facts(containers=[life()], status={**opened("/etc/shop/app.yaml"), **failed_call(JUST_BEFORE)}),
        ],
    ),
    "read-again": (
        [
            facts(row("openat", 1000), status=opened("/etc/shop/app.yaml", 100, readBytes=90_000)),
            facts(row("read", 10_000), row("execve", 50), status=opened("/srv/page.html", 100, readBytes=100)),
        ],
        [
            facts(row("openat", 1000), status=opened("/etc/shop/app.yaml", 99, readBytes=90_000)),
            facts(row("openat", 1000), seconds=11, status=opened("/etc/shop/app.yaml", 100, readBytes=90_000)),
            facts(row("read", 100_000, 30_000), status=opened("/etc/shop/app.yaml", 100, readBytes=90_000)),
            facts(row("openat", 1000), status=opened("/etc/shop/app.yaml", 100, readBytes=90_000, reads=99)),
            facts(row("openat", 1000), status=opened("/etc/shop/app.yaml", 100, readBytes=90_000, writes=11)),
            facts(row("openat", 1000), row("execve", 51), status=opened("/etc/nsswitch.conf", 100, readBytes=100)),
            facts(row("openat", 1000), status=opened("/proc/self/status", 100, readBytes=90_000)),
        ],
    ),
    "crash-loop": (
        [facts(containers=LIVES)],
        [facts(containers=[life()]), facts(containers=[life("a"), life("b")])],
    ),
    "disk-full": (
        [facts(failing("write", "ENOSPC", 1, 9)), facts(failing("openat", "EDQUOT", 2, 2))],
        [facts(failing("write", "EIO", 1, 9)), facts(failing("inotify_add_watch", "ENOSPC", 1, 9))],
    ),
    "task-limit": (
        [facts(failing("clone3", "EAGAIN", 1, 9)), facts(failing("fork", "EAGAIN", 2, 2))],
        [
            facts(failing("clone3", "ENOSYS", 1, 9)),
            facts(failing("read", "EAGAIN", 9, 9)),
            # The limit of the pod says more.
            facts(failing("clone", "EAGAIN", 9, 9), status=threads(refused=9)),
        ],
    ),
    "watch-limit": (
        [
            facts(failing("inotify_init1", "EMFILE", 1, 1)),
            facts(failing("inotify_add_watch", "ENOSPC", 3, 900)),
            facts(failing("inotify_init1", "EMFILE", 1, 1), failing("fanotify_mark", "ENOSPC", 1, 1)),
        ],
        [
            facts(failing("inotify_init1", "EMFILE", 1, 1), failing("openat", "EMFILE", 1, 9)),
            facts(failing("inotify_add_watch", "ENOENT", 9, 9)),
            facts(failing("write", "ENOSPC", 9, 9)),
        ],
    ),
    "fd-leak": (
        [facts(failing("accept4", "EMFILE", 1, 9))],
        [
            facts(failing("accept4", "EAGAIN", 1, 9)),
            facts(failing("inotify_init1", "EMFILE", 1, 9)),
        ],
    ),
    "connect-failing": (
        [
            facts(failing("connect", "ECONNREFUSED", 5, 100)),
            facts(failing("connect", "ETIMEDOUT", 50, 60)),
            # What does not wait: Go, Node, nginx.
            facts(
                failing("connect", "EINPROGRESS", 10, 10),
                status=tried(failed=[{"errno": "ECONNREFUSED", "count": 10}]),
            ),
            facts(failing("connect", "EINPROGRESS", 10, 10), status=tried(abandoned=5)),
            facts(failing("connect", "ECONNREFUSED", 10, 20), status=both_ways(9)),
        ],
        [
            facts(failing("connect", "EINPROGRESS", 10, 10), status=tried(established=5, abandoned=5)),
            facts(failing("connect", "EINPROGRESS", 10, 10), status=tried(established=10)),
            # localhost is ::1 and 127.0.0.1, and the server has the second.
            facts(failing("connect", "ECONNREFUSED", 10, 20), status=both_ways(10)),
            facts(failing("connect", "ECONNREFUSED", 4, 4)),
            facts(failing("connect", "ECONNREFUSED", 49, 1000)),
            facts(failing("connect", "ENOENT", 50, 60)),
            facts(failing("connect", "EINPROGRESS", 50, 60)),
        ],
    ),
    "denied-by-seccomp": (
        [
            facts(replace(failing("mount", "EPERM", 3, 5), timed=2)),
            facts(replace(failing("clone3", "ENOSYS", 1, 1), timed=0)),
        ],
        [
            facts(failing("mount", "EPERM", 3, 5)),
            facts(replace(failing("openat", "ENOENT", 3, 5), timed=2)),
            facts(row("exit_group", 5, timed=0)),
        ],
    ),
    "cpu-throttled": (
        [facts(status=throttled(100, 25, 0.5)), facts(status=throttled(20, 20, 9))],
        [
            facts(status=throttled(100, 24, 5)),
            facts(status=throttled(100, 25, 0.4)),
            facts(status=throttled(19, 19, 5)),
            facts(
                status={"containers": [{"pod": "a", "container": "b", "resources": {"cpu": {"usageNanoseconds": 5}}}]}
            ),
        ],
    ),
    "memory-pressure": ([facts(status=stalled(0.2))], [facts(status=stalled(0.1))]),
    "memory-growth": (
        [
            facts(status=growing(*(100 + 5 * at for at in MINUTE)), seconds=60),
            # Of what a collector frees the floor rises, too.
            facts(status=growing(*(50 + 4 * at + 30 * (at % 2) for at in range(26)), each_s=2.4), seconds=60),
            facts(status=growing(*(100 + 5 * at for at in range(26))), containers=[began(10)], seconds=130),
        ],
        [
            # Too little, too little of what there is, a plateau, a collector's sawtooth, more processes, a start.
            facts(status=growing(*(100 + 1.2 * at for at in MINUTE)), seconds=60),
            facts(status=growing(*(1000 + 4 * at for at in MINUTE)), seconds=60),
            facts(status=growing(*(min(200, 100 + 25 * at) for at in MINUTE)), seconds=60),
            facts(status=growing(*(50 + 40 * (at % 4) for at in MINUTE)), seconds=60),
            facts(status=growing(*(100 + 5 * at for at in MINUTE), processes=3), seconds=60),
            facts(status=growing(*(100 + 5 * at for at in MINUTE)), containers=[began(10)], seconds=75),
            facts(status=growing(*(100 + 5 * at for at in MINUTE), each_s=2), seconds=60),
        ],
    ),
    "thrashing": (
        [
            facts(status=thrashing()),
            facts(status=thrashing(major=100)),
            facts(status=thrashing(coveredNanoseconds=10 * SECOND), containers=[began(0)]),
            facts(status=thrashing(pressure={"memorySomeNanoseconds": 0, "ioSomeNanoseconds": SECOND})),
        ],
        [
            facts(status=thrashing(major=99)),
            facts(status=thrashing(refaults=10)),
            facts(status=thrashing(waited_s=0.4)),
            facts(status=thrashing(coveredNanoseconds=9 * SECOND)),
            facts(status=thrashing(), containers=[began(9)]),
        ],
    ),
    "mmap-churn": (
        [facts(status=churning(5000, 6000)), facts(status=churning(5, 5, given_back=10_000))],
        [
            facts(status=churning(4900, 6000)),
            facts(status=churning(20_000, 10)),
            facts(status=churning(5000, 6000, faults=99_000)),
            facts(status=churning(5000, 6000, system_ms=99)),
            facts(status=churning(50_000, 60_000, faults=1_000_000), seconds=101),
        ],
    ),
    "udp-drops": (
        [facts(status=pod_counters(udpReceiveBufferErrors=10, udpInDatagrams=9_990))],
        [
            facts(status=pod_counters(udpReceiveBufferErrors=9, udpInDatagrams=9)),
            facts(status=pod_counters(udpReceiveBufferErrors=10, udpInDatagrams=10_990)),
            facts(status=pod_counters(udpReceiveBufferErrors=1000, nodeNetwork=True)),
        ],
    ),
    "pids-limit": (
        [facts(status=threads(refused=1)), facts(status=threads(under_limit=90))],
        [
            facts(status=threads(under_limit=89)),
            facts(
                status={
                    "containers": [
                        {"pod": "a", "container": "b", "resources": {"pids": {"current": 5, "maxEvents": 0}}}
                    ]
                }
            ),
        ],
    ),
    "listen-overflow": (
        [
            facts(status=pod_network(listenOverflows=1)),
            facts(status=pod_network(listenDrops=2)),
            facts(status=queue(103, 128)),
            facts(status=queue(6, 5, listenOverflows=3, nodeNetwork=True)),
        ],
        [
            facts(status=pod_network()),
            facts(status=pod_network(listenDrops=2, nodeNetwork=True)),
            facts(status=queue(102, 128)),
            facts(status=queue(6, 5)),
            facts(status=queue(5, 5, listenOverflows=3, nodeNetwork=True)),
        ],
    ),
    "retransmits": (
        [facts(status=pod_network(sentSegments=1000, retransmittedSegments=10))],
        [
            facts(status=pod_network(sentSegments=999, retransmittedSegments=99)),
            facts(status=pod_network(sentSegments=1000, retransmittedSegments=9)),
        ],
    ),
    "thundering-herd": (
        [facts(failing("accept4", "EAGAIN", 3000, 4000))],
        [facts(failing("accept4", "EAGAIN", 1000, 2000)), facts(failing("accept4", "EAGAIN", 90, 90))],
    ),
    "hung-call": ([facts(status=hung(10))], [facts(status=hung(9)), facts(status=hung(1000, wait=True))]),
    "lock-held": (
        [
            facts(failing("flock", "EAGAIN", 3, 4)),
            facts(failing("fcntl", "EACCES", 9, 90)),
            facts(failing("fcntl", "EDEADLK", 1, 90)),
            facts(row("flock", 2, SECOND, wait=True)),
            facts(row("fcntl", 200, 10 * MS, wait=True)),
            facts(status=locking(2)),
        ],
        [
            facts(failing("flock", "EAGAIN", 2, 2)),
            facts(failing("fcntl", "EAGAIN", 9, 91)),
            facts(failing("fcntl", "EBADF", 90, 90)),
            facts(row("flock", 9, 100 * MS, wait=True)),
            facts(row("flock", 9000, 100_000)),
            facts(status=locking(2, syscall="futex")),
            facts(status=locking(2, arguments="3</data/lock>, F_GETLK, ...")),
            facts(status=locking(0)),
        ],
    ),
    "lock-convoy": (
        [facts(*LOCKS, status=budget(0, 0.25))],
        [
            # A Go service under load: 63 %.
            facts(*LOCKS, status=budget(0, 0.47)),
            facts(row("futex", 40_000), row("futex", 40_000, 20 * MS, wait=True), status=budget(0, 0.25)),
            facts(row("futex", 1_000), row("futex", 79_000, 20_000, wait=True), status=budget(0, 0.25)),
            facts(*(replace(each, calls=each.calls // 2) for each in LOCKS), status=budget(0, 0.25)),
        ],
    ),
    "busy-poll": (
        [facts(row("sched_yield", 10_000)), facts(row("clock_nanosleep", 10_000, 100_000, wait=True))],
        [facts(row("sched_yield", 9_000)), facts(row("clock_nanosleep", 10_000, 10 * MS, wait=True))],
    ),
    "cpu-starved": (
        [facts(status=budget(1, 8))],
        [facts(status=budget(0.5, 8)), facts(status=budget(0.5, 0.4))],
    ),
    "fsync-storm": (
        [facts(row("fsync", 100, MS), row("read", 100, MS))],
        [
            facts(row("fsync", 99, MS)),
            facts(row("fsync", 19, MS), seconds=1),
            facts(row("fsync", 100, MS), row("read", 500, MS)),
        ],
    ),
    "stat-storm": (
        [
            facts(row("newfstatat", 10_000), row("mmap", 39_000), status=asked_for(10)),
            # Forty files, of which the view tells thirty one by one.
            facts(row("access", 10_000), status=asked_for(30, others=1000)),
        ],
        [
            facts(row("newfstatat", 9_000), status=asked_for(10)),
            facts(row("newfstatat", 10_000), row("mmap", 43_000), status=asked_for(10)),
            facts(row("newfstatat", 10_000), status=asked_for(100)),
            facts(row("newfstatat", 10_000), status=asked_for(30, others=4000)),
        ],
    ),
    "small-io": (
        [
            facts(row("read", 10_000), status=moved("read", 10_000, 1)),
            facts(row("pwrite64", 10_000), status=moved("write", 10_000, 1023)),
        ],
        [
            facts(row("read", 9_000), status=moved("read", 9_000, 1)),
            facts(row("read", 10_000), status=moved("read", 10_000, 1024)),
            facts(row("read", 10_000, wait=True), status=moved("read", 10_000, 1)),
            facts(row("read", 10_000), row("mmap", 300_000), status=moved("read", 10_000, 1)),
            facts(row("read", 10_000), status=moved("read", 10_000, 8, path="anon_inode")),
            # Sockets beside a file that is read now and then.
            facts(row("read", 100_000), status=moved("read", 900, 1)),
        ],
    ),
    "clock-in-kernel": ([facts(row("clock_gettime", 10_000))], [facts(row("clock_gettime", 9_000))]),
    "process-churn": (
        [facts(row("execve", 100))],
        [facts(row("execve", 99)), facts(row("execve", 99), seconds=1), facts(failing("execve", "ENOENT", 900, 950))],
    ),
    "connection-churn": (
        [
            facts(status=peer()),
            facts(status=peer(role="server")),
            facts(status=peer(waiting=20)),
            facts(failing("connect", "EADDRNOTAVAIL", 1, 101), status=peer()),
        ],
        [
            facts(status=peer(established=99)),
            facts(status=peer(closed=99)),
            facts(status=peer(life_ns=SECOND)),
            facts(status=peer(bytesReceived=100 * 16 * 1024)),
            # The peer closes first: the sockets are kept there.
            facts(status=peer(waiting=19)),
            facts(status=peer(), seconds=11),
        ],
    ),
    "no-answer": (
        [
            facts(status=unanswered(timeout(SECOND))),
            facts(status=unanswered(timeout(SECOND // 2, "recvfrom", "5<10.0.0.5:80>, ..."), timeout(SECOND // 2))),
            facts(status=unanswered(timeout(SECOND, "epoll_wait", f"4<epoll [{POLLED}, {{fd=3<anon_inode:a>}}]>"))),
            # A loop of events gives up one of its connections.
            facts(status=unanswered(timeout(SECOND, "epoll_wait", f"4<epoll [{POLLED}, {{fd=3<10.0.0.6:9>}}]>"))),
            facts(status=unanswered(timeout(SECOND, arguments="[{fd=5<[::1]:80>, events=POLLIN}]"), address="::1")),
            facts(status=unanswered(unreturned=[waiting(10)])),
        ],
        [
            facts(status=unanswered(timeout(SECOND), bytesReceived=1)),
            facts(status=unanswered(timeout(SECOND), bytesSent=0)),
            facts(status=unanswered(timeout(SECOND), role="server")),
            facts(status=unanswered(timeout(SECOND), port=81)),
            facts(status=unanswered(timeout(SECOND * 9 // 10))),
            facts(status=unanswered(*[timeout(SECOND // 11)] * 20)),
            facts(status=unanswered(timeout(SECOND, result=1))),
            facts(status=unanswered(timeout(SECOND, wait=False))),
            # Logs are sent from a loop of events, and nobody answers.
            facts(status=unanswered(timeout(SECOND, arguments=f"[{POLLED}, {{fd=3<10.0.0.6:9>}}]"), open=1)),
            facts(status=unanswered(unreturned=[waiting(9)])),
        ],
    ),
    "log-blocked": (
        [
            facts(status=writing(MS * 250, MS * 250)),
            facts(status=writing(SECOND), seconds=100),
            facts(status=writing(SECOND, arguments="2<pipe>, ..., 80", hostPid=5)),
            facts(status={**writing(), "unreturned": [{**blocked(0), "ageNanoseconds": 2 * SECOND}]}),
        ],
        [
            facts(status=writing(MS * 250, MS * 240)),
            facts(status=writing(SECOND, wait=False)),
            facts(status=writing(SECOND, arguments="1<socket>, ..., 80")),
            facts(status=writing(SECOND, arguments="3<pipe>, ..., 80")),
            facts(status=writing(SECOND, syscall="read", arguments="1<pipe>, ..., 80")),
            # One that the program has made itself, between two of its processes.
            facts(status=writing(SECOND, hostPid=5)),
            facts(status=writing(SECOND), seconds=0),
        ],
    ),
    "lock-contended": (
        [
            facts(status=shared_lock()),
            facts(status=shared_lock(threads=2, wakes=20, handedOn=10, holds=10, heldNanoseconds=10 * MS)),
            facts(status=shared_lock(totalNanoseconds=50 * SECOND), seconds=100),
        ],
        [
            # Workers that wait for work.
            facts(status=shared_lock(handedOn=0, holds=0, heldNanoseconds=0)),
            facts(status=shared_lock(handedOn=149)),
            facts(status=shared_lock(threads=1)),
            facts(status=shared_lock(wakes=19, handedOn=19)),
            facts(status=shared_lock(heldNanoseconds=299 * MS)),
            facts(status=shared_lock(totalNanoseconds=5 * SECOND - 1)),
            facts(status=shared_lock(), seconds=0),
        ],
    ),
    "one-thread-limit": (
        [
            facts(row("epoll_wait", 100), status=busy(9)),
            facts(row("accept4", 100), status=busy(11.9, threads=[served(1), served(9)])),
        ],
        [
            facts(row("epoll_wait", 99), status=busy(9)),
            facts(row("epoll_wait", 100), status=busy(8.9)),
            facts(row("epoll_wait", 100), status=busy(12)),
            facts(row("epoll_wait", 100), status=busy(9, waited_s=2)),
            # It waits for a CPU: more of them would help.
            facts(row("epoll_wait", 100), status=busy(5, ready_s=5)),
            facts(row("epoll_wait", 100), status=busy(9, calls=99)),
            # As many threads that take turns, and a process that came and went.
            facts(row("epoll_wait", 100), status=busy(9, threads=[served(0), served(1)])),
            facts(row("epoll_wait", 100), status=busy(9, threads=[served(6), served(7)])),
            facts(row("epoll_wait", 100), status=busy(9, lifetimeNanoseconds=5 * SECOND)),
            facts(row("epoll_wait", 100), status=busy(9, pod="shop-2")),
            facts(row("epoll_wait", 100), status=busy(1.8), seconds=1.9),
        ],
    ),
    "pauses-between-attempts": (
        [
            facts(failing("connect", "ECONNREFUSED", 10, 10), row("clock_nanosleep", 10, 200 * MS, wait=True)),
            facts(failing("connect", "ETIMEDOUT", 100, 300), row("nanosleep", 110, 20 * MS, wait=True)),
        ],
        [
            facts(failing("connect", "ECONNREFUSED", 9, 9), row("clock_nanosleep", 9, SECOND, wait=True)),
            facts(failing("connect", "ECONNREFUSED", 10, 10), row("clock_nanosleep", 10, 199 * MS, wait=True)),
            # It sleeps for other reasons.
            facts(failing("connect", "ECONNREFUSED", 100, 100), row("clock_nanosleep", 111, 20 * MS, wait=True)),
            facts(row("clock_nanosleep", 100, 20 * MS, wait=True)),
        ],
    ),
    "missing-files": (
        [
            facts(failing("newfstatat", "ENOENT", 200, 250), status=missing(4, 50)),
            facts(failing("openat", "ENOENT", 400, 800), status=missing(1, 200)),
        ],
        [
            facts(failing("newfstatat", "ENOENT", 199, 250), status=missing(1, 199)),
            # A search at a start asks for each place a few times.
            facts(failing("newfstatat", "ENOENT", 190, 250), status=missing(10, 19)),
            facts(failing("openat", "ENOENT", 401, 800), status=missing(1, 200)),
        ],
    ),
    "disk-slow": (
        [
            facts(status=disk(100, 21)),
            facts(status=disk(100, 21, operation="read", sync=True)),
            facts(status={"blockIO": disk(100, 21)["blockIO"]}),
        ],
        [
            facts(status=disk(99, 21)),
            facts(status=disk(100, 20)),
            facts(status=disk(100, 90, 512 * 1024)),
            facts(status=disk(100, 90, operation="write", sync=False)),
            facts(status=disk(100, 90, operation="discard")),
            facts(status=disk(100, 90, waited_s=0.4)),
        ],
    ),
    "dns-search-storm": (
        [
            facts(status=dns("!api.test.shop.svc.k8s*5", "!api.test.svc.k8s*5", "!api.test.k8s*5", "api.test*5")),
            # A name of another namespace is found with the second suffix.
            facts(status=dns("!db.data.shop.svc.k8s*10", "db.data.svc.k8s*10")),
        ],
        [
            facts(status=dns("!api.test.shop.svc.k8s*4", "!api.test.svc.k8s*5", "!api.test.k8s*5", "api.test*5")),
            facts(status=dns("!api.test.shop.svc.k8s*9", "api.test*11")),
            facts(status=dns("!a.test*10", "!b.test*10", "!a.other*10", "good.test*5")),
            # Nobody has it, with a suffix or without.
            facts(status=dns("!dp.shop.svc.k8s*10", "!dp.svc.k8s*10", "!dp.k8s*10", "!dp*10")),
        ],
    ),
    "dns-slow": (
        [facts(status=dns("a.test*10", "b.test*10", each_ms=120))],
        [facts(status=dns("a.test*19", each_ms=900)), facts(status=dns("a.test*50", each_ms=90))],
    ),
    "dns-unanswered": (
        [
            facts(status=dns("a.test*10", unanswered=1, repeated=1)),
            facts(status=dns("a.test*200", unanswered=3)),
            facts(status=dns("a.test*3", answers=0, unanswered=3)),
        ],
        [facts(status=dns("a.test*10", unanswered=2)), facts(status=dns("a.test*500", unanswered=4))],
    ),
    "dns-failing": (
        [
            facts(status=dns("a.test*100", servfail=5)),
            facts(status=dns("a.test*100", failed=5)),
            facts(status=dns("!dp.shop.svc.k8s*2", "!dp.svc.k8s*2", "!dp.k8s*2", "!dp*2")),
        ],
        [
            facts(status=dns("a.test*10", servfail=4)),
            facts(status=dns("a.test*101", servfail=5)),
            facts(status=dns("!a.test*4")),
            facts(status=dns("!a.test*9", "b.test*11")),
            facts(status=dns("!api.test.shop.svc.k8s*5", "!api.test.svc.k8s*5", "api.test*5")),
        ],
    ),
}


def test_every_rule_has_its_cases() -> None:
    """And no two rules have one name."""
    assert sorted(CASES) == sorted(rule.id for rule in NUMERIC)
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.about and rule.source for rule in RULES)


BEHIND_ITS_CAUSE = {"pauses-between-attempts"}


@pytest.mark.parametrize("name", CASES)
def test_the_fault_is_found(name: str) -> None:
    """First of all, or second behind its cause, with numbers that reach their bounds, and words."""
    for each in CASES[name][0]:
        first = judge(each).findings[name in BEHIND_ITS_CAUSE]
        assert first.id == name, each
        assert first.summary.endswith(".")
        assert first.advice.endswith(".")
        assert first.evidence
        for shown in first.evidence:
            assert shown.threshold is None or shown.value >= shown.threshold or shown.name == "meanBytes"


@pytest.mark.parametrize("name", CASES)
def test_the_innocent_twin_is_not(name: str) -> None:
    """Just below a bound, or what clears the finding."""
    for each in CASES[name][1]:
        assert name not in found(each), each


@pytest.mark.parametrize("rule", NUMERIC, ids=lambda rule: rule.id)
def test_a_rule_without_its_view_is_not_judged(rule: Any) -> None:
    """It says what it needs; nothing is found by what is not known."""
    for each in CASES[rule.id][0]:
        judged = judge(replace(each, views=frozenset()))
        if rule.needs:
            assert rule.id not in [finding.id for finding in judged.findings]
            assert (rule.id, ", ".join(f"views.{view}" for view in rule.needs)) in judged.not_judged
        else:
            # It is found, or it is said what would tell.
            assert rule.id in {*(finding.id for finding in judged.findings), *dict(judged.not_judged)}


def test_a_rule_without_the_part_of_its_view_is_not_judged() -> None:
    """The view is on, and that part was not asked for."""
    judged = judge(facts(status=pod_network()))

    assert ("dns-slow", "views.network.dns") in judged.not_judged
    assert "retransmits" not in dict(judged.not_judged)


@pytest.mark.parametrize("changes", [{"filtered": True}, {"lost_calls": 1}])
def test_shares_are_not_judged_where_not_all_is_counted(changes: dict[str, Any]) -> None:
    """A share of some calls is no share."""
    judged = judge(replace(CASES["fsync-storm"][0][0], **changes))

    assert "fsync-storm" not in [each.id for each in judged.findings]
    assert dict(judged.not_judged)["fsync-storm"]
    assert found(replace(CASES["disk-full"][0][0], **changes)) == ["disk-full"]


def scaled(given_facts: Facts, factor: int) -> Facts:
    """Return the same with so many times the calls in so many times the time."""
    rows = [
        replace(
            each,
            calls=each.calls * factor,
            timed=each.timed * factor,
            errors=each.errors * factor,
            total_ns=each.total_ns * factor,
            bytes=each.bytes * factor,
            errnos={name: count * factor for name, count in each.errnos.items()},
            latency={index: count * factor for index, count in each.latency.items()},
        )
        for each in given_facts.rows
    ]
    status = longer(given_facts.status, factor)
    return replace(given_facts, rows=rows, status=status, seconds=given_facts.seconds * factor)


# Numbers of a status that are the same however long somebody looks.
SAME = {"port", "pid", "tid", "hostPid", "hostTid", "threads", "nanoseconds", "ageNanoseconds", "limitMillicores"}
SAME |= {"p50Nanoseconds", "p99Nanoseconds", "exitCode"}


def longer(part: Any, factor: int) -> Any:
    """Return a part of a status with so many times the counts, and so many times the calls that are listed."""
    if isinstance(part, dict):
        return {
            name: value if name in SAME else value * factor if name == "slowCalls" else longer(value, factor)
            for name, value in part.items()
        }
    if isinstance(part, list):
        return [longer(each, factor) for each in part]
    return part * factor if type(part) is int else part


# All but those of which a few are chance: more of them are more.
RATES = set(CASES) - {"dns-failing", "dns-search-storm", "dns-slow", "dns-unanswered"}
RATES -= {
    *("connect-failing", "cpu-starved", "cpu-throttled", "memory-pressure"),
    *("connection-churn", "disk-slow", "listen-overflow", "retransmits"),
    *("pauses-between-attempts", "missing-files", "thrashing", "udp-drops", "lock-held", "no-answer"),
    *("empty-file", "lock-contended", "read-again"),
}


# What stands exactly at the bound of memory-pressure may be rounded to either side of it.
@given(st.sampled_from(sorted(set(CASES) - {"memory-pressure"})), st.integers(2, 50))
def test_a_longer_session_of_the_same_finds_the_same(name: str, factor: int) -> None:
    """Rates and shares decide, not how long somebody looks; where a least number decides, too, more are enough."""
    faults, innocent = CASES[name]
    for each in (*faults, *(each for each in innocent if name in RATES and each.seconds == 10)):
        assert found(scaled(each, factor)) == found(each)


def counts(each: SyscallRow, some: Callable[[int], int]) -> agent_pb2.SyscallCounts:
    """Return some of a row as an agent reports it."""
    made = agent_pb2.SyscallCounts(name=each.name, wait=each.wait, max_nanoseconds=each.max_ns)
    for name in ("calls", "errors", "timed", "bytes"):
        setattr(made, name, some(getattr(each, name)))
    made.total_nanoseconds = some(each.total_ns)
    made.errnos.extend(agent_pb2.ErrnoCount(name=name, count=some(count)) for name, count in each.errnos.items())
    made.latency.buckets.extend(each.latency)
    made.latency.counts.extend(map(some, each.latency.values()))
    return made


@given(st.sampled_from(sorted(CASES)), st.floats(0, 1))
def test_the_same_counts_in_two_pods_find_the_same(name: str, share: float) -> None:
    """As they come from two nodes: rules look at the sums."""
    for each in (case for cases in CASES[name] for case in cases):
        reports = [agent_pb2.Report(node=node, agent_id=node) for node in ("n1", "n2")]
        parts = (lambda count: round(count * share), lambda count: count - round(count * share))
        for report, part in zip(reports, parts, strict=True):
            container = agent_pb2.Container(pod_name=report.node, pod_uid=report.node, container_id=report.node)
            state = agent_pb2.ContainerState(container=container)
            report.containers.add(state=state, syscalls=[counts(row, part) for row in each.rows])
        summed = list(merge.merge(reports).syscalls.values())

        assert found(replace(each, rows=summed)) == found(each)


def halved(pod: dict[str, Any], share: float) -> list[dict[str, Any]]:
    """Return two pods that have the counters of one between them."""
    parts: list[dict[str, Any]] = [{**pod}, {**pod, "pod": "shop-2"}]
    for name, value in pod.items():
        if type(value) is int:
            parts[0][name] = round(value * share)
            parts[1][name] = value - parts[0][name]
    return parts


@given(st.sampled_from(["listen-overflow", "retransmits", "udp-drops"]), st.floats(0, 1))
def test_the_same_network_in_two_pods_finds_the_same(name: str, share: float) -> None:
    """What the kernel counts for a pod is a sum too."""
    for each in (case for cases in CASES[name] for case in cases):
        status = {
            view: {**part, "pods": [half for pod in part["pods"] for half in halved(pod, share)]}
            for view, part in each.status.items()
        }

        assert found(replace(each, status=status)) == found(each)


def parts_of(numbers: Any, part: Callable[[int], int]) -> Any:
    """Return a part of all numbers of a container."""
    if isinstance(numbers, dict):
        return {name: parts_of(value, part) for name, value in numbers.items()}
    if isinstance(numbers, list):
        return [parts_of(each, part) for each in numbers]
    return part(numbers) if type(numbers) is int else numbers


@given(st.floats(0, 1))
def test_the_same_memory_in_two_pods_is_the_same_churn(share: float) -> None:
    """Replicas share the work, and the rule looks at what a workload's containers do together."""
    for each in (case for cases in CASES["mmap-churn"] for case in cases):
        (row,) = each.status["containers"]
        halves = [
            parts_of(row, lambda count: round(count * share)),
            parts_of(row, lambda count: count - round(count * share)) | {"pod": "b"},
        ]
        judged = judge(replace(each, status={"containers": halves})).findings

        assert [one.id for one in judged] == found(each)
        if judged and 0.1 < share < 0.9:
            assert judged[0].summary.startswith("Container app of 2 pods maps memory")
            assert [place.pod for place in judged[0].places] == ["a", "b"]


def test_another_containers_churn_is_told_beside_the_worst() -> None:
    """Each by its own numbers."""
    first, second = churning(50_000, 60_000)["containers"][0], churning(5000, 6000)["containers"][0]
    second["container"] = "cache"

    (one,) = judge(facts(status={"containers": [second, first]})).findings

    assert one.summary.startswith("Container app of pod a maps memory and gives it back 10,000 times a second")
    assert one.summary.endswith(" 1 other container too.")
    assert [place.container for place in one.places] == ["app", "cache"]


# Where a view's part of a status stands.
PLACES = {"blockIO": "blockIO", "network": "network", "files": "files", "processes": "processes"}
PLACES |= {"cpuTime": "timeBudget", "slowCalls": "slowCalls", "errors": "summary", "memory": "memory"}
PLACES |= {"locks": "locks", "security": "security"}
PLACES["network.dns"] = ""  # a part of a place


@given(st.sampled_from(sorted(CASES)), st.sets(st.sampled_from(sorted(ALL_VIEWS))))
def test_a_missing_view_never_makes_a_finding(name: str, missing: set[str]) -> None:
    """But that a container ends with an error is told where it is not known any more why."""
    for each in (case for cases in CASES[name] for case in cases):
        known = {key: part for key, part in each.status.items() if key not in {PLACES[view] for view in missing}}
        fewer = replace(each, views=ALL_VIEWS - missing, status=known)

        assert set(found(fewer)) <= {*found(each), "crash-loop", "ended-with-error"}


def test_a_churn_is_told_with_its_peer_and_its_ports() -> None:
    """Once, where the server is in the same pod; from whom there is no free port any more it is critical."""
    both = peer(service="db")
    both["network"]["peers"].append({**peer(role="server")["network"]["peers"][0], "established": 100})
    (first,) = judge(facts(status=both)).findings
    assert first.summary == (
        "10 connections a second to 10.0.0.5:80 (Service/db), each for 1.0ms in the middle and 550B on average."
    )
    (first, *_) = judge(facts(failing("connect", "EADDRNOTAVAIL", 7, 107), status=peer())).findings
    assert (first.severity.name, first.summary[-49:]) == (
        "CRITICAL",
        "average. 7 connects found no free port (EADDRNOTAVAIL)."[-49:],
    )
    (first,) = judge(facts(status=peer(role="server"))).findings
    assert (first.severity.name, "from 10.0.0.5 to port 80" in first.summary) == ("INFO", True)


def test_a_thread_is_named() -> None:
    """The one that waits for its log, and the one that is all that works."""
    (first,) = judge(CASES["log-blocked"][0][0]).findings
    assert first.summary == (
        "Thread app of app waited 5.0 % of the time for its standard output or error to be read: "
        "2 writes of 250.0ms at most."
    )
    (first,) = judge(CASES["one-thread-limit"][0][1]).findings
    assert first.summary.startswith("One thread (loop) does the work of container app: it needed a CPU ")
    assert first.severity.name == "INFO"


def test_a_lock_is_told_with_what_may_be_done_under_it() -> None:
    """Sleeps and work; not the waits of threads that may be idle."""
    calls = (
        row("fsync", 100, MS),
        row("getppid", 10, MS),
        row("clock_nanosleep", 10, 20 * MS, wait=True),
        row("epoll_wait", 10, SECOND, wait=True),
    )
    (first,) = [each for each in judge(facts(*calls, status=shared_lock())).findings if each.id == "lock-contended"]

    assert first.summary == (
        "4 threads of app share a lock, and 0.5 of them wait for it at any time: 300 waits, the median 16.0ms. Whoever "
        "has it keeps it for 1.0ms on average, 9.0ms at most. What takes as much time is clock_nanosleep (200.0ms) and "
        "fsync (100.0ms)."
    )
    (alone,) = judge(facts(status=shared_lock())).findings
    assert alone.summary.endswith("9.0ms at most.")


def test_lives_that_ended_alike_are_explained_together() -> None:
    """Of many pods there is not a sample for each; another exit code is another story."""
    lives = [
        *LIVES,
        life("shop-2", 0),
        life("shop-2", 1),
        life("shop-3", 0, exit_code=9),
        life("shop-3", 1, exit_code=9),
    ]
    first, second = judge(facts(containers=lives, status=failed_call(JUST_BEFORE))).document()["findings"]

    assert (first["id"], first["pods"], first["evidence"][0]["value"]) == ("died-after-error", 2, 4)
    assert (second["id"], second["pods"]) == ("crash-loop", 3)


def test_a_crash_that_is_explained_is_told_once() -> None:
    """The loop itself is no news then; another container's is."""
    explained = facts(containers=LIVES, status=failed_call(JUST_BEFORE))

    assert found(explained) == ["died-after-error"]
    others = [*LIVES, life("shop-2", 0, exit_code=9), life("shop-2", 1, exit_code=9)]
    assert found(replace(explained, containers=others)) == ["died-after-error", "crash-loop"]


def test_a_call_that_hangs_is_told_in_words() -> None:
    """Who waits for what, and for how long; with how many others."""
    call = {"syscall": "fsync", "wait": False, "pod": "shop-1", "container": "app", "arguments": "3</data/wal>"}
    one = {**call, "ageNanoseconds": 15 * SECOND, "process": "redis-server"}
    other = {**call, "ageNanoseconds": 11 * SECOND}
    (first,) = judge(facts(status={"unreturned": [one, other]})).findings

    assert first.summary == (
        "redis-server has tried for 15.0s to sync /data/wal. The call fsync has not returned: it waits for a disk or "
        "for the kernel. 1 other call too."
    )


def test_a_lock_is_told_with_its_file() -> None:
    """The longest wait for it, or a try that failed."""
    slow = {"syscall": "fcntl", "wait": True, "nanoseconds": SECOND, "arguments": "4</data/db>, F_SETLKW, ..."}
    waits = row("fcntl", 2, SECOND, wait=True)
    (waited,) = judge(facts(waits, status={"slowCalls": [{**slow, "process": "sqlite3"}]})).findings
    sampled = failed_call(JUST_BEFORE, "3</data/lock>, LOCK_EX|LOCK_NB", syscall="flock", errno="EAGAIN")
    (failed,) = judge(facts(failing("flock", "EAGAIN", 5, 6), status=sampled)).findings
    (still,) = judge(facts(status=locking(12))).findings

    assert waited.summary == (
        "Another process holds a file lock: 2 waits took 2.0s, the longest 1.0s. sqlite3 waited to lock /data/db."
    )
    assert failed.summary == (
        "Another process holds a file lock: 5 of 6 flock calls failed (EAGAIN). For example one could not lock "
        "/data/lock."
    )
    assert still.summary == (
        "Another process holds a file lock: 1 wait took 12.0s, the longest 12.0s, and goes on. A thread waited to lock "
        "/data/lock."
    )


def test_a_peer_that_never_answers_is_told_by_what_was_waited() -> None:
    """Several connections are no chance; a wait without a timeout may be meant."""
    one, two = timeout(SECOND), timeout(2 * SECOND)
    (several,) = judge(facts(status=unanswered(one, two, established=2, bytesSent=36, service="db"))).findings
    (going_on,) = judge(facts(status=unanswered(unreturned=[waiting(12)]))).findings

    assert several.summary == (
        "10.0.0.5:80 (Service/db) accepts connections and never answers: 2 connections sent 36B and received nothing. "
        "2 waits for it ended in a timeout, 3.0s in all."
    )
    assert going_on.summary.endswith(
        "1 connection sent 18B and received nothing. A thread has waited for it for 12.0s."
    )
    assert (several.severity, going_on.severity) == (Severity.CRITICAL, Severity.INFO)
    assert judge(CASES["no-answer"][0][0]).findings[0].severity == Severity.WARNING


def test_waits_for_memory_are_told_once() -> None:
    """Thrashing says why; a container that only waits is told beside it."""
    status = thrashing(pressure={"memorySomeNanoseconds": SECOND, "memoryFullNanoseconds": SECOND})
    assert found(facts(status=status)) == ["thrashing"]
    other = {**stalled(1)["containers"][0], "pod": "shop-2"}
    status["containers"].append(other)
    assert set(found(facts(status=status))) == {"thrashing", "memory-pressure"}


def test_the_worst_comes_first_and_there_are_ten_at_most() -> None:
    """Critical ones before warnings; the names stand in a column."""
    everything = [each for cases, _ in CASES.values() for each in cases]
    whole = facts(
        *(each for given_facts in everything for each in given_facts.rows),
        containers=[each for given_facts in everything for each in given_facts.containers],
        status={key: value for given_facts in everything for key, value in given_facts.status.items()},
    )
    judged = judge(whole)
    document = judged.document()

    severities = [each.severity for each in judged.findings]
    assert severities == sorted(severities)
    assert len(document["findings"]) == MOST < len(judged.findings)
    names = list(dict.fromkeys(each["id"] for each in document["findings"]))
    assert document["findingIds"] == f"{', '.join(names[:3])}, +{len(names) - 3}"
    assert judge(CASES["disk-full"][0][0]).document()["findingIds"] == "disk-full"
    assert document["findings"][0]["severity"] == "critical"


def test_the_page() -> None:
    """What is wrong and where; then what to do, what would clear it, and the numbers; then what nobody could judge."""
    some = facts(failing("write", "ENOSPC", 3, 9), containers=LIVES, views=frozenset())
    status = judge(some).document()

    assert list(text.lines(status, 120, len(RULES))) == [
        "1. CRITICAL disk-full: A file system had no room left (ENOSPC or EDQUOT): 3",
        "   times by write.",
        "2. CRITICAL crash-loop: Container app of pod shop-1 started and ended with an",
        "   error again and again: exit code 1 (Error) 2 times.",
        "",
        "1. disk-full (confidence: high)",
        "   What to do: Look at the volume's and the node's free space and inodes, and at the pod's ephemeral-storage.",
        "   No problem if: The program fills a volume of fixed size on purpose.",
        "   Numbers: failed calls 3 (bound 1).",
        "",
        "2. crash-loop (confidence: high)",
        "   What to do: Look at the last failed calls in the errors and at the container's log: kubectl logs "
        "--previous.",
        "   No problem if: The container is a job that is meant to be tried again.",
        "   Numbers: ends with an error 2 (bound 2).",
        "   Where: app of shop-1.",
    ]
    count = len(status["notJudged"])
    assert text.not_judged(status).startswith(f"Not judged: {count} rules (they need views.blockIO, ")
    (one,) = ({"notJudged": [each]} for each in status["notJudged"] if each["id"] == "memory-growth")
    assert text.not_judged(one) == "Not judged: memory-growth (it needs views.memory)."
    few = {"notJudged": status["notJudged"][:3]}
    assert text.not_judged(few).startswith("Not judged: died-after-error, crashed, ended-with-error (they need views.")
    assert list(text.lines({}, 120, len(RULES))) == []
    (nothing,) = text.lines({"findings": [], "notJudged": [{}] * 3}, 120, 55)
    assert nothing == "findings: none, by 52 of the 55 rules of docs/findings.md; 3 could not be judged"
    assert list(text.lines({"findings": []}, 120, 55)) == ["findings: none, by 55 of the 55 rules of docs/findings.md"]
    assert text.not_judged({"notJudged": []}) == ""


@pytest.mark.parametrize("rule", sorted(CASES))
@pytest.mark.parametrize("pod", ["shop-1", "checkout-of-the-international-web-shop-6d5f7c9b8d-x2x9k"])
def test_two_lines_of_80_columns_hold_what_was_found(rule: str, pod: str) -> None:
    """To the end of a sentence, however long the pod's name is: what a rule says of its fault is not cut."""
    for each in (one for given_facts in CASES[rule][0] for one in judge(given_facts).document()["findings"]):
        summary = each["summary"].replace("shop-1", pod)
        lines = text.head(10, {**each, "summary": summary}, 120)

        assert len(lines) <= 2
        assert max(map(len, lines)) <= 80
        assert not lines[-1].endswith("..."), summary


def test_a_storm_names_its_file() -> None:
    """Where the view counted files."""
    paths = [{"path": "/data/wal", **UNUSED, "syncs": 97}, {"path": "/data/x", **UNUSED, "syncs": 3}]
    storm = CASES["fsync-storm"][0][0]
    (first, *_) = judge(replace(storm, status={"files": {"paths": paths}})).findings

    ending = ". The median fsync takes 1.0ms, the longest 1.0ms."
    assert first.summary.endswith(f"in calls that work, 97 % of them of /data/wal{ending}")
    assert judge(storm).findings[0].summary.endswith(f"in calls that work{ending}")
    spread = [{"path": f"/data/{number}", **UNUSED, "syncs": 10} for number in range(10)]
    (first, *_) = judge(replace(storm, status={"files": {"paths": spread}})).findings
    assert first.summary.endswith(f", 10 % of them of /data/0{ending}")


def test_failing_connects_name_their_peer() -> None:
    """With the name that the operator knows for it, or DNS."""
    peers: list[dict[str, Any]] = [
        {
            "role": "client",
            "address": "10.0.0.5",
            "port": 5432,
            "service": "db",
            "failed": [{"errno": "ECONNREFUSED", "count": 9}],
        },
        {"role": "client", "address": "10.0.0.9", "port": 80, "failed": [{"errno": "ECONNREFUSED", "count": 1}]},
        {"role": "client", "address": "10.0.0.7", "port": 80, "failed": [{"errno": "ETIMEDOUT", "count": 4}]},
    ]
    refused = replace(CASES["connect-failing"][0][0], status={"network": {"peers": peers}})
    (first,) = judge(refused).findings

    assert first.summary.endswith("refused (ECONNREFUSED). 90 % of these to 10.0.0.5:5432 (Service/db).")
    del peers[0]["service"]
    peers[0]["name"] = "db.test"
    (first,) = judge(refused).findings
    assert first.summary.endswith("refused (ECONNREFUSED). 90 % of these to 10.0.0.5:5432 (db.test).")


def test_a_failed_call_is_told_by_an_example_in_words() -> None:
    """With the program and the file, where errors were sampled."""
    status = failed_call(JUST_BEFORE, "8</data/shop.aof>, ..., 54", syscall="write", errno="ENOSPC")
    (first, *_) = judge(facts(failing("write", "ENOSPC", 3, 9), status=status)).findings
    assert first.summary.endswith(": 3 times by write. For example one could not write to /data/shop.aof.")
    status["summary"]["errorCounts"][0]["samples"][0]["process"] = "redis-server"
    (first, *_) = judge(facts(failing("write", "ENOSPC", 3, 9), status=status)).findings
    assert first.summary.endswith(" For example redis-server could not write to /data/shop.aof.")


def test_what_is_sent_again_names_the_peer() -> None:
    """It may be the line to one of them."""
    lossy = CASES["retransmits"][0][0]
    assert judge(lossy).findings[0].summary.endswith("(10 of 1,000), most by pod shop-1.")
    pods = lossy.status["network"]["pods"]
    peers = [{"role": "server", "address": f"10.0.0.{number}", "port": 80, "retransmits": number} for number in (1, 7)]
    (first, *_) = judge(replace(lossy, status={"network": {"pods": pods, "peers": peers}})).findings
    assert first.summary.endswith("most by pod shop-1, most to 10.0.0.7.")


def test_places_are_told_by_pods() -> None:
    """In how many of the pods that were traced."""
    rows = [life("a", 0), life("a", 1), life("b", 0), life("c", exit_code=0)]
    (shown,) = judge(facts(containers=[*rows, life("b", 1)])).document()["findings"]

    assert shown["containers"] == [{"pod": "a", "container": "app"}, {"pod": "b", "container": "app"}]
    assert (shown["pods"], shown["ofPods"]) == (2, 3)


def test_nothing_at_all_finds_nothing() -> None:
    """A session without a call, or of no length."""
    for each in (facts(), facts(seconds=0), facts(row("fsync", 5), seconds=0)):
        assert found(each) == []


def test_small_reads_of_several_files_are_one_finding() -> None:
    """As the pods of a Deployment have them, each with a file of its own."""
    status = moved("read", 10_000, 1)
    (file,) = status["files"]["paths"]
    paths = [{**file, "path": f"/data/{number}", "reads": 5_000, "readBytes": 5_000} for number in range(2)]
    (split, *_) = judge(facts(row("read", 10_000), status={"files": {"paths": paths}})).findings
    (whole, *_) = judge(facts(row("read", 10_000), status=status)).findings

    assert split.evidence == whole.evidence
    assert split.summary.endswith(": /data/0 and 1 other file.")


def test_files_that_are_synced_once_are_information() -> None:
    """So does an installer; what syncs one file again and again may put its commits together."""
    storm = CASES["fsync-storm"][0][0]
    (again, *_) = judge(replace(storm, status={"files": {"paths": [{"path": "/a", **UNUSED, "syncs": 100}]}})).findings
    each = [{"path": f"/{number}", **UNUSED, "syncs": 1} for number in range(100)]
    (once, *_) = judge(replace(storm, status={"files": {"paths": each}})).findings
    files = [{**one, "writes": 1} for one in each]
    folder = {"path": "/var/lib/dpkg/updates", **UNUSED, "syncs": 100}
    (installed, *_) = judge(replace(storm, status={"files": {"paths": [*files, folder]}})).findings

    assert (again.severity, once.severity, installed.severity) == (Severity.WARNING, Severity.INFO, Severity.INFO)
    assert found(facts(row("sync_file_range", 1000, MS))) == []


def test_a_busy_log_is_information() -> None:
    """Servers that log each request write small lines; a warning is where little else is done."""
    writes = row("write", 10_000, 10_000)
    log = moved("write", 10_000, 90)
    (alone, *_) = judge(facts(writes, status=log)).findings
    (beside, *_) = judge(facts(writes, row("sendto", 20_000, 10_000), status=log)).findings

    assert (alone.severity, beside.severity) == (Severity.WARNING, Severity.INFO)
    assert alone.summary == (
        "1,000 writes a second move 90B each and take 100 % of the time in calls that work: /data/log."
    )


def test_syncs_of_a_file_are_no_small_writes() -> None:
    """The time of a file is that of all that is done with it; redis syncs each of its small writes."""
    storm = facts(row("write", 10_000), row("fdatasync", 5_000, MS), status=moved("write", 10_000, 46))

    assert found(storm) == ["fsync-storm"]


def test_connects_that_fail_later_are_not_judged_without_the_peers() -> None:
    """Nothing found would say that none failed."""
    later = facts(failing("connect", "EINPROGRESS", 10, 10))

    assert ("connect-failing", "views.network") in judge(replace(later, views=frozenset())).not_judged
    assert "connect-failing" not in dict(judge(later).not_judged)


def test_processes_that_are_killed_for_memory_are_counted() -> None:
    """By the kernel where the container goes on; a container that ended so is one of them."""
    (counted,) = judge(facts(status=killed(3))).findings
    lives = [life(restarts=each, exit_code=137, reason="OOMKilled") for each in range(2)]
    (both,) = judge(facts(containers=lives, status=killed(1))).findings

    assert counted.summary == (
        "The kernel killed 3 processes of container app of pod shop-1 for memory in 10 s: its limit is 64.0MiB."
    )
    assert both.evidence[0].value == 2


@pytest.mark.parametrize("path", ["/etc/ld.so.preload", "/data/shop.db-journal", "/data/shop.db-wal", "/root/.curlrc"])
def test_a_file_that_nobody_needs_is_not_missed(path: str) -> None:
    """Each program that is started asks for the first, and SQLite for a journal before each transaction."""
    status = missing(1, 200)
    status["files"]["paths"][0]["path"] = path

    assert found(facts(failing("access", "ENOENT", 200, 200), status=status)) == []


def test_a_missing_file_is_the_cause_only_where_nothing_else_failed() -> None:
    """Programs look in several places, and for their own source when they print a trace."""
    status = failed_call(JUST_BEFORE)
    sample = {"time": "2026-01-01T00:00:04.800000Z", "arguments": "3, 10.0.0.5:80", "pod": "shop-1", "container": "app"}
    refused = {"syscall": "connect", "errno": "ECONNREFUSED", "count": 1, "samples": [{**sample, "process": "app.py"}]}
    status["summary"]["errorCounts"].append(refused)
    (first,) = judge(facts(containers=[life()], status=status)).findings

    assert first.summary == (
        "app.py could not connect to 10.0.0.5:80: the connection was refused (ECONNREFUSED). "
        "Just after that container app of pod shop-1 ended with exit code 1."
    )


def test_what_local_mode_traces_has_no_pod() -> None:
    """It is called by its name."""
    lost = {"pod": "", "container": "nginx", "resources": {"memory": {"oomKills": 1}}}
    (first,) = judge(facts(status={"containers": [lost]})).findings

    assert first.summary == "The kernel killed 1 process of nginx for memory in 10 s."


def test_a_cpu_limit_explains_why_there_is_no_cpu() -> None:
    """The wait for a CPU is told where no limit is the reason."""
    both = facts(status={**budget(5, 5), **throttled(100, 90, 5)})

    assert found(both) == ["cpu-throttled"]


@pytest.mark.parametrize(
    "arguments",
    [
        'AT_FDCWD, "/usr/share/locale/C/LC_MESSAGES/grep.mo", O_RDONLY',
        'AT_FDCWD, "/usr/lib/locale/C.UTF-8/LC_CTYPE", O_RDONLY|O_CLOEXEC',
        'AT_FDCWD, "/root/lib/liblzma.so.5", O_RDONLY|O_CLOEXEC',
        'AT_FDCWD, "/usr/bin/pybuilddir.txt", O_RDONLY',
        'AT_FDCWD, "/usr/include/x86_64-linux-gnu/stdc-predef.h", O_RDONLY|O_NOCTTY',
        'AT_FDCWD, "/sys/fs/cgroup/cpu.max", O_RDONLY',
        'AT_FDCWD, "/opt/java/openjdk/lib/ext", O_RDONLY|O_NONBLOCK|O_DIRECTORY|O_CLOEXEC',
        "4<socket>, unix:/var/run/nscd/socket, 110",
        'AT_FDCWD, "/root/.curlrc", O_RDONLY',
        'AT_FDCWD, "/srv/shop/package.json", O_RDONLY|O_CLOEXEC',
        'AT_FDCWD, "/etc/svc.conf", O_RDONLY',
    ],
)
def test_a_file_that_programs_do_without_is_no_cause(arguments: str) -> None:
    """Those of grep, bash, CPython, gcc, Go, Node and its resolver, which ended with an error for another reason."""
    (one,) = judge(facts(containers=[life()], status=failed_call(JUST_BEFORE, arguments))).findings

    assert (one.id, "ended with exit code 1" in one.summary) == ("ended-with-error", True)


def test_a_library_is_the_cause_where_a_program_did_not_start() -> None:
    """The loader then ends with 127."""
    status = failed_call(JUST_BEFORE, 'AT_FDCWD, "/lib/libpq.so.5", O_RDONLY|O_CLOEXEC')

    assert found(facts(containers=[life(exit_code=127)], status=status)) == ["died-after-error"]


def test_executed_programs_are_named() -> None:
    """The one that is executed most, where processes were counted; forks execute nothing."""
    churn = CASES["process-churn"][0][0]
    runs = [{"executable": "/bin/true", "image": 1}] * 3 + [{"executable": "/bin/ls", "processes": 1}]
    shell = {"executable": "/bin/sh", "image": 0}
    (first,) = judge(replace(churn, status={"processes": [*runs, *[shell] * 9]})).findings

    assert first.summary.endswith("100 in 10 s. 75 % of these that are told one by one run /bin/true.")
    assert judge(churn).findings[0].summary.endswith("100 in 10 s.")


def test_a_build_is_no_churn() -> None:
    """Whose work it is to start programs, by name; where nobody knows what runs, it is information too."""
    churn = CASES["process-churn"][0][0]
    shell = {"executable": "/bin/sh", "name": "sh", "image": 1, "processes": 90}

    def severity(*rows: dict[str, Any]) -> str:
        (first,) = judge(replace(churn, status={"processes": list(rows)})).findings
        return first.severity.name

    assert severity(shell) == "WARNING"
    assert severity(shell, {"executable": "/usr/bin/make"}) == "INFO"
    assert severity(shell, {"executable": "/bin/sh", "execs": [{"executable": "/usr/lib/gcc/12/cc1"}]}) == "INFO"
    assert severity(shell, {"executable": "", "name": "dpkg"}) == "INFO"
    assert severity() == "INFO"
    assert "views.processes tells which programs" in judge(churn).findings[0].advice


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("cpu-throttled", "resources.cpu.periods, missing of 1 of 1 container"),
        ("memory-pressure", "resources.pressure.memoryFullNanoseconds, missing of 1 of 1 container"),
        ("pids-limit", "resources.pids.current, missing of 1 of 1 container"),
        ("listen-overflow", "resources.pods, which no agent could read"),
        ("memory-growth", "a session of 60 s or longer"),
    ],
)
def test_what_an_older_agent_does_not_serve_is_not_judged(name: str, needs: str) -> None:
    """That nothing is found is no statement about it."""
    judged = judge(facts(status={"containers": [{"pod": "shop-1", "container": "app"}]}))

    assert dict(judged.not_judged)[name] == needs


def test_what_some_containers_have_is_judged_and_the_others_are_told() -> None:
    """Of two nodes one has an older agent: what is found is found, of what is not nothing is known."""
    old = {"pod": "shop-2", "container": "app"}
    hurt, well = throttled(100, 25, 0.5), throttled(100, 0, 0)

    first = judge(facts(status={"containers": [*hurt["containers"], old]}))
    second = judge(facts(status={"containers": [*well["containers"], old]}))

    assert [each.id for each in first.findings] == ["cpu-throttled"]
    assert "cpu-throttled" not in dict(first.not_judged)
    assert dict(second.not_judged)["cpu-throttled"] == "resources.cpu.periods, missing of 1 of 2 containers"


def test_growth_names_who_asked_for_much_and_when_the_limit_is_reached() -> None:
    """Where that is known."""
    memory = {"limitBytes": 400 << 20, "workingSetBytes": 160 << 20}
    status = growing(*(100 + 5 * at for at in MINUTE), resources={"memory": memory})
    stack = ["mmap (libc.so.6)", "libc.so.6+0x95f28 (build id 93ac)", "remember (app)", "main (app)"]
    status["memory"] = {"growth": [{"kind": "brk up", "calls": 60, "bytes": 60 << 20, "stack": stack}]}

    (finding,) = judge(facts(status=status, seconds=60)).findings

    assert "it reaches its limit of 400.0MiB in 4 min." in finding.summary
    assert "mmap (libc.so.6) < remember (app) < main (app)" in finding.summary
