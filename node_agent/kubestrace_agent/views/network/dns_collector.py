"""What one container asked DNS in one session, as the wire carries it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from kubestrace_agent.views.growing import Growing
from kubestrace_agent.views.network.collector import NAME, longer, times, together
from kubestrace_agent.views.network.dns_names import text_of, type_of
from kubestrace_agent.views.network.sources import DNS_PART
from kubestrace_agent.views.network.talks import address
from kubestrace_agent.views.network.values import DnsCounts, DnsQuestion, RawDns
from kubestrace_agent.views.secret_words import HIDDEN
from kubestrace_agent.views.view import put, put_lost
from kubestrace_protos.v1.views import network_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kubestrace_agent.views.redaction import Redaction
    from kubestrace_protos.v1 import agent_pb2

# Rows and names of a container in a report; the sums of the other rows are one row.
MAX_QUESTIONS = 256
MAX_NAMES = 512
# What was lost is told apart from the connections' losses.
LOST = "dns"
_PORT = 53
_NOTHING = DnsCounts()
_NUMBERS = ("queries", "answers", "nxdomain", "servfail", "failed", "truncated", "unanswered", "repeated")


@dataclass(eq=False)
class Lookups(Growing[RawDns]):
    """The queries of a container: two readings of the kernel's counts, the first of them the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = DNS_PART
    redacts: ClassVar[bool] = True

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Add what came between to what is told of connections, and what was lost."""
        if self.start is None or self.now is None:
            return
        result = network_pb2.NetworkResult()
        if self.name in report.views:
            report.views[self.name].Unpack(result)
        result.MergeFrom(self.told(self.start, self.now))
        put(report, self.name, result)
        put_lost(report, LOST, self.loss.own)

    def told(self, start: RawDns, now: RawDns) -> network_pb2.NetworkResult:
        """Return what came between."""
        grown = {question: _since(start.rows.get(question, _NOTHING), counts) for question, counts in now.rows.items()}
        odd = {name: count - start.odd.get(name, 0) for name, count in now.odd.items()}
        return network_pb2.NetworkResult(
            questions=_rows(_shown(grown, self.redaction)),
            odd_messages=network_pb2.DnsOddMessages(**odd),
            names=islice(_names(now.names, self.redaction), MAX_NAMES),
        )


class _Shown(NamedTuple):
    """What a row says of its question."""

    other: bool
    name: str = ""
    type: str = ""
    server: str = ""


def _shown(grown: Mapping[DnsQuestion, DnsCounts], redaction: Redaction) -> dict[_Shown, DnsCounts]:
    """Return the rows that saw anything; those that look alike are one."""
    found: dict[_Shown, list[DnsCounts]] = {}
    for question, counts in grown.items():
        if any(counts.numbers.values()):
            found.setdefault(_words(question, redaction), []).append(counts)
    return {shown: _sum(rows) for shown, rows in found.items()}


def _words(question: DnsQuestion, redaction: Redaction) -> _Shown:
    if question.other:
        return _Shown(other=True)
    name, server = redaction.host(text_of(question.name)), redaction.peer(address(question.server), _PORT)
    return _Shown(other=False, name=name, type=type_of(question.type), server=server)


def _names(names: Mapping[bytes, bytes], redaction: Redaction) -> Iterator[network_pb2.DnsName]:
    """Yield the names of addresses; nothing of those that are not shown."""
    for packed, name in sorted(names.items()):
        of, text = address(packed), text_of(name)
        if HIDDEN not in (redaction.peer(of), redaction.host(text)):
            yield network_pb2.DnsName(address=of, name=text)


def _since(then: DnsCounts, now: DnsCounts) -> DnsCounts:
    # A query may have looked unanswered and be answered late.
    numbers = {name: max(0, value - then.numbers.get(name, 0)) for name, value in now.numbers.items()}
    return DnsCounts(numbers, longer(then.lengths, now.lengths))


def _rows(found: Mapping[_Shown, DnsCounts]) -> Iterator[network_pb2.DnsQuestion]:
    """Yield MAX_QUESTIONS rows at most; of more the sums of the rest are one."""
    rows = sorted(found.items(), key=_worth)
    shown = [row for row in rows[:MAX_QUESTIONS] if not row[0].other]
    for question, counts in shown:
        yield _row(question, counts)
    if rest := [counts for _, counts in rows[len(shown) :]]:
        yield _row(_Shown(other=True), _sum(rest))


def _worth(row: tuple[_Shown, DnsCounts]) -> tuple[bool, int, int, _Shown]:
    question, counts = row
    number = counts.numbers.get
    bad = number("unanswered", 0) + number("servfail", 0) + number("failed", 0) + number("nxdomain", 0)
    return question.other, -bad, -number("queries", 0), question


def _sum(rows: Sequence[DnsCounts]) -> DnsCounts:
    numbers = {name: sum(each.numbers.get(name, 0) for each in rows) for name in _NUMBERS}
    return DnsCounts(numbers, together([each.lengths for each in rows]))


def _row(question: _Shown, counts: DnsCounts) -> network_pb2.DnsQuestion:
    return network_pb2.DnsQuestion(
        name=question.name,
        type=question.type,
        server=question.server,
        other=question.other,
        **{name: counts.numbers.get(name, 0) for name in _NUMBERS},
        times=times(counts.lengths),
    )
