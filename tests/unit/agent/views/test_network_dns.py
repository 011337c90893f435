"""What a session sees of a slot's queries, and names that anybody may have made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from view_messages import network, packed

from kubestrace_agent.views.network.dns_collector import MAX_NAMES, MAX_QUESTIONS, Lookups
from kubestrace_agent.views.network.dns_names import text_of, type_of
from kubestrace_agent.views.network.sources import DNS_PART, PART
from kubestrace_agent.views.network.values import DnsCounts, DnsQuestion, Lengths, RawDns
from kubestrace_agent.views.network.view import VIEW
from kubestrace_agent.views.redaction import Redaction
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import network_pb2

SERVER = bytes(10) + b"\xff\xff\x0a\x60\x00\x0a"
DB = b"\2db\4shop\0"


def question(number: int = 0, *, other: bool = False) -> DnsQuestion:
    """Return the key of one of many names."""
    return DnsQuestion(b"\6n%05d\0" % number, 1, SERVER, other)


def reading(**numbers: int) -> RawDns:
    """Return a reading with one row."""
    return RawDns({DnsQuestion(DB, 28, SERVER): DnsCounts(numbers, Lengths({100: numbers["answers"]}, 7, 7))})


def written(
    *readings: RawDns, lost: int = 0, beside: network_pb2.NetworkResult | None = None, redact: tuple[str, ...] = ()
) -> agent_pb2.ContainerReport:
    """Return what a session reports after these readings."""
    collector = Lookups()
    collector.redaction = Redaction.of(redact)
    collector.begin(0, 5)
    for each in readings:
        collector.take(each, 5 + lost, 0)
    report = agent_pb2.ContainerReport()
    if beside:
        report.views["network"].Pack(beside)
    collector.write(report)
    return report


def test_what_was_asked_before_is_not_the_sessions() -> None:
    """Neither queries nor times; nothing becomes negative where what looked unanswered was answered after all."""
    before, after = reading(queries=5, answers=3, unanswered=2), reading(queries=9, answers=8, unanswered=1)

    (row,) = network(written(before, after)).questions

    assert (row.name, row.type, row.server) == ("db.shop", "AAAA", "10.96.0.10")
    assert (row.queries, row.answers, row.unanswered) == (4, 5, 0)
    assert (list(row.times.buckets), list(row.times.counts)) == ([100], [5])


def test_it_stands_beside_the_connections() -> None:
    """Which another collector has written before; what was lost is its own."""
    beside = network_pb2.NetworkResult(passed_sockets=3)

    report = written(reading(queries=0, answers=0), reading(queries=1, answers=1), lost=2, beside=beside)

    assert network(report).passed_sockets == 3
    assert len(network(report).questions) == 1
    assert dict(report.trust.losses) == {"dns": 2}


def test_rows_beyond_the_bound_are_one() -> None:
    """The worst stay, and the sums are whole."""
    counts = DnsCounts({"queries": 2, "answers": 1, "unanswered": 1}, Lengths({7: 1}, 7, 7))
    rows = {question(number): counts for number in range(MAX_QUESTIONS + 9)} | {question(other=True): counts}

    found = network(written(RawDns(), RawDns(rows))).questions

    assert len(found) == MAX_QUESTIONS + 1
    assert sum(row.queries for row in found) == 2 * (MAX_QUESTIONS + 10)
    (other,) = [row for row in found if row.other]
    assert (other.name, other.type, other.server, other.queries) == ("", "", "", 20)
    assert list(other.times.counts) == [10]


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("*.shop", [("***", "10.96.0.10", 3), ("cache", "10.96.0.10", 4)]),
        ("cache", [("***", "10.96.0.10", 4), ("db.shop", "10.96.0.10", 1), ("web.shop", "10.96.0.10", 2)]),
        ("10.96.0.*", [("cache", "***", 4), ("db.shop", "***", 1), ("web.shop", "***", 2)]),
        ("10.96.0.10:53", [("cache", "***", 4), ("db.shop", "***", 1), ("web.shop", "***", 2)]),
        ("*", [("***", "***", 7)]),
        ("*.shop.example", [("cache", "10.96.0.10", 4), ("db.shop", "10.96.0.10", 1), ("web.shop", "10.96.0.10", 2)]),
    ],
)
def test_names_and_servers_that_a_session_hides(pattern: str, shown: list[tuple[str, str, int]]) -> None:
    """Whether a name has a dot or none: what looks alike is one row with the sums."""
    rows = {DB: 1, b"\3web\4shop\0": 2, b"\5cache\0": 4}
    reading = RawDns({DnsQuestion(name, 1, SERVER): DnsCounts({"queries": asked}) for name, asked in rows.items()})

    found = network(written(RawDns({}), reading, redact=(pattern,))).questions

    assert sorted((row.name, row.server, row.queries) for row in found) == shown


@pytest.mark.parametrize(("pattern", "names"), [("db*", 0), ("10.96.0.10", 0), ("10.0.*", 1)])
def test_neither_address_nor_name_leaves_the_node_where_one_is_hidden(pattern: str, names: int) -> None:
    """The names that peers get by the answers to queries."""
    reading = RawDns({}, {}, {SERVER: DB})

    found = network(written(reading, reading, redact=(pattern,))).names

    assert [(each.address, each.name) for each in found] == [("10.96.0.10", "db.shop")] * names


def test_names_of_addresses() -> None:
    """At most so many."""
    names = {SERVER[:12] + bytes((10, 0)) + number.to_bytes(2, "big"): DB for number in range(MAX_NAMES + 1)}

    found = network(written(RawDns(), RawDns(names=names))).names

    assert len(found) == MAX_NAMES
    assert (found[0].address, found[0].name) == ("10.0.0.0", "db.shop")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"\3www\7example\3com\0", "www.example.com"),
        (b"\0rest", "."),
        (b"", "."),
        (b"\4a.b\\\1-\0", "a\\.b\\\\.-"),
        (b"\5\x1b[2J\n\0", "\\027\\0912J\\010"),
        (b"\2\xc3\xa9\0", "\\195\\169"),
        (b"\1*\4_sip\0", "*._sip"),
        (b"\1a\xc0\x0c\0", "a"),
        (b"\x3fshort", "short"),
    ],
)
def test_a_name_as_text(name: bytes, text: str) -> None:
    """As zone files have it; what follows a label that is none is left out."""
    assert text_of(name) == text


@given(st.binary(max_size=136))
def test_no_name_can_do_harm(name: bytes) -> None:
    """It is one line of printable ASCII, and not much longer than it was."""
    text = text_of(name)

    assert text.isascii()
    assert text.isprintable()
    assert " " not in text
    assert 1 <= len(text) <= 4 * max(1, len(name))


def test_types() -> None:
    """Unknown ones have a number."""
    assert [type_of(number) for number in (1, 28, 33, 65, 999)] == ["A", "AAAA", "SRV", "HTTPS", "TYPE999"]


@pytest.mark.parametrize(("dns", "parts"), [(False, (PART,)), (True, (PART, DNS_PART))])
def test_nothing_is_read_unless_it_is_asked_for(dns: bool, parts: tuple[str, ...]) -> None:
    """Neither is its program asked for nor its collector there."""
    asked = VIEW.ask(packed(network_pb2.NetworkRequest(dns=dns)), 0)

    assert asked.parts == parts
