"""What findings about security have in common: rows of one kind, told by the worst of them. Pure. None is a proof.

The severity is Falco's: what its stable rules find is a warning, all else is information.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.findings.finding import Confidence, Evidence, Facts, Finding, Place, Rule, Severity, many

SAID = "Seen at the end of a call; not proof; io_uring and what happened before are not seen; nothing was prevented."
# Examples in a sentence.
_MOST_NAMED = 3

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Sighting:
    """A rule of security: which rows it looks at, how bad each is, and what to say of the worst."""

    id: str
    rows: Callable[[Facts], Sequence[Row]]
    severity: Callable[[Row], Severity]
    # A sentence without its end: the rows follow.
    what: str
    advice: str
    cleared_by: str
    # What is counted, for the evidence.
    counted: str
    # For the documentation: what is found, and how grown up Falco's rule is.
    about: str
    maturity: str
    confidence: Confidence = Confidence.LOW

    def judge(self, facts: Facts) -> Iterator[Finding]:
        """Yield one finding of the rows that are worst."""
        rows = self.rows(facts)
        if not rows:
            return
        worst = min(map(self.severity, rows))
        told = [row for row in rows if self.severity(row) == worst]
        yield Finding(
            self.id,
            worst,
            self.confidence,
            f"{self.what}: {_listed(told)}.",
            f"{self.advice} {SAID}",
            self.cleared_by,
            (Evidence(self.counted, sum(row["count"] for row in told), 1),),
            _places(told),
            weight=float(worst == Severity.CRITICAL),
        )

    def rule(self, judge: Callable[[Facts], Iterator[Finding]] | None = None) -> Rule:
        """Return the rule, with a judgement of its own where it says another thing of some results."""
        source = f"Falco's rules, maturity {self.maturity}"
        return Rule(self.id, judge or self.judge, needs=("security",), about=self.about, source=source)


def names(words: str) -> frozenset[str]:
    """Return programs by name: those whose work something is. Whoever wants to be overlooked may take one."""
    return frozenset(words.split())


PACKAGERS = names(
    "dpkg dpkg-deb apt apt-get aptitude apk rpm yum dnf microdnf zypper pacman pip pip3 npm yarn pnpm gem cargo go tar "
    "unzip ldconfig update-alternati"
)


def programs(row: Row) -> set[str]:
    """Return the names of who did it: of an execution its parent."""
    return {row.get("parent", "")} if "signs" in row else {row["program"], row.get("process", "")}


def unless(cleared: Callable[[Row], bool], severity: Severity = Severity.WARNING) -> Callable[[Row], Severity]:
    """Return what is information where it failed, is the runtime's, or is cleared."""

    def judge(row: Row) -> Severity:
        return Severity.INFO if row.get("runtime") or "errno" in row or cleared(row) else severity

    return judge


def information(_: Row) -> Severity:
    """Return what is never more."""
    return Severity.INFO


def _listed(rows: Sequence[Row]) -> str:
    named = list(dict.fromkeys(map(_described, rows)))
    more = [f"{len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else []
    return ", ".join(named[:_MOST_NAMED] + more)


def _described(row: Row) -> str:
    times = many(row["count"], "time")
    origin = " from outside of the container" if row.get("fromOutside") else ""
    if "signs" in row:
        parent = f" by {row['parent']}" if "parent" in row else ""
        peer = f" with {row['peer']}" if "peer" in row else ""
        return f"{row['path']}{parent}{peer}{origin} ({times})"
    about = f" of {row['object']}" if "object" in row else ""
    failed = f"{row['errno']}, " if "errno" in row else ""
    return f"{row['syscall']}{about} by {row['program']}{origin} ({failed}{times})"


def _places(rows: Sequence[Row]) -> tuple[Place, ...]:
    places = {Place(each["pod"], each["container"]) for row in rows for each in row.get("containers", ())}
    return tuple(sorted(places - {Place("", "")}))
