"""What the kernel counts of containers anyway: CPU and its limit, memory, pressure. Each session has it. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.rows import ContainerKey, ContainerRow
from kubestrace_operator.status.sections import Section, combined, listed
from kubestrace_operator.views import resources_text
from kubestrace_operator.views.pod_network import MAX_PODS, Pod, PodKey, losses
from kubestrace_operator.views.resources_by_bucket import Series, bars, length, total
from kubestrace_operator.views.view import Bars, ContainerResult, Shown, Span, View
from kubestrace_protos.v1.views.resources_names import GROWN, LEVELS
from kubestrace_protos.v1.views.resources_pb2 import PodNetwork, ResourcesRequest, ResourcesResult

# Reasons that are shown for all containers together.
MAX_UNAVAILABLE = 20
# Pods, and sums by bucket, may take so much of the room.
_SHARE_OF_PODS = 16
_SHARE_OF_SUMS = 8
# Of the room that is left for numbers of single containers, those by bucket may take so much.
_SHARE_OF_BUCKETS = 4


@dataclass
class Numbers:
    """Of one container, or of several: what was added, and of one alone the levels."""

    grown: dict[str, int] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    covered_ns: int = 0
    ended_unread: bool = False
    # Of the pod's network namespace; None: no process of the container could be asked.
    pod: Pod | None = None
    # In sessions that count by time.
    by_bucket: Series | None = None

    def then(self, later: "Numbers") -> "Numbers":
        """Return what two agents, one after the other, read of one container."""
        return Numbers(
            _sum([self.grown, later.grown]),
            {**self.levels, **later.levels},
            {**self.unavailable, **later.unavailable},
            self.covered_ns + later.covered_ns,
            self.ended_unread or later.ended_unread,
            _one_after_the_other(self.pod, later.pod),
            _later(self.by_bucket, later.by_bucket),
        )


Part = dict[ContainerKey, Numbers]


@dataclass(frozen=True)
class Settings:
    """The view has none."""


class Resources(View[Settings, ResourcesResult, Part]):
    """The slice."""

    name = "resources"
    always = True
    result_type = ResourcesResult

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings()

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {}

    def request(self, settings: Settings, span: Span) -> ResourcesRequest:
        """Return what agents are asked for."""
        if not span.buckets:
            return ResourcesRequest()
        return ResourcesRequest(
            buckets=span.buckets,
            duration_milliseconds=span.duration_milliseconds,
            elapsed_milliseconds=span.elapsed_milliseconds,
        )

    def merge(self, results: Iterable[ContainerResult[ResourcesResult]]) -> Part:
        """Return the numbers of each container of a report."""
        return self.add({each.key: _numbers(each.message)} for each in results)

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the numbers of each container; those of agents that served it one after the other are added."""
        whole: Part = {}
        for part in parts:
            for key, numbers in part.items():
                whole[key] = whole[key].then(numbers) if key in whole else numbers
        return whole

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return the sums over all containers, and what of which containers is not there."""
        return {"resources": summed(shown.part.values())} if shown.part else {}

    def sections(self, shown: Shown[Settings, Part]) -> Sequence[Section]:
        """Return the network of each pod, and the sums by bucket."""
        found, series = pods(shown.part, shown.containers)[:MAX_PODS], _series(shown.part.values())
        columns = list(total(series).columns(length(series)).items())
        return (
            *([listed(found, "resources", "pods", share=_SHARE_OF_PODS)] if found else []),
            *([Section(columns, _buckets(columns), share=_SHARE_OF_SUMS)] if columns else []),
        )

    def container_sections(self, shown: Shown[Settings, Part], listed: int) -> Sequence[Section]:
        """Return the numbers of each container, as fields of its row."""
        rows = [_row(shown.part.get(row.key)) for row in shown.containers[:listed]]
        base = Section(rows, lambda kept: {"containers": rows[:kept]} if kept else {})
        count = length(_series(shown.part.values()))
        if not count:
            return (base,)
        series = [_by_bucket(shown.part.get(row.key), count) for row in shown.containers[:listed]]
        return (
            base,
            Section(series, lambda kept: {"containers": series[:kept]} if kept else {}, share=_SHARE_OF_BUCKETS),
        )

    def bars(self, shown: Shown[Settings, Part]) -> Sequence[Bars]:
        """Return CPU, memory and waits by time."""
        return bars(total(_series(shown.part.values())))

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return a few lines for people; none where nothing could be read."""
        rows = []
        for each in shown.containers:
            named = each.state.container
            numbers = _row(shown.part.get(each.key))
            rows.append(resources_text.Row(named.pod_name, named.container_name, named.restart_count, numbers))
        lost = losses(each for each in pods(shown.part, shown.containers) if each["pod"])
        lines = [*resources_text.lines(rows), *lost]
        return "\n" + "".join(f"{line}\n" for line in lines) if lines else ""


