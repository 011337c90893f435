"""What one container asked DNS in one session, as the wire carries it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.views.growing import Growing
from kubestrace_agent.views.network.collector import NAME, longer, times, together
from kubestrace_agent.views.network.dns_names import text_of, type_of
from kubestrace_agent.views.network.sources import DNS_PART
from kubestrace_agent.views.network.talks import address
from kubestrace_agent.views.network.values import DnsCounts, DnsQuestion, RawDns
from kubestrace_agent.views.view import put, put_lost
from kubestrace_protos.v1.views import network_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kubestrace_protos.v1 import agent_pb2

# Rows and names of a container in a report; the sums of the other rows are one row.
MAX_QUESTIONS = 256
MAX_NAMES = 512
# What was lost is told apart from the connections' losses.
LOST = "dns"
_NOTHING = DnsCounts()
_NUMBERS = ("queries", "answers", "nxdomain", "servfail", "failed", "truncated", "unanswered", "repeated")


@dataclass(eq=False)
class Lookups(Growing[RawDns]):
    """The queries of a container: two readings of the kernel's counts, the first of them the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = DNS_PART

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
        named = sorted(now.names.items())[:MAX_NAMES]
        return network_pb2.NetworkResult(
            questions=_rows(grown),
            odd_messages=network_pb2.DnsOddMessages(**odd),
            names=[network_pb2.DnsName(address=address(packed), name=text_of(name)) for packed, name in named],
        )


def _since(then: DnsCounts, now: DnsCounts) -> DnsCounts:
    # A query may have looked unanswered and be answered late.
    numbers = {name: max(0, value - then.numbers.get(name, 0)) for name, value in now.numbers.items()}
    return DnsCounts(numbers, longer(then.lengths, now.lengths))


def _rows(grown: Mapping[DnsQuestion, DnsCounts]) -> Iterator[network_pb2.DnsQuestion]:
    """Yield the rows that saw anything; of more than MAX_QUESTIONS the sums of the rest."""
    rows = sorted((row for row in grown.items() if any(row[1].numbers.values())), key=_worth)
    shown = [row for row in rows[:MAX_QUESTIONS] if not row[0].other]
    for question, counts in shown:
        yield _row(question, counts)
    if rest := [counts for _, counts in rows[len(shown) :]]:
        yield _row(DnsQuestion(b"", 0, bytes(16), other=True), _sum(rest))


def _worth(row: tuple[DnsQuestion, DnsCounts]) -> tuple[bool, int, int, DnsQuestion]:
    question, counts = row
    number = counts.numbers.get
    bad = number("unanswered", 0) + number("servfail", 0) + number("failed", 0) + number("nxdomain", 0)
    return question.other, -bad, -number("queries", 0), question


def _sum(rows: Sequence[DnsCounts]) -> DnsCounts:
    numbers = {name: sum(each.numbers.get(name, 0) for each in rows) for name in _NUMBERS}
    return DnsCounts(numbers, together([each.lengths for each in rows]))


def _row(question: DnsQuestion, counts: DnsCounts) -> network_pb2.DnsQuestion:
    return network_pb2.DnsQuestion(
        name="" if question.other else text_of(question.name),
        type="" if question.other else type_of(question.type),
        server="" if question.other else address(question.server),
        other=question.other,
        **{name: counts.numbers.get(name, 0) for name in _NUMBERS},
        times=times(counts.lengths),
    )
