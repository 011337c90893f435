"""What was asked of DNS: added up, as the status has it and as text for people. Pure. A part of the view network."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.histograms import add_into, percentile
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views import network_search
from kubestrace_operator.views.network_rows import Times
from kubestrace_protos.v1.views.network_pb2 import DnsQuestion, NetworkResult

MAX_SERVERS = 10
NUMBERS = ("queries", "answers", "nxdomain", "servfail", "failed", "truncated", "unanswered", "repeated")
_ODD = ("malformed", "unmatched", "unread")
_MOST = 10


class QuestionKey(NamedTuple):
    """Queries that are added up."""

    name: str
    type: str
    server: str
    # All for which there was no row.
    other: bool = False


@dataclass
class Question:
    """What came of queries."""

    numbers: dict[str, int] = field(default_factory=dict)
    times: Times = field(default_factory=Times)

    @classmethod
    def of(cls, row: DnsQuestion) -> "Question":
        """Return what the wire carries."""
        return cls({name: getattr(row, name) for name in NUMBERS}, Times.of(row.times))

    def add(self, more: "Question") -> None:
        """Add another's."""
        add_into(self.numbers, more.numbers)
        self.times.add(more.times)

    @property
    def bad(self) -> int:
        """How many queries came to nothing."""
        return sum(self.numbers.get(name, 0) for name in ("nxdomain", "servfail", "failed", "unanswered"))

    def counts(self) -> dict[str, int]:
        """Return the numbers as the status has them."""
        return {name: self.numbers.get(name, 0) for name in NUMBERS}

    def document(self) -> dict[str, int]:
        """Return all as the status has it."""
        times = self.times.document() if self.times.histogram else {}
        return self.counts() | times


@dataclass
class Dns:
    """All that containers have asked."""

    questions: dict[QuestionKey, Question] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)
    # Address -> the name that was asked for and had it.
    names: dict[str, str] = field(default_factory=dict)

    def merge(self, message: NetworkResult) -> None:
        """Add what an agent reported of a container."""
        for row in message.questions:
            key = QuestionKey(row.name, row.type, row.server, row.other)
            self.questions.setdefault(key, Question()).add(Question.of(row))
        add_into(self.odd, {name: getattr(message.odd_messages, name) for name in _ODD})
        self._name({each.address: each.name for each in message.names})

    def add(self, more: "Dns") -> None:
        """Add another's; of that nothing is kept."""
        for key, question in more.questions.items():
            self.questions.setdefault(key, Question()).add(question)
        add_into(self.odd, more.odd)
        self._name(more.names)

    def _name(self, more: Mapping[str, str]) -> None:
        """Take names; of two for one address the shorter one, whatever the order."""
        for address, name in more.items():
            known = self.names.get(address, name)
            self.names[address] = min(known, name, key=lambda each: (len(each), each))

    def named(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a peer's row with the name that its address has by DNS, if it has one."""
        name = self.names.get(row.get("address", ""))
        return row | {"name": name} if name and row["role"] == "client" else row

    def ordered(self) -> list[tuple[QuestionKey, Question]]:
        """Return the rows, those that came to nothing most often first, then those with the most queries."""
        return sorted(self.questions.items(), key=lambda item: (-item[1].bad, -item[1].numbers["queries"], item[0]))

    def document(self) -> dict[str, Any]:
        """Return what is never cut: all together, by server, and what a search list did."""
        total = _sum(self.questions.values())
        return {
            "dnsTotal": total.counts(),
            "dnsServers": self._servers(),
            "dnsSearch": self.search().document(),
            "dnsMessages": {name: self.odd.get(name, 0) for name in _ODD},
        }

    def search(self) -> network_search.Search:
        """Return what a search list did."""
        found: dict[str, network_search.Asked] = {}
        for key, question in self.questions.items():
            number = question.numbers.get
            failed = number("nxdomain", 0) + number("servfail", 0) + number("failed", 0)
            asked = network_search.Asked(number("nxdomain", 0), number("answers", 0) - failed)
            if not key.other:
                known = found.get(key.name, network_search.Asked())
                found[key.name] = network_search.Asked(known.missing + asked.missing, known.found + asked.found)
        return network_search.search(found)

    def _servers(self) -> list[dict[str, Any]]:
        servers: dict[str, Question] = {}
        for key, question in self.questions.items():
            if not key.other:
                servers.setdefault(key.server, Question()).add(question)
        rows = sorted(servers.items(), key=lambda item: (-item[1].numbers["queries"], item[0]))
        return [{"server": server, **_with_p95(question)} for server, question in rows[:MAX_SERVERS]]

    def section(self, top: int, share: int) -> Section:
        """Return the rows, the worst first, and the sums of the others."""
        rows = self.ordered()
        own = [(key, question) for key, question in rows if not key.other][:top]
        documents = [_row(key, question) for key, question in own]

        def document(kept: int) -> Mapping[str, Any]:
            kept_keys = {key for key, _ in own[:kept]}
            rest = [(key, question) for key, question in rows if key not in kept_keys]
            total = _sum(question for _, question in rest)
            others = {"rows": sum(not key.other for key, _ in rest), **total.counts()}
            return {"network": {"dns": documents[:kept], "otherDns": others}}

        return Section(documents, document, share=share)

    def lines(self) -> Iterator[str]:
        """Yield them for people."""
        rows = [_row(key, question) for key, question in self.ordered() if not key.other]
        if not rows:
            yield "No query of DNS was seen."
        else:
            yield from _table(rows)
        search = self.search()
        if search.queries:
            suffixes = ", ".join(f".{each}" for each in search.suffixes)
            total = sum(question.numbers.get("queries", 0) for question in self.questions.values())
            yield f"{search.queries} of {total} queries: names that a search list makes and nobody has: {suffixes}"
        if self.odd.get("malformed", 0):
            yield f"{self.odd['malformed']} messages to and from port 53 are no queries and no answers."


def _row(key: QuestionKey, question: Question) -> dict[str, Any]:
    return {"name": key.name, "type": key.type, "server": key.server, **question.document()}


def _sum(questions: Iterable[Question]) -> Question:
    total = Question()
    for question in questions:
        total.add(question)
    return total


def _with_p95(question: Question) -> dict[str, int]:
    times = question.times
    return question.document() | (
        {"p95Nanoseconds": percentile(times.histogram, 95, times.max_ns)} if times.histogram else {}
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{'queries':>8} {'nxdomain':>8} {'failed':>7} {'no answer':>9} {'p50':>8} {'p99':>8} {'max':>8} question"
    for row in rows[:_MOST]:
        p50, p99, most = (
            duration(row[f"{which}Nanoseconds"]) if f"{which}Nanoseconds" in row else "-"
            for which in ("p50", "p99", "max")
        )
        yield (
            f"{row['queries']:>8} {row['nxdomain']:>8} {row['servfail'] + row['failed']:>7} {row['unanswered']:>9} "
            f"{p50:>8} {p99:>8} {most:>8} {row['name']} {row['type']} at {row['server']}"
        )
    if len(rows) > _MOST:
        yield f"and {len(rows) - _MOST} more in status.network.dns"
