"""The view counters: what the kernel counts of threads: faults, switches, migrations, waits for a CPU. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views.profiles import ALL_BUT_COUNTS
from kubestrace_operator.views.view import ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1.views import counters_limits as limits
from kubestrace_protos.v1.views.counters_pb2 import CountersRequest, CountersResult

# The fields of the status, by those of the message.
_NAMES = {
    "minor_faults": "minorFaults",
    "major_faults": "majorFaults",
    "voluntary_switches": "voluntarySwitches",
    "involuntary_switches": "involuntarySwitches",
    "migrations": "migrations",
    "run_queue_nanoseconds": "runQueueNanoseconds",
    "cpu_nanoseconds": "cpuNanoseconds",
}
_LOST = Loss(
    "counters",
    "end of a thread",
    "ends of threads",
    "may be missing in the counters, or be in them twice; some may have been of other containers.",
    reason="CountersLost",
)

Sums = dict[str, int]


class Hardware(NamedTuple):
    """One hardware event; times in nanoseconds."""

    events: int = 0
    enabled_ns: int = 0
    running_ns: int = 0
    # Why there is nothing of it; of several containers that of one.
    unavailable: str = ""

    def plus(self, more: "Hardware") -> "Hardware":
        """Return the sum."""
        why = max(self.unavailable, more.unavailable)
        times = self.enabled_ns + more.enabled_ns, self.running_ns + more.running_ns
        return Hardware(self.events + more.events, *times, why)

    def document(self) -> dict[str, Any]:
        """Return it as the status has it, without its name: no zeros where nothing was counted."""
        told = {"unavailable": self.unavailable} if self.unavailable else {}
        if not self.enabled_ns and told:
            return told
        counted = {"count": self.events, "enabledNanoseconds": self.enabled_ns, "runningNanoseconds": self.running_ns}
        return {**counted, **told}


@dataclass
class Counted:
    """Of one container."""

    sums: Sums = field(default_factory=dict)
    hardware: dict[str, Hardware] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it as the status has it."""
        events = [{"name": name, **each.document()} for name, each in self.hardware.items()]
        return {"software": self.sums, **({"hardware": events} if events else {})}


Part = dict[ContainerKey, Counted]


@dataclass(frozen=True)
class Settings:
    """Which hardware events."""

    events: tuple[str, ...] = ()


class ThreadCounters(View[Settings, CountersResult, Part]):
    """The slice."""

    name = "counters"
    profiles = ALL_BUT_COUNTS
    fields = ("events",)
    result_type = CountersResult
    known_losses = (_LOST,)
    flags = (
        Flag(
            "--counters",
            "also count page faults, context switches, migrations and waits for a CPU, as getrusage(2) does",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        events = tuple(dict.fromkeys(fields.strings("events")))
        if unknown := [name for name in events if name not in limits.EVENTS]:
            fields.problem("events", f"has {', '.join(unknown)}; there are {', '.join(limits.EVENTS)}")
        return Settings(events)

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {"events": list(settings.events)} if settings.events else {}

    def request(self, settings: Settings, span: Span) -> CountersRequest:
        """Return what agents are asked for."""
        return CountersRequest(events=settings.events)

    def merge(self, results: Iterable[ContainerResult[CountersResult]]) -> Part:
        """Return the sums of each container of a report."""
        return self.add({each.key: _counted(each.message)} for each in results)

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sums of each container; those of agents that served it one after the other are added."""
        whole: Part = {}
        for part in parts:
            for key, counted in part.items():
                whole[key] = _added([whole.get(key, Counted()), counted])
        return whole

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return the sums over all containers."""
        return {"counters": _added(shown.part.values()).document()}

    def container_sections(self, shown: Shown[Settings, Part], listed: int) -> Sequence[Section]:
        """Return the sums of each container, as fields of its row."""
        found = [shown.part.get(row.key) for row in shown.containers[:listed]]
        rows = [{"counters": counted.document()} if counted else {} for counted in found]
        return (Section(rows, lambda kept: {"containers": rows[:kept]} if kept else {}),)

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the sums for people."""
        whole = _added(shown.part.values())
        sums = whole.sums
        return (
            f"\n{sums['minorFaults']} page faults and {sums['majorFaults']} that waited for a disk; "
            f"{sums['voluntarySwitches']} switches to sleep, {sums['involuntarySwitches']} forced, "
            f"{sums['migrations']} migrations\n"
            f"{duration(sums['cpuNanoseconds'])} on CPUs, {duration(sums['runQueueNanoseconds'])} waiting for one\n"
        ) + "".join(f"{_line(item)}\n" for item in whole.hardware.items())


def _counted(message: CountersResult) -> Counted:
    sums = {name: getattr(message, field) for field, name in _NAMES.items()}
    events = {
        each.name: Hardware(each.count, each.enabled_nanoseconds, each.running_nanoseconds, each.unavailable)
        for each in message.hardware
    }
    return Counted(sums, events)


def _added(parts: Iterable[Counted]) -> Counted:
    parts = list(parts)
    events: dict[str, Hardware] = {}
    for part in parts:
        for name, event in part.hardware.items():
            events[name] = events.get(name, Hardware()).plus(event)
    return Counted({name: sum(part.sums.get(name, 0) for part in parts) for name in _NAMES.values()}, events)


def _line(item: tuple[str, Hardware]) -> str:
    name, event = item
    if not event.enabled_ns and event.unavailable:
        return f"{name}: unavailable: {event.unavailable}"
    if not event.running_ns or event.running_ns >= event.enabled_ns:
        return f"{name}: {event.events}"
    estimate = event.events * event.enabled_ns // event.running_ns
    return f"{name}: about {estimate}, as it was counted in {100 * event.running_ns // event.enabled_ns} % of the time"