def _numbers(message: ResourcesResult) -> Numbers:
    return Numbers(
        {name: message.grown[name] for name in GROWN if name in message.grown},
        {name: message.levels[name] for name in LEVELS if name in message.levels},
        dict(message.unavailable),
        message.covered_nanoseconds,
        message.ended_unread,
        _network(message.pod_network) if message.HasField("pod_network") else None,
        Series.of(message.by_bucket) if message.HasField("by_bucket") else None,
    )


def _series(numbers: Iterable[Numbers]) -> list[Series]:
    return [each.by_bucket for each in numbers if each.by_bucket is not None]


def _buckets(columns: Sequence[tuple[str, Any]]) -> Callable[[int], Mapping[str, Any]]:
    return lambda kept: {"resources": {"buckets": dict(columns[:kept])}}


def _by_bucket(numbers: Numbers | None, count: int) -> dict[str, Any]:
    if numbers is None or numbers.by_bucket is None:
        return {}
    return {"resources": {"buckets": numbers.by_bucket.columns(count)}}


def _network(message: PodNetwork) -> Pod:
    return Pod.of(message.counters, message.levels, host_network=message.of_node)


def _later(earlier: Series | None, later: Series | None) -> Series | None:
    return earlier.then(later) if earlier and later else earlier or later


def _one_after_the_other(earlier: Pod | None, later: Pod | None) -> Pod | None:
    if earlier is None or later is None:
        return earlier or later
    whole = Pod()
    whole.add(earlier)
    whole.add(later)
    return whole


def pods(part: Part, containers: Iterable[ContainerRow]) -> list[Mapping[str, Any]]:
    """Return the network of each pod: its containers share it, and the one that was there longest has the most."""
    lives: dict[tuple[PodKey, str], Pod] = {}
    for row in containers:
        numbers, container = part.get(row.key), row.state.container
        if numbers is not None and numbers.pod is not None:
            key = PodKey(row.key.node, container.pod_name), container.container_name
            lives.setdefault(key, Pod()).add(numbers.pod)
    whole: dict[PodKey, Pod] = {}
    for (which, _), pod in lives.items():
        whole.setdefault(which, Pod()).raise_to(pod)
    return [pod.document(key) for key, pod in sorted(whole.items())]


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total


def summed(numbers: Iterable[Numbers]) -> dict[str, Any]:
    """Return the sums as the status has them: pressure and limits are of single containers."""
    every = list(numbers)
    sums = {name: value for name, value in _sum(each.grown for each in every).items() if _adds_up(name)}
    reasons: dict[tuple[str, str], int] = {}
    for each in every:
        for item in each.unavailable.items():
            reasons[item] = reasons.get(item, 0) + 1
    unavailable = [
        {"name": name, "reason": reason, "containers": count} for (name, reason), count in sorted(reasons.items())
    ]
    return {**_document(sums), "unavailable": unavailable[:MAX_UNAVAILABLE]}


def _adds_up(name: str) -> bool:
    return not name.startswith(("pressure.", "pids."))


def _row(numbers: Numbers | None) -> dict[str, Any]:
    if numbers is None:
        return {}
    known: dict[str, Any] = _document(numbers.grown | numbers.levels)
    known["coveredNanoseconds"] = numbers.covered_ns
    if numbers.ended_unread:
        known["endedUnread"] = True
    if numbers.unavailable:
        known["unavailable"] = [{"name": name, "reason": why} for name, why in sorted(numbers.unavailable.items())]
    return {"resources": known}


def _document(numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return the numbers in their groups."""
    parts = (name.split(".") for name in (*GROWN, *LEVELS) if name in numbers)
    return combined(*({group: {name: numbers[f"{group}.{name}"]}} for group, name in parts))
