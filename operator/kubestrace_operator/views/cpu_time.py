"""The view cpuTime: where the time of threads goes, by system call and outside of them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.histograms import add_into
from kubestrace_operator.results.rows import ContainerKey, SyscallKey, shown_name
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import Column, ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1.views.cpu_time_pb2 import CpuTimeRequest, CpuTimeResult, TimeBudget

# Calls of each of the two lists of a budget.
MAX_CALLS = 10
# And in a line of the text.
_NAMED = 3
_BAR = 20
_LOST = Loss(
    "cpuTime",
    "call or thread",
    "calls or threads",
    "had no room: their CPU time is in no call's.",
    reason="CpuTimeLost",
)


class CallName(NamedTuple):
    """A system call under one ABI, whether it waited or worked."""

    name: str
    abi: str


@dataclass
class Budget:
    """The time of threads in nanoseconds, as TimeBudget of the wire has it."""

    thread_ns: int = 0
    # Of the container that was followed longest.
    wall_ns: int = 0
    user_ns: int = 0
    runnable_ns: int = 0
    # Asleep outside of calls.
    outside_ns: int = 0
    uncounted_kernel_ns: int = 0
    uncounted_waiting_ns: int = 0
    other_ns: int = 0
    kernel: dict[CallName, int] = field(default_factory=dict)
    waiting: dict[CallName, int] = field(default_factory=dict)
    blocked: dict[CallName, int] = field(default_factory=dict)

    @property
    def kernel_ns(self) -> int:
        """On a CPU in calls, counted or not."""
        return sum(self.kernel.values()) + self.uncounted_kernel_ns

    @property
    def waiting_ns(self) -> int:
        """Asleep in calls that waited, or that are not counted."""
        return sum(self.waiting.values()) + self.uncounted_waiting_ns

    @property
    def blocked_ns(self) -> int:
        """Asleep in calls that worked, as for a disk, and outside of calls."""
        return sum(self.blocked.values()) + self.outside_ns


@dataclass
class Part:
    """The budgets by container, and the time of calls by row of the summary: on a CPU, and ready to run without one."""

    budgets: dict[ContainerKey, Budget] = field(default_factory=dict)
    cpu_ns: dict[SyscallKey, int] = field(default_factory=dict)
    runnable_ns: dict[SyscallKey, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """The view has none."""


class CpuTime(View[Settings, CpuTimeResult, Part]):
    """The slice."""

    name = "cpuTime"
    profiles = frozenset({Profile.CPU})
    result_type = CpuTimeResult
    known_losses = (_LOST,)
    example = "--cpu-time --pid 4711"
    flags = (
        Flag(
            "--cpu-time",
            "also show where the time of all threads went: on a CPU in the program and in each call, waiting in calls, "
            "blocked as by a disk, or ready to run without a CPU (default: as the session's cpuTime view says)",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings()

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {}

    def request(self, settings: Settings, span: Span) -> CpuTimeRequest:
        """Return what agents are asked for."""
        return CpuTimeRequest()

    def merge(self, results: Iterable[ContainerResult[CpuTimeResult]]) -> Part:
        """Return the budgets and the calls of a report."""
        return self.add(map(_part, results))

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sum; the budgets of agents that served a container one after the other are added."""
        whole = Part()
        by_container: dict[ContainerKey, list[Budget]] = {}
        for part in parts:
            add_into(whole.cpu_ns, part.cpu_ns)
            add_into(whole.runnable_ns, part.runnable_ns)
            for key, budget in part.budgets.items():
                by_container.setdefault(key, []).append(budget)
        whole.budgets = {key: added(budgets) for key, budgets in by_container.items()}
        return whole

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return status.timeBudget."""
        return {"timeBudget": document(added(shown.part.budgets.values()))}

    def container_sections(self, shown: Shown[Settings, Part], listed: int) -> Sequence[Section]:
        """Return the budgets of the containers that are listed, those with the most time first."""
        containers = shown.containers[:listed]
        budgets = [
            (at, {"timeBudget": document(shown.part.budgets[row.key])})
            for at, row in enumerate(containers)
            if row.key in shown.part.budgets
        ]
        budgets.sort(key=lambda item: -item[1]["timeBudget"]["threadNanoseconds"])

        def documents(kept: int) -> Mapping[str, Any]:
            by_place = dict(budgets[:kept])
            return {"containers": [by_place.get(at, {}) for at in range(len(containers))]}

        return (Section([budget for _, budget in budgets], documents),)

    def syscall_fields(self, shown: Shown[Settings, Part], key: SyscallKey) -> Mapping[str, Any]:
        """Return the call's time on a CPU, and ready to run without one."""
        part = shown.part
        return {"cpuNanoseconds": part.cpu_ns.get(key, 0), "runnableNanoseconds": part.runnable_ns.get(key, 0)}

    def column(self, shown: Shown[Settings, Part]) -> Column:
        """Return the seconds on a CPU."""
        return Column("on cpu", shown.part.cpu_ns)

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the budget for people."""
        return f"\n{text(added(shown.part.budgets.values()))}"


def _part(result: ContainerResult[CpuTimeResult]) -> Part:
    part = Part({result.key: from_message(result.message.budget)})
    for call in result.message.calls:
        key = SyscallKey(call.name, call.abi, call.wait)
        part.cpu_ns[key] = part.cpu_ns.get(key, 0) + call.cpu_nanoseconds
        part.runnable_ns[key] = part.runnable_ns.get(key, 0) + call.runnable_nanoseconds
    return part


def from_message(message: TimeBudget) -> Budget:
    """Return what the wire carries."""
    return Budget(
        thread_ns=message.thread_nanoseconds,
        wall_ns=message.wall_nanoseconds,
        user_ns=message.user_nanoseconds,
        runnable_ns=message.runnable_nanoseconds,
        outside_ns=message.blocked_nanoseconds,
        uncounted_kernel_ns=message.uncounted_kernel_nanoseconds,
        uncounted_waiting_ns=message.uncounted_waiting_nanoseconds,
        other_ns=message.other_nanoseconds,
        kernel={CallName(each.name, each.abi): each.kernel_nanoseconds for each in message.calls},
        waiting={CallName(each.name, each.abi): each.waiting_nanoseconds for each in message.calls},
        blocked={CallName(each.name, each.abi): each.blocked_nanoseconds for each in message.calls},
    )


def added(parts: Iterable[Budget]) -> Budget:
    """Return the sum; the parts stay as they are."""
    total = Budget()
    for part in parts:
        total.thread_ns += part.thread_ns
        total.wall_ns = max(total.wall_ns, part.wall_ns)
        total.user_ns += part.user_ns
        total.runnable_ns += part.runnable_ns
        total.outside_ns += part.outside_ns
        total.uncounted_kernel_ns += part.uncounted_kernel_ns
        total.uncounted_waiting_ns += part.uncounted_waiting_ns
        total.other_ns += part.other_ns
        add_into(total.kernel, part.kernel)
        add_into(total.waiting, part.waiting)
        add_into(total.blocked, part.blocked)
    return total


def document(budget: Budget) -> dict[str, Any]:
    """Return timeBudget, of all or of one container."""
    return {
        "threadNanoseconds": budget.thread_ns,
        "userNanoseconds": budget.user_ns,
        "kernelNanoseconds": budget.kernel_ns,
        "waitingNanoseconds": budget.waiting_ns,
        "runnableNanoseconds": budget.runnable_ns,
        "blockedNanoseconds": budget.blocked_ns,
        "otherNanoseconds": budget.other_ns,
        "kernel": _rows(budget.kernel),
        "waiting": _rows(budget.waiting),
        "blocked": _rows(budget.blocked),
    }


def _rows(calls: Mapping[CallName, int]) -> list[dict[str, Any]]:
    return [
        {"syscall": call.name, **({"abi": call.abi} if call.abi else {}), "nanoseconds": nanoseconds}
        for call, nanoseconds in _most(calls)[:MAX_CALLS]
    ]


def _most(calls: Mapping[CallName, int]) -> list[tuple[CallName, int]]:
    """Return the calls that took any time, the most first."""
    return sorted(((key, ns) for key, ns in calls.items() if ns), key=lambda item: (-item[1], item[0]))


def text(budget: Budget) -> str:
    """Return the budget for people, a line for each part."""
    if not budget.thread_ns:
        return "No thread was followed.\n"
    threads = budget.thread_ns / budget.wall_ns if budget.wall_ns else 0
    lines = [f"where the time of {threads:.1f} threads x {duration(budget.wall_ns)} went"]
    parts: Sequence[tuple[str, int, str]] = (
        ("user", budget.user_ns, ""),
        ("kernel", budget.kernel_ns, _named(budget.kernel)),
        ("waiting", budget.waiting_ns, _named(budget.waiting, wait=True)),
        ("runnable", budget.runnable_ns, "ready to run, without a CPU"),
        ("blocked", budget.blocked_ns, _blocked(budget)),
    )
    lines += [_line(*part, budget.thread_ns) for part in parts]
    # What rounding hides needs no line.
    if abs(budget.other_ns) * 1000 >= budget.thread_ns:
        lines.append(_line("other", budget.other_ns, "not attributed", budget.thread_ns))
    return "\n".join(lines) + "\n"


def _line(name: str, nanoseconds: int, words: str, whole_ns: int) -> str:
    share = nanoseconds / whole_ns
    bar = "#" * max(0, round(_BAR * share))
    return f"{100 * share:6.2f} {nanoseconds / 1e9:11.6f} {name:<8} |{bar:<{_BAR}}| {words}".rstrip()


def _blocked(budget: Budget) -> str:
    """Return in which calls, and how much outside of calls: page faults, stopped threads."""
    outside = f"{duration(budget.outside_ns)} outside of calls"
    return ", ".join([*filter(None, [_named(budget.blocked)]), *([outside] if budget.outside_ns else [])])


def _named(calls: Mapping[CallName, int], *, wait: bool = False) -> str:
    """Return the calls that took most, with their times."""
    rows = _most(calls)
    words = [f"{shown_name(key.name, key.abi, wait=wait)} {duration(ns)}" for key, ns in rows[:_NAMED]]
    return ", ".join(words + ["..."] * (len(rows) > _NAMED))
