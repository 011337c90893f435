"""What a finding is, and what a rule is that makes them. Pure.

A rule is judged only where all that it needs was counted: what it says is then positive. That nothing is found is no
statement about what was not judged.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from kubestrace_operator.results.rows import ContainerRow, SyscallRow


class Severity(IntEnum):
    """How bad it is; in the order in which findings are shown."""

    CRITICAL = 0
    WARNING = 1
    INFO = 2


class Confidence(StrEnum):
    """What it stands on: a counter of the kernel, a rate and a share of time, or a likeness."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True)
class Evidence:
    """A number behind a finding, camelCase with its unit in the name, and the bound that it has passed."""

    name: str
    value: float
    threshold: float | None = None

    def document(self) -> dict[str, Any]:
        """Return it as the status has it."""
        bound = {} if self.threshold is None else {"threshold": _rounded(self.threshold)}
        return {"name": self.name, "value": _rounded(self.value), **bound}


@dataclass(frozen=True, order=True)
class Place:
    """A container that it was found in."""

    pod: str
    container: str


@dataclass(frozen=True)
class Finding:
    """What is wrong, in words for people, with the numbers that say so."""

    id: str
    severity: Severity
    confidence: Confidence
    # One sentence with the numbers and names in it; what to do; what would make it no problem.
    summary: str
    advice: str
    cleared_by: str
    evidence: tuple[Evidence, ...]
    # Where that is known.
    places: tuple[Place, ...] = ()
    # Within one severity the larger one is told first: a share of the time, or 1.
    weight: float = 0.0

    def document(self, pods: int) -> dict[str, Any]:
        """Return it as the status has it; `pods` were traced."""
        places: dict[str, Any] = {}
        if self.places:
            places = {
                "containers": [{"pod": each.pod, "container": each.container} for each in self.places[:MAX_PLACES]],
                "pods": len({each.pod for each in self.places}),
                "ofPods": pods,
            }
        return {
            "id": self.id,
            "severity": self.severity.name.lower(),
            "confidence": self.confidence.value,
            "summary": self.summary,
            "evidence": [each.document() for each in self.evidence],
            "advice": self.advice,
            "clearedBy": self.cleared_by,
            **places,
        }


def place_of(row: ContainerRow) -> Place:
    """Return where a life of a container ran."""
    return Place(row.state.container.pod_name, row.state.container.container_name)


# Numbers from here on are told without a fraction.
_LARGE = 100
# Of one finding.
MAX_PLACES = 10
# Characters of a call's arguments.
_MOST_NAMED = 120


@dataclass(frozen=True)
class Facts:
    """What rules are judged by."""

    # Of the session, so far as it went.
    seconds: float
    rows: Sequence[SyscallRow]
    containers: Sequence[ContainerRow]
    # The whole status, nothing cut: what views say stands there.
    status: Mapping[str, Any]
    views: frozenset[str] = frozenset()
    # Only some calls were counted.
    filtered: bool = False
    lost_calls: int = 0

    def has(self, view: str) -> bool:
        """Return whether a view was on, or a part of one: network, network.dns."""
        name, _, part = view.partition(".")
        return name in self.views and (not part or part in self.status.get(name, {}))

    def named(self, names: Iterable[str], *, wait: bool | None = None) -> list[SyscallRow]:
        """Return the rows of some calls; those that waited, those that worked, or both."""
        wanted = frozenset(names)
        return [row for row in self.rows if row.name in wanted and wait in {None, row.wait}]

    def rate(self, count: float) -> float:
        """Return how many a second."""
        return count / self.seconds if self.seconds > 0 else 0.0

    @property
    def working_ns(self) -> int:
        """Time in calls that work."""
        return sum(row.total_ns for row in self.rows if not row.wait)

    def share(self, rows: Iterable[SyscallRow]) -> float:
        """Return the share of the time in calls that work."""
        return sum(row.total_ns for row in rows) / self.working_ns if self.working_ns else 0.0

    @property
    def pods(self) -> int:
        """Pods that were traced."""
        return len({row.state.container.pod_uid for row in self.containers})


@dataclass(frozen=True)
class Rule:
    """One kind of finding."""

    id: str
    judge: Callable[[Facts], Iterable[Finding]]
    # Views without which it cannot be judged, or parts of these that must be asked for.
    needs: tuple[str, ...] = ()
    # Numbers of status.resources without which it cannot be judged, as group.name; "pods": the network of pods.
    numbers: tuple[str, ...] = ()
    # How long a session must be.
    least_seconds: float = 0
    # Whether it compares calls with all calls: then a session that counts only some cannot be judged.
    compares: bool = False
    # What it needs because of what a result holds; "": nothing. Asked where nothing was found.
    unclear: Callable[[Facts], str] = lambda _: ""
    # For the documentation: what is found, and from where the thresholds are.
    about: str = ""
    source: str = ""


def _rounded(value: float) -> float | int:
    """Return a number with three digits that count, or all before the point; whole ones as they are."""
    return round(value) if float(value).is_integer() or abs(value) >= _LARGE else float(f"{value:.3g}")


def many(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: 1 call, 3 calls."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(counts: Mapping[str, int]) -> str:
    """Return the calls that come most often, of their counts by name: 3 times by read, 1 time by openat."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{many(count, 'time')} by {name}" for name, count in ordered[:3])


def named(pod: str, container: str) -> str:
    """Return a container for a sentence; what local mode traces belongs to no pod."""
    return f"container {container} of pod {pod}" if pod else container


def at_head(name: str) -> str:
    """Return the name of a container as a sentence begins; a program keeps its own."""
    return f"C{name[1:]}" if name.startswith("container ") else name


def cut(text: str) -> str:
    """Return the arguments of a call as a sentence can hold them."""
    return text if len(text) <= _MOST_NAMED else f"{text[: _MOST_NAMED - 3]}..."


def percent(share: float) -> str:
    """Return a share for people: 68 %."""
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.1f} %"


def of_these(count: int, total: int) -> str:
    """Return the beginning of a sentence that says where most of something is."""
    return "All" if count == total else f"{percent(count / total)} of these" if count < 0.995 * total else "Nearly all"


def number(value: float) -> str:
    """Return a rate for people: 212, 2.4, 12,345."""
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}"
