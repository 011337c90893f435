"""The view counters: what the kernel counts of threads: faults, switches, migrations, waits for a CPU. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views.view import ContainerResult, Flag, Loss, Shown, Span, View
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
Part = dict[ContainerKey, Sums]


@dataclass(frozen=True)
class Settings:
    """The view has none."""


class ThreadCounters(View[Settings, CountersResult, Part]):
    """The slice."""

    name = "counters"
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
        return Settings()

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {}

    def request(self, settings: Settings, span: Span) -> CountersRequest:
        """Return what agents are asked for."""
        return CountersRequest()

    def merge(self, results: Iterable[ContainerResult[CountersResult]]) -> Part:
        """Return the sums of each container of a report."""
        return self.add({each.key: _sums(each.message)} for each in results)

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sums of each container; those of agents that served it one after the other are added."""
        whole: Part = {}
        for part in parts:
            for key, sums in part.items():
                whole[key] = _added([whole.get(key, {}), sums])
        return whole

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return the sums over all containers."""
        return {"counters": {"software": _added(shown.part.values())}}

    def container_sections(self, shown: Shown[Settings, Part], listed: int) -> Sequence[Section]:
        """Return the sums of each container, as fields of its row."""
        found = [shown.part.get(row.key) for row in shown.containers[:listed]]
        rows = [{"counters": {"software": sums}} if sums else {} for sums in found]
        return (Section(rows, lambda kept: {"containers": rows[:kept]} if kept else {}),)

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the sums for people."""
        sums = _added(shown.part.values())
        return (
            f"\n{sums['minorFaults']} page faults and {sums['majorFaults']} that waited for a disk; "
            f"{sums['voluntarySwitches']} switches to sleep, {sums['involuntarySwitches']} forced, "
            f"{sums['migrations']} migrations\n"
            f"{duration(sums['cpuNanoseconds'])} on CPUs, {duration(sums['runQueueNanoseconds'])} waiting for one\n"
        )


def _sums(message: CountersResult) -> Sums:
    return {name: getattr(message, field) for field, name in _NAMES.items()}


def _added(parts: Iterable[Sums]) -> Sums:
    parts = list(parts)
    return {name: sum(part.get(name, 0) for part in parts) for name in _NAMES.values()}
