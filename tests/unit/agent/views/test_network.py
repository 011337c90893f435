"""What a session sees of a slot's connections: the difference of two readings."""

from collections.abc import Sequence

from view_messages import network

from kubestrace_agent.containers.network_counters import PodCounters
from kubestrace_agent.views.network.collector import MAX_PEERS, Connections
from kubestrace_agent.views.network.talks import MAX_TALKS, address
from kubestrace_agent.views.network.values import (
    Counts,
    Lengths,
    Level,
    Peer,
    RawNetwork,
    Role,
    Talk,
    Talker,
)
from kubestrace_agent.views.redaction import Redaction
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import bucket_bounds, bucket_index
from kubestrace_protos.v1.views import network_pb2

MAPPED = bytes(10) + b"\xff\xff"


def peer(number: int = 1, role: Role = Role.CLIENT, *, other: bool = False) -> Peer:
    """Return the key of 10.0.x.y."""
    return Peer(role, MAPPED + bytes((10, 0, number >> 8, number & 255)), 5432, other)


def result(*readings: RawNetwork, lost: int = 0, redact: Sequence[str] = ()) -> network_pb2.NetworkResult:
    """Return what a session reports after these readings."""
    collector = Connections()
    collector.redaction = Redaction.of(redact)
    collector.begin(0, 5)
    for reading in readings:
        collector.take(reading, 5 + lost, 0)
    report = agent_pb2.ContainerReport()
    collector.write(report)
    assert report.trust.losses.get("network", 0) == lost
    return network(report)


def reading(counts: dict[Peer, Counts], **levels: Level) -> RawNetwork:
    """Return a reading with one level for all."""
    return RawNetwork(counts, dict.fromkeys(counts, levels.get("level", Level())))


def test_what_was_there_before_is_not_the_sessions() -> None:
    """Neither connections nor bytes nor peers that saw nothing more; what is open is, whoever saw it begin."""
    before = {peer(1): Counts({"attempts": 5, "sent": 100}), peer(2): Counts({"attempts": 1}), peer(3): Counts()}
    after = {peer(1): Counts({"attempts": 7, "sent": 150}), peer(2): Counts({"attempts": 1}), peer(3): Counts()}
    now = RawNetwork(after, {peer(3): Level(open=2, half_closed=1)})

    found = result(reading(before), now, lost=2)

    assert [(row.address, row.attempts, row.bytes_sent, row.open) for row in found.peers] == [
        ("10.0.0.1", 2, 50, 0),
        ("10.0.0.3", 0, 0, 2),
    ]


def test_failures_have_their_errno_as_far_as_there_was_room() -> None:
    """The others are counted without one."""
    before = Counts({"failed": 3}, {111: 3})
    after = Counts({"failed": 9}, {111: 5, 110: 2})

    (row,) = result(reading({peer(): before}), reading({peer(): after})).peers

    assert {each.errno: each.count for each in row.failed} == {"ECONNREFUSED": 2, "ETIMEDOUT": 2, "": 2}


def test_the_longest_is_bounded_where_a_longer_one_came_before() -> None:
    """The kernel keeps one maximum for all sessions; a bucket says how long one's own took at most."""

    def lasting(*lengths_ns: int) -> Counts:
        buckets: dict[int, int] = {}
        for length in lengths_ns:
            buckets[bucket_index(length)] = buckets.get(bucket_index(length), 0) + 1
        return Counts({"closed": len(lengths_ns)}, lifetime=Lengths(buckets, sum(lengths_ns), max(lengths_ns)))

    (row,) = result(reading({peer(): lasting(5000)}), reading({peer(): lasting(5000, 300)})).peers

    assert list(row.lifetime.counts) == [1]
    assert row.lifetime.max_nanoseconds == bucket_bounds(bucket_index(300))[1]


def test_of_many_peers_the_worst_are_told_and_the_sums_of_the_rest() -> None:
    """Failures come before bytes; what had no row in the kernel is among the rest."""
    counts = {peer(number): Counts({"sent": number, "established": 1}) for number in range(MAX_PEERS + 9)}
    counts[peer(3)] = Counts({"sent": 3, "failed": 1}, {111: 1})
    counts[peer(other=True)] = Counts({"sent": 1000, "failed": 2}, {111: 2})

    found = result(reading(dict.fromkeys(counts, Counts())), reading(counts)).peers

    assert found[0].address == "10.0.0.3"
    assert len(found) == MAX_PEERS + 1
    assert (found[-1].other, found[-1].address) == (True, "")
    assert {each.errno: each.count for each in found[-1].failed} == {"ECONNREFUSED": 2}
    assert sum(row.bytes_sent for row in found) == sum(each.numbers["sent"] for each in counts.values())


def test_peers_that_are_not_shown_are_one_row_with_their_sums() -> None:
    """For each role, whatever their ports; the others are as they are."""
    counts = {
        peer(1): Counts({"attempts": 5, "sent": 7}),
        peer(2): Counts({"attempts": 1}),
        peer(300): Counts({"attempts": 2}),
    }
    counts[peer(1, Role.SERVER)] = Counts({"established": 4})
    grown = RawNetwork(counts, {peer(2): Level(open=2)})

    found = result(RawNetwork(), grown, redact=["10.0.0.*"])

    assert [(row.role, row.address, row.port, row.attempts, row.bytes_sent, row.open) for row in found.peers] == [
        ("client", "***", 0, 6, 7, 2),
        ("server", "***", 5432, 0, 0, 0),
        ("client", "10.0.1.44", 5432, 2, 0, 0),
    ]
    assert b"10.0.0." not in found.SerializeToString()


