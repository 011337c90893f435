"""The view memory: what containers asked of the kernel for memory, by kind, and how much they had, by time. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.api.sizes import size
from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.places import place
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views import memory_growth
from kubestrace_operator.views.memory_growth import Growth
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1.views.memory_pb2 import MemoryLevels, MemoryRequest, MemoryResult

# Containers whose levels the text shows.
_MOST = 10
# Stacks may take so much of the room.
_SHARE = 8
_LOST = Loss(
    "memory",
    "process",
    "processes",
    "had no room for their break, so that bytes of brk are missing; some may have been of other containers.",
    reason="MemoryLost",
)
_LEVELS = {
    "sinceStartNanoseconds": "since_start_nanoseconds",
    "processes": "processes",
    "anonBytes": "anon_bytes",
    "fileBytes": "file_bytes",
    "sharedBytes": "shared_bytes",
    "swapBytes": "swap_bytes",
    "virtualBytes": "virtual_bytes",
    "pageTableBytes": "page_table_bytes",
    "unreadProcesses": "unread_processes",
}


@dataclass
class Flow:
    """Calls of one kind."""

    calls: int = 0
    failed: int = 0
    bytes: int = 0
    total_ns: int = 0

    def plus(self, more: "Flow") -> "Flow":
        """Return the sum."""
        return Flow(
            self.calls + more.calls,
            self.failed + more.failed,
            self.bytes + more.bytes,
            self.total_ns + more.total_ns,
        )


@dataclass
class Memory:
    """Of one container."""

    flows: dict[str, Flow] = field(default_factory=dict)
    unsized_calls: int = 0
    levels: list[dict[str, int]] = field(default_factory=list)
    # None: it was not asked for, or the node cannot tell.
    growth: Growth | None = None

    def then(self, other: "Memory") -> "Memory":
        """Return what two agents, one after the other, reported: the levels are those of the longer report."""
        levels = max(self.levels, other.levels, key=lambda each: (len(each), str(each)))
        parts = [each.growth for each in (self, other) if each.growth is not None]
        growth = memory_growth.added(parts) if parts else None
        return Memory(added([self.flows, other.flows]), self.unsized_calls + other.unsized_calls, levels, growth)


Part = dict[ContainerKey, Memory]


@dataclass(frozen=True)
class Settings:
    """Whether those are told who asked for much memory."""

    stacks: bool = False


class MemoryView(View[Settings, MemoryResult, Part]):
    """The slice."""

    name = "memory"
    fields = ("stacks",)
    profiles = frozenset({Profile.MEMORY})
    result_type = MemoryResult
    known_losses = (_LOST,)
    flags = (
        Flag(
            "--memory",
            "also show what COMMAND asked of the kernel for memory (mmap, munmap, mremap, brk, madvise), in calls and "
            "bytes, and how much it had, by time",
        ),
        Flag(
            "--memory-stacks",
            "as --memory, and also show which functions made the calls that added 1 MiB or more each",
            field="stacks",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings(stacks=fields.boolean("stacks"))

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them; without stacks where they are off."""
        return {"stacks": True} if settings.stacks else {}

    def request(self, settings: Settings, span: Span) -> MemoryRequest:
        """Return what agents are asked for."""
        return MemoryRequest(stacks=settings.stacks)

    def merge(self, results: Iterable[ContainerResult[MemoryResult]]) -> Part:
        """Return what each container of a report did."""
        return self.add({each.key: _memory(each.message)} for each in results)

    def add(self, parts: Iterable[Part]) -> Part:
        """Return what each container did; that of agents which served it one after the other is added."""
        whole: Part = {}
        for part in parts:
            for key, memory in part.items():
                whole[key] = whole[key].then(memory) if key in whole else memory
        return whole

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return the calls of all containers, by kind: there are no more than sixteen."""
        flows = added(each.flows for each in shown.part.values())
        unsized = sum(each.unsized_calls for each in shown.part.values())
        return {"memory": {"flows": [_flow(*item) for item in _ordered(flows)], "unsizedCalls": unsized}}

    def sections(self, shown: Shown[Settings, Part]) -> Sequence[Section]:
        """Return who asked for much memory, and the sums of the others."""
        parts = _growths(shown)
        if not parts:
            return ()
        growth = memory_growth.added(parts)
        rows = growth.rows

        def document(kept: int) -> Mapping[str, Any]:
            return {"memory": memory_growth.document(rows[:kept], growth.whole)}

        documents = memory_growth.document(rows, growth.whole)["growth"]
        return (Section(documents, document, share=_SHARE),)

    def container_sections(self, shown: Shown[Settings, Part], listed: int) -> Sequence[Section]:
        """Return the flows and levels of each container, as fields of its row."""
        rows = [_row(shown.part.get(row.key)) for row in shown.containers[:listed]]
        return (Section(rows, lambda kept: {"containers": rows[:kept]} if kept else {}),)

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the kinds of calls, and how the containers' memory changed."""
        flows = _ordered(added(each.flows for each in shown.part.values()))
        lines = [f"{'calls':>10} {'failed':>8} {'bytes':>9} {'time':>9} memory"] if flows else []
        lines += [
            f"{flow.calls:>10} {flow.failed or '':>8} {size(flow.bytes):>9} {duration(flow.total_ns):>9} {kind}"
            for kind, flow in flows
        ]
        changes = []
        for row in shown.containers:
            memory = shown.part.get(row.key)
            if memory and memory.levels:
                named = row.state.container
                name = place(named.pod_name, named.container_name)
                changes.append((_growth(memory.levels), _change(name, memory.levels)))
        lines += [text for _, text in sorted(changes, key=lambda each: -each[0])[:_MOST]]
        if len(changes) > _MOST:
            lines.append(f"and {len(changes) - _MOST} more in status.containers")
        if parts := _growths(shown):
            lines += memory_growth.lines(memory_growth.added(parts))
        return "\n" + "".join(f"{line}\n" for line in lines)


