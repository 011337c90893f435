"""The view processes: calls by process and thread, and what was executed. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.api.timestamps import precise, utc
from kubestrace_operator.results.places import Places
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views import processes_text
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import ComparedRows, ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import processes_limits as limits
from kubestrace_protos.v1.views.processes_pb2 import (
    CallSums,
    Exec,
    Process,
    ProcessesRequest,
    ProcessesResult,
    ProcessSyscall,
    ProcessThread,
)

DEFAULT_TOP = 20
DEFAULT_THREADS = 3
# What a row sums up: a process between two execs, or all processes of one program.
GROUPS = ("process", "program")
# Processes may take a quarter of the room.
_SHARE = 4
_LOSSES = (
    Loss(
        "processCalls", "call", "calls", "counted in no process, as there was no room.", reason="ProcessCallsLost"
    ),
    Loss("execs", "executed program", "executed programs", "had no room: execs may miss some."),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How many processes are shown, how many threads of each, and what of them."""

    top: int = DEFAULT_TOP
    threads: int = DEFAULT_THREADS
    arguments: bool = False
    group_by: str = GROUPS[0]


@dataclass(frozen=True)
class ProcessRow:
    """One process, and where it ran."""

    process: Process
    container: agent_pb2.Container
    node: str


@dataclass
class Sums:
    """Calls of many processes. Times are in nanoseconds."""

    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    wait_ns: int = 0

    @classmethod
    def of(cls, sums: CallSums) -> "Sums":
        """Return what the wire carries."""
        return cls(sums.calls, sums.errors, sums.total_nanoseconds, sums.wait_nanoseconds)

    def add(self, sums: "Sums") -> None:
        """Add others."""
        self.calls += sums.calls
        self.errors += sums.errors
        self.total_ns += sums.total_ns
        self.wait_ns += sums.wait_ns

    def document(self) -> dict[str, int]:
        """Return them as the status has them."""
        return {
            "calls": self.calls,
            "errors": self.errors,
            "totalNanoseconds": self.total_ns,
            "waitNanoseconds": self.wait_ns,
        }


@dataclass
class Busiest:
    """The processes with the most time in calls that work, the sums of the others, and how many all are."""

    rows: list[ProcessRow] = field(default_factory=list)
    others: Sums = field(default_factory=Sums)
    seen: int = 0

    def first(self, limit: int) -> "Busiest":
        """Return it with no more rows than that: the rest is among the others."""
        less = Busiest(seen=self.seen)
        less.others.add(self.others)
        return less.kept(self.rows, limit)

    def kept(self, rows: Iterable[ProcessRow], limit: int) -> "Busiest":
        """Keep the busiest of these rows, and add the rest to the others."""
        ordered = sorted(rows, key=_order)
        self.rows = ordered[:limit]
        for row in ordered[limit:]:
            self.others.add(Sums.of(row.process.sums))
        return self