def test_sockets_that_are_not_shown_are_one_row_with_their_sums() -> None:
    """Of UDP by address, of unix by name, where a relative one may be anywhere."""
    talks = {
        Talker(Role.UDP_CLIENT, peer(1).address, 53): Talk({"sends": 5}),
        Talker(Role.UDP_CLIENT, peer(2).address, 53): Talk({"sends": 1}, {111: 1}),
        Talker(Role.UDP_CLIENT, peer(300).address, 53): Talk({"sends": 2}),
        Talker(Role.UNIX_CLIENT, b"a" * 16, 0, b"/run/secrets/a"): Talk({"connects": 1}),
        Talker(Role.UNIX_CLIENT, b"b" * 16, 0, b"/run/secrets/b"): Talk({"connects": 2}),
        Talker(Role.UNIX_CLIENT, b"c" * 16, 0, b"b"): Talk({"connects": 3}),
        Talker(Role.UNIX_CLIENT, b"d" * 16, 0, b"\0dbus"): Talk({"connects": 4}),
    }

    found = result(RawNetwork(), RawNetwork(talks=talks), redact=["10.0.0.*", "*/secrets/*"]).talks

    assert {(row.protocol, row.address, row.port, row.path): row.sends + row.connects for row in found} == {
        ("udp", "***", 0, ""): 6,
        ("udp", "10.0.1.44", 53, ""): 2,
        ("unix", "", 0, "/run/secrets/***"): 3,
        ("unix", "", 0, "***"): 3,
        ("unix", "", 0, "@dbus"): 4,
    }


def test_listeners_are_told_by_themselves() -> None:
    """With their queue."""
    listener = peer(role=Role.LISTENER)
    after = reading({listener: Counts({"established": 4})}, level=Level(backlog_peak=3, backlog_max=16))

    found = result(reading({listener: Counts()}), after)

    assert not found.peers
    (row,) = found.listeners
    assert (row.address, row.accepted, row.backlog_peak, row.backlog_max) == ("10.0.0.1", 4, 3, 16)


def test_a_pods_counters_are_those_that_came_between() -> None:
    """While none of its processes can be asked they stay as they were."""
    readings = [
        RawNetwork(pod=PodCounters(False, {"Tcp.RetransSegs": 10}, {"TCP.tw": 3})),
        RawNetwork(pod=PodCounters(False, {"Tcp.RetransSegs": 17}, {"TCP.tw": 2}), foreign=4),
        RawNetwork(),
    ]

    found = result(*readings)

    assert dict(found.pod.counters) == {"Tcp.RetransSegs": 7}
    assert dict(found.pod.levels) == {"TCP.tw": 2}
    assert found.passed_sockets == 4
    assert not result(RawNetwork()).HasField("pod")


def test_addresses() -> None:
    """A mapped one is the IPv4 address that it is."""
    assert address(MAPPED + bytes((127, 0, 0, 1))) == "127.0.0.1"
    assert address(bytes(15) + b"\1") == "::1"


def test_udp_and_unix_sockets_by_peer() -> None:
    """What came between the readings, by peer; names as plain text, failures by errno."""
    dns = Talker(Role.UDP_CLIENT, MAPPED + bytes((10, 0, 0, 53)), 53)
    docker = Talker(Role.UNIX_CLIENT, b"x" * 16, 0, b"/run/a\n.sock")
    abstract = Talker(Role.UNIX_SERVER, b"y" * 16, 0, b"\0bus")
    before = RawNetwork(talks={dns: Talk({"sends": 5, "sent": 100}), abstract: Talk({"sends": 1})})
    numbers = {"connects": 3, "failed": 3}
    after = {
        dns: Talk({"sends": 7, "sent": 160, "receives": 1, "again": 1}),
        docker: Talk(numbers, {111: 2}),
        abstract: Talk({"sends": 1, "accepts": 1}),
    }

    found = result(before, RawNetwork(talks=after)).talks

    assert [(row.protocol, row.role, row.address, row.port, row.path) for row in found] == [
        ("unix", "client", "", 0, "/run/a\\x0a.sock"),
        ("udp", "client", "10.0.0.53", 53, ""),
        ("unix", "server", "", 0, "@bus"),
    ]
    assert {each.errno: each.count for each in found[0].failed} == {"ECONNREFUSED": 2, "": 1}
    assert (found[1].sends, found[1].bytes_sent, found[1].receives, found[1].again) == (2, 60, 1, 1)
    assert (found[2].sends, found[2].accepts) == (0, 1)


def test_udp_peers_beyond_the_report_are_sums() -> None:
    """No call is missing from the sums."""
    many = {
        Talker(Role.UDP_SERVER, MAPPED + bytes((10, 0, number >> 8, number & 255)), 53): Talk({"receives": 2}, {})
        for number in range(MAX_TALKS + 10)
    }
    many[Talker(Role.UDP_SERVER, bytes(16), 0, other=True)] = Talk({"receives": 5})

    found = result(RawNetwork(), RawNetwork(talks=many)).talks

    assert sum(row.receives for row in found) == 2 * (MAX_TALKS + 10) + 5
    assert [row.receives for row in found if row.other] == [25]
