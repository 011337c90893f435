"""The view callers: which functions make the calls, of calls that are chosen by chance. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views import callers_text
from kubestrace_operator.views.view import ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1.views import callers_limits as limits
from kubestrace_protos.v1.views.callers_pb2 import CallersRequest, CallersResult, CallerSums

DEFAULT_PER_SECOND = 200
# Stacks that are kept of a session; all others are in their calls' sums alone.
MAX_STACKS = 2048
# They may take a quarter of the room.
_SHARE = 4
_RATES = limits.MIN_PER_SECOND, limits.MAX_PER_SECOND
# Of the standard error: 19 of 20 right shares are no farther off.
_SIGMAS = 1.96
# Where no other caller was seen, one that makes more than 3 of so many calls would have been: 19 of 20 times.
_RULE_OF_THREE = 3.0
_LOST = Loss(
    "callers",
    "call",
    "calls",
    "had been chosen for views.callers and found no room: shares may lean towards calmer moments.",
    reason="CallersLost",
)

Frames = tuple[str, ...]


class Kind(NamedTuple):
    """Calls that are shares of one whole."""

    syscall: str
    abi: str
    errno: str


@dataclass
class Sums:
    """Calls that were chosen; how many they stand for; and the variance of that number."""

    samples: int = 0
    calls: int = 0
    variance: int = 0

    def add(self, more: "Sums") -> None:
        """Add others."""
        self.samples += more.samples
        self.calls += more.calls
        self.variance += more.variance

    def without(self, less: "Sums") -> "Sums":
        """Return what is left."""
        return Sums(self.samples - less.samples, self.calls - less.calls, self.variance - less.variance)


@dataclass
class Calls:
    """The calls of one kind: all of them, and those of each stack."""

    sums: Sums = field(default_factory=Sums)
    stacks: dict[Frames, Sums] = field(default_factory=dict)


Part = dict[Kind, Calls]


@dataclass(frozen=True)
class Settings:
    """How many stacks are taken, and whether failures are told apart."""

    per_second: int = DEFAULT_PER_SECOND
    by_errno: bool = False


class Callers(View[Settings, CallersResult, Part]):
    """The slice."""

    name = "callers"
    fields = ("perSecond", "byErrno")
    result_type = CallersResult
    has_stacks = True
    known_losses = (_LOST,)
    example = "--callers -- python3 app.py"
    flags = (
        Flag(
            "--callers",
            "also show which functions make the calls, of calls that are chosen by chance: so many stacks a second "
            f"at most, {_RATES[0]} to {_RATES[1]} (without a number {DEFAULT_PER_SECOND}); with -o folded for flame "
            "graphs",
            field="perSecond",
            metavar="STACKS",
            bounds=_RATES,
            unit="a whole number of stacks a second",
            default=DEFAULT_PER_SECOND,
        ),
        Flag(
            "--callers-by-errno",
            "show the callers of calls that failed apart from others, by errno; needs --callers or the session's "
            "callers view",
            field="byErrno",
            needs="--callers-by-errno needs callers: add --callers",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings(fields.integer("perSecond", DEFAULT_PER_SECOND, *_RATES), fields.boolean("byErrno"))

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {"perSecond": settings.per_second} | ({"byErrno": True} if settings.by_errno else {})

    def request(self, settings: Settings, span: Span) -> CallersRequest:
        """Return what agents are asked for."""
        return CallersRequest(per_second=settings.per_second, by_errno=settings.by_errno)

    def merge(self, results: Iterable[ContainerResult[CallersResult]]) -> Part:
        """Return the callers of a report."""
        return self.add(_part(each.message) for each in results)

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sum."""
        whole: Part = {}
        for part in parts:
            for kind, calls in part.items():
                into = whole.setdefault(kind, Calls())
                into.sums.add(calls.sums)
                for frames, sums in calls.stacks.items():
                    into.stacks.setdefault(frames, Sums()).add(sums)
        return _bounded(whole)

    def sections(self, shown: Shown[Settings, Part]) -> Sequence[Section]:
        """Return the stacks, those with the most calls first, and the sums of the others."""
        ordered = _ordered(shown.part)
        rows = [_row(kind, frames, sums, shown.part[kind].sums) for kind, frames, sums in ordered]
        total = Sums()
        for calls in shown.part.values():
            total.add(calls.sums)

        def documents(kept: int) -> Mapping[str, Any]:
            listed = Sums()
            for _, _, sums in ordered[:kept]:
                listed.add(sums)
            rest = total.without(listed)
            others = {"stacks": len(ordered[kept:]), "samples": rest.samples, "calls": rest.calls}
            return {"callers": rows[:kept], "otherCallers": others}

        return (Section(rows, documents, share=_SHARE),)

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the callers as trees."""
        kinds = sorted(shown.part.items(), key=lambda item: (-item[1].sums.calls, item[0]))
        apart = Counter(kind.syscall for kind in shown.part)
        trees = [
            callers_text.Calls(
                _name(kind),
                calls.sums.calls,
                calls.sums.samples,
                share_error(Sums(calls=calls.sums.calls, variance=calls.sums.variance), calls.sums, at_half=True),
                {frames: sums.calls for frames, sums in calls.stacks.items()},
                # The summary has them exactly, but not by errno and ABI.
                shown.calls.get(kind.syscall) if apart[kind.syscall] == 1 and not shown.settings.by_errno else None,
            )
            for kind, calls in kinds
        ]
        return "\n" + "".join(f"{line}\n" for line in callers_text.lines(trees))

    def folded(self, status: Mapping[str, Any]) -> Iterator[str]:
        """Yield the stacks as flame graphs take them, with the number of calls."""
        yield from callers_text.folded(status.get("callers", ()))


def share_error(part: Sums, whole: Sums, *, at_half: bool = False) -> float:
    """Return how far off a share of calls may be, 19 of 20 times: 0 where each call was chosen.

    `at_half`: for a share of one half with the same calls, which has the largest error.
    """
    if not whole.calls or not whole.variance:
        return 0.0
    share = 0.5 if at_half else part.calls / whole.calls
    inside = whole.variance * share if at_half else part.variance
    variance = (1 - share) ** 2 * inside + share**2 * (whole.variance - inside)
    # As with one stack alone, or with none of another: their variance says nothing of what was not seen.
    least = _RULE_OF_THREE * whole.variance / whole.calls**2
    return min(1.0, max(_SIGMAS * math.sqrt(variance) / whole.calls, least))


def _part(result: CallersResult) -> Part:
    part: Part = {}
    for row in result.rows:
        calls = part.setdefault(Kind(row.name, row.abi, row.errno), Calls())
        calls.sums.add(_sums(row.sums))
        for stack in row.stacks:
            frames = tuple(result.functions[each] for each in stack.functions if each < len(result.functions))
            calls.stacks.setdefault(frames, Sums()).add(_sums(stack.sums))
    return part


def _sums(message: CallerSums) -> Sums:
    return Sums(message.samples, message.calls, message.variance)


def _ordered(part: Part) -> list[tuple[Kind, Frames, Sums]]:
    stacks = [(kind, frames, sums) for kind, calls in part.items() for frames, sums in calls.stacks.items()]
    return sorted(stacks, key=lambda each: (-each[2].calls, each[0], each[1]))


def _bounded(part: Part) -> Part:
    """Leave out stacks beyond the bound, those with the fewest calls."""
    for kind, frames, _ in _ordered(part)[MAX_STACKS:]:
        del part[kind].stacks[frames]
    return part


def _name(kind: Kind) -> str:
    mark = f" ({kind.abi})" if kind.abi else ""
    return f"{kind.syscall}{mark}" + (f" = {kind.errno}" if kind.errno else "")


def _row(kind: Kind, frames: Frames, sums: Sums, whole: Sums) -> dict[str, Any]:
    return {
        "syscall": kind.syscall,
        **({"abi": kind.abi} if kind.abi else {}),
        **({"errno": kind.errno} if kind.errno else {}),
        "share": round(sums.calls / whole.calls, 4) if whole.calls else 0.0,
        "shareError": round(share_error(sums, whole), 4),
        "samples": sums.samples,
        "calls": sums.calls,
        "stack": list(frames),
    }