def _growths(shown: Shown[Settings, Part]) -> list[Growth]:
    return [each.growth for each in shown.part.values() if each.growth is not None]


def added(parts: Iterable[Mapping[str, Flow]]) -> dict[str, Flow]:
    """Return the sums by kind; the parts stay as they are."""
    total: dict[str, Flow] = {}
    for part in parts:
        for kind, flow in part.items():
            total[kind] = total.get(kind, Flow()).plus(flow)
    return total


def _ordered(flows: Mapping[str, Flow]) -> list[tuple[str, Flow]]:
    return sorted(flows.items(), key=lambda item: (-item[1].bytes, -item[1].calls, item[0]))


def _memory(message: MemoryResult) -> Memory:
    flows = {each.kind: Flow(each.calls, each.failed, each.bytes, each.total_nanoseconds) for each in message.flows}
    growth = Growth.of(message.growth) if message.HasField("growth") else None
    return Memory(flows, message.unsized_calls, [_levels(each) for each in message.levels], growth)


def _levels(message: MemoryLevels) -> dict[str, int]:
    return {name: getattr(message, field) for name, field in _LEVELS.items()}


def _flow(kind: str, flow: Flow) -> dict[str, Any]:
    return {
        "kind": kind,
        "calls": flow.calls,
        "failed": flow.failed,
        "bytes": flow.bytes,
        "totalNanoseconds": flow.total_ns,
    }


def _row(memory: Memory | None) -> dict[str, Any]:
    if memory is None:
        return {}
    flows = [_flow(*item) for item in _ordered(memory.flows)]
    return {"memory": {"flows": flows, "levels": memory.levels, "unsizedCalls": memory.unsized_calls}}


def _growth(levels: Sequence[Mapping[str, int]]) -> int:
    return levels[-1]["anonBytes"] - levels[0]["anonBytes"]


def _change(name: str, levels: Sequence[Mapping[str, int]]) -> str:
    first, last, grown = levels[0], levels[-1], _growth(levels)
    most = max(each["anonBytes"] for each in levels)
    span_ns = last["sinceStartNanoseconds"] - first["sinceStartNanoseconds"]
    rate = f", {'+' if grown >= 0 else '-'}{size(abs(grown) * 10**9 // span_ns)}/s" if span_ns else ""
    return (
        f"{name}: {size(first['anonBytes'])} to {size(last['anonBytes'])} of no file (at most {size(most)}{rate}), "
        f"{size(last['fileBytes'])} of files, {size(last['sharedBytes'])} shared, {size(last['swapBytes'])} swapped, "
        f"{size(last['virtualBytes'])} of addresses"
    )