class Processes(View[Settings, ProcessesResult, Busiest]):
    """The slice."""

    name = "processes"
    profiles = frozenset({Profile.CPU, Profile.MEMORY})
    fields = ("top", "threads", "arguments", "groupBy")
    result_type = ProcessesResult
    compared_rows = (
        ComparedRows(
            ("processes",),
            ("container", "command|name"),
            {"calls": "calls", "errors": "errors", "time": "totalNanoseconds"},
        ),
    )
    known_losses = _LOSSES
    flags = (
        Flag(
            "--processes",
            "also count by process and thread, like strace -f -c for each, with what was executed and how it ended: "
            f"the N processes with the most time, 1 to {limits.MAX_TOP} ({DEFAULT_TOP} without N)",
            field="top",
            metavar="N",
            bounds=(1, limits.MAX_TOP),
            default=DEFAULT_TOP,
        ),
        Flag(
            "--process-threads",
            f"show the N threads of each process with the most time, 1 to {limits.MAX_THREADS} ({DEFAULT_THREADS} when "
            "left out)",
            field="threads",
            metavar="N",
            bounds=(1, limits.MAX_THREADS),
        ),
        Flag(
            "--process-arguments",
            "show the command lines of processes; what looks like a secret is replaced by ***, by rules that cannot "
            "know every secret",
            field="arguments",
        ),
        Flag(
            "--by-program",
            "show all processes of one program as one row, those of kubectl exec and of exec probes apart",
            field="groupBy",
            value="program",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings(
            top=fields.integer("top", DEFAULT_TOP, 1, limits.MAX_TOP),
            threads=fields.integer("threads", DEFAULT_THREADS, 1, limits.MAX_THREADS),
            arguments=fields.boolean("arguments"),
            group_by=fields.choice("groupBy", GROUPS) if fields.has("groupBy") else GROUPS[0],
        )

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them: of what has a default, what differs from it."""
        spec: dict[str, Any] = {"top": settings.top}
        if settings.threads != DEFAULT_THREADS:
            spec["threads"] = settings.threads
        if settings.arguments:
            spec["arguments"] = True
        if settings.group_by != GROUPS[0]:
            spec["groupBy"] = settings.group_by
        return spec

    def request(self, settings: Settings, span: Span) -> ProcessesRequest:
        """Return what agents are asked for."""
        return ProcessesRequest(
            top=settings.top,
            threads=settings.threads,
            arguments=settings.arguments,
            by_program=settings.group_by == "program",
        )

    def merge(self, results: Iterable[ContainerResult[ProcessesResult]]) -> Busiest:
        """Return the busiest processes of a report."""
        found = Busiest()
        rows: list[ProcessRow] = []
        for each in results:
            rows += [ProcessRow(process, each.container, each.key.node) for process in each.message.processes]
            found.others.add(Sums.of(each.message.others))
            found.seen += each.message.seen
        return found.kept(rows, limits.MAX_TOP)

    def add(self, parts: Iterable[Busiest]) -> Busiest:
        """Return the sum. As many rows are kept as a session may ask for: the busiest of all are among them."""
        total = Busiest()
        rows: list[ProcessRow] = []
        for part in parts:
            rows += part.rows
            total.others.add(part.others)
            total.seen += part.seen
        return total.kept(rows, limits.MAX_TOP)

    def sections(self, shown: Shown[Settings, Busiest]) -> Sequence[Section]:
        """Return status.processes, beside the sum of the others."""
        busiest = shown.part.first(shown.settings.top)
        rows = [document(row) for row in busiest.rows]

        def documents(kept: int) -> Mapping[str, Any]:
            return {"processes": rows[:kept], "otherProcesses": others(busiest.first(kept))}

        return (Section(rows, documents, share=_SHARE, weight=4),)

    def details(self, status: Mapping[str, Any]) -> Iterator[str]:
        """Yield the processes, each as `strace -f -c` would sum it up."""
        if "processes" in status:
            yield from ("", *processes_text.lines(status["processes"], status["otherProcesses"], Places(status)))


def _order(row: ProcessRow) -> tuple[int, int, int, int, str, str, int]:
    sums, process = row.process.sums, row.process
    place = row.node, row.container.container_id, process.host_pid
    return (
        -sums.total_nanoseconds, -sums.wait_nanoseconds, -sums.calls, process.start_time_unix_nanoseconds, *place,
    )  # fmt: skip


def document(row: ProcessRow) -> dict[str, Any]:
    """Return a row of processes. The agent bounds the length of its texts."""
    process = row.process
    found: dict[str, Any] = {
        "pid": process.pid,
        "parentPid": process.parent_pid,
        "hostPid": process.host_pid,
        "image": process.image,
        "command": process.command,
        "executable": process.executable,
        **_names(process),
        "startTime": precise(utc(process.start_time_unix_nanoseconds)),
        **_end(process),
        **Sums.of(process.sums).document(),
    }
    if process.denied:
        found["denied"] = process.denied
    if process.from_outside:
        found["fromOutside"] = True
    if process.processes:
        found["processes"] = process.processes
        found["living"] = process.living
        found["ends"] = [{"end": each.end, "count": each.count} for each in process.ends]
    return found | {
        "threads": process.threads,
        "syscalls": [_syscall(each) for each in process.syscalls],
        # Of a process with one thread they would repeat the process.
        "busiestThreads": [_thread(each) for each in process.busiest_threads] if process.threads > 1 else [],
        **_other_threads(process),
        "execs": [_exec(each) for each in process.execs],
        "execsSeen": process.execs_seen,
        "pod": row.container.pod_name,
        "container": row.container.container_name,
        "node": row.node,
    }


def _names(process: Process) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if process.title:
        found["title"] = process.title
    if process.name:
        found["name"] = process.name
    if process.first_name not in {"", process.name}:
        found["firstName"] = process.first_name
    if process.arguments:
        found["arguments"] = list(process.arguments)
    return found


def _end(process: Process) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if process.lifetime_nanoseconds:
        found["lifetimeNanoseconds"] = process.lifetime_nanoseconds
    if process.HasField("exit_code"):
        found["exitCode"] = process.exit_code
    if process.signal:
        found["signal"] = process.signal
    if process.end:
        found["end"] = process.end
    return found


def _other_threads(process: Process) -> dict[str, Any]:
    """Return the sums of the threads that are not shown, where there are any."""
    left_out = process.threads - len(process.busiest_threads)
    # Agents of an earlier version do not sum them up.
    if not process.busiest_threads or left_out <= 0 or not process.HasField("other_threads"):
        return {}
    return {"otherThreads": {"threads": left_out, **Sums.of(process.other_threads).document()}}


def others(busiest: Busiest) -> dict[str, int]:
    """Return otherProcesses: the sums of those that are not among the rows."""
    shown = sum(max(1, row.process.processes) for row in busiest.rows)
    return {"processes": max(0, busiest.seen - shown), **busiest.others.document()}


def _syscall(each: ProcessSyscall) -> dict[str, Any]:
    return {
        "name": each.name,
        **({"abi": each.abi} if each.abi else {}),
        "calls": each.calls,
        "errors": each.errors,
        "totalNanoseconds": each.total_nanoseconds,
        "wait": each.wait,
        **({"denied": each.denied} if each.denied else {}),
    }


def _thread(each: ProcessThread) -> dict[str, Any]:
    first = {"firstName": each.first_name} if each.first_name not in {"", each.name} else {}
    return {"tid": each.tid, "hostTid": each.host_tid, "name": each.name, **first, **Sums.of(each.sums).document()}


def _exec(each: Exec) -> dict[str, str]:
    return {
        "time": precise(utc(each.time_unix_nanoseconds)),
        "command": each.command,
        "executable": each.executable,
    }
