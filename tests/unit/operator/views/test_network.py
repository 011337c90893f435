"""Connections: added up over containers and nodes, as a document and as text."""

from datetime import UTC, datetime
from typing import Any

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.views.network import Network, Part, Settings
from kubestrace_operator.views.network_rows import Listener, ListenerKey, Peer, PeerKey
from kubestrace_operator.views.network_text import lines, size
from kubestrace_operator.views.pod_network import PodKey
from kubestrace_operator.views.view import ContainerResult, PeerName, Shown
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import bucket_index
from kubestrace_protos.v1.views import network_pb2

MS = 1_000_000
VIEW = Network()
NAMES = {"10.0.0.7": PeerName("db-0", "StatefulSet/db")}
DB = PeerKey("client", "10.0.0.7", 5432)


def row(**fields: Any) -> network_pb2.NetworkPeer:
    """Return a row of the database."""
    return network_pb2.NetworkPeer(**{"role": "client", "address": "10.0.0.7", "port": 5432, **fields})


def merged(*containers: network_pb2.NetworkResult, node: str = "n1") -> Part:
    """Return what containers of one pod come to."""
    results = [
        ContainerResult(
            ContainerKey(node, "uid", "app", f"c{number}"), agent_pb2.Container(pod_name="checkout"), container
        )
        for number, container in enumerate(containers)
    ]
    return VIEW.merge(results)


def of(*peers: network_pb2.NetworkPeer, **fields: Any) -> network_pb2.NetworkResult:
    """Return a result with these peers."""
    return network_pb2.NetworkResult(peers=peers, **fields)


def shown(part: Part, top: int = 20) -> Shown[Settings, Part]:
    """Return what the status is made of."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Shown(Settings(top), part, (), (), now, now, 0, {"connect": 6, "accept4": 2, "recvmmsg": 1}, NAMES)


def test_containers_and_nodes_are_added_up_by_peer() -> None:
    """Counts and histograms are sums, the longest is the greatest; the parts stay as they are."""
    times = network_pb2.NetworkTimes(
        buckets=[bucket_index(MS)], counts=[2], total_nanoseconds=2 * MS, max_nanoseconds=MS
    )
    failed = [network_pb2.NetworkFailure(errno="ECONNREFUSED", count=3)]
    one = merged(of(row(attempts=5, failed=failed, abandoned=1, longest_abandoned_nanoseconds=7, connect=times)))
    other = merged(of(row(attempts=2, failed=failed, abandoned=1, longest_abandoned_nanoseconds=9)), node="n2")

    whole = VIEW.add([one, other])

    assert whole.peers[DB].attempts == 7
    assert whole.peers[DB].failed == {"ECONNREFUSED": 6}
    assert (whole.peers[DB].abandoned, whole.peers[DB].longest_abandoned_ns) == (2, 9)
    assert whole.peers[DB].connect.histogram == {bucket_index(MS): 2}
    assert one.peers[DB].attempts == 5
    assert VIEW.add([]) == Part()


def test_a_pods_counters_are_not_those_of_each_container() -> None:
    """Its containers share them: who was traced first has the most."""
    pods = [network_pb2.NetworkPod(counters={"Tcp.RetransSegs": count}, levels={"TCP.tw": 4}) for count in (7, 5)]

    part = merged(*(of(pod=pod) for pod in pods))

    assert part.pods[PodKey("n1", "checkout")].counters == {"Tcp.RetransSegs": 7}
    (found,) = VIEW.sections(shown(part))[3].rows
    assert (found["pod"], found["node"], found["retransmittedSegments"], found["timeWait"]) == ("checkout", "n1", 7, 4)
    assert not found["nodeNetwork"]


def test_the_worst_come_first_and_the_sums_stay_right() -> None:
    """Failures before bytes; whoever is not shown is among the others, as is what had no row."""
    part = merged(
        of(
            row(bytes_sent=10, established=1),
            row(address="10.0.0.8", bytes_sent=1000, established=2),
            row(address="10.0.0.9", attempts=1, failed=[network_pb2.NetworkFailure(errno="ETIMEDOUT", count=1)]),
            row(address="", port=0, other=True, bytes_sent=5, established=4),
        )
    )

    section = VIEW.sections(shown(part, top=2))[0]

    assert [each["address"] for each in section.rows] == ["10.0.0.9", "10.0.0.8"]
    others = section.document(1)["network"]["otherPeers"]
    assert (others["rows"], others["bytesSent"], others["established"]) == (2, 1015, 7)
    total = VIEW.document(shown(part, top=2))["network"]
    assert (total["failed"], total["bytesSent"], total["established"]) == (1, 1015, 7)


def test_calls_stand_beside_the_rows() -> None:
    """What the rows have more is said."""
    calls = network_pb2.NetworkCalls(connect_attempts=4, connect_again=1, accepted=2)

    document = VIEW.document(shown(merged(of(row(attempts=5), calls=calls, passed_sockets=3))))
    found = document["network"]

    # One connect and one recvmmsg are in the summary alone.
    assert document["trust"] == {"differences": {"network": 2}}

    assert found["calls"] == {
        "connectAttempts": 4, "connectAgain": 1, "connectOtherSockets": 0,
        "accepted": 2, "acceptFailed": 0, "acceptOtherSockets": 0, "attemptsWithoutCall": 1,
        "messageCalls": 0, "tcpMessageCalls": 0, "otherMessageCalls": 0, "readWriteCalls": 0,
    }  # fmt: skip
    assert found["passedSockets"] == 3


def test_what_never_happened_is_left_out_of_a_row() -> None:
    """A round trip of nobody is no 0."""
    document = Peer(established=1).document(DB, NAMES)

    assert {"failed", "longestAbandonedNanoseconds", "rttNanoseconds", "connect", "lifetime"}.isdisjoint(document)
    assert Peer(rtt_total_ns=9, rtt_count=2).document(DB, NAMES)["rttNanoseconds"] == 4


def test_the_text_is_a_table_for_people() -> None:
    """Peers by what is wrong with them, listeners with their queue, and what the kernel dropped."""
    peer = Peer(attempts=8, established=5, failed={"ECONNREFUSED": 2}, abandoned=1, longest_abandoned_ns=300 * MS)
    peer.bytes_sent, peer.reset, peer.half_closed = 4096, 1, 2
    incoming = Peer(established=3).document(PeerKey("server", "2001:db8::1", 8080), NAMES)
    listener = Listener(9, 129, 128).document(ListenerKey("n1", "checkout", "::", 8080))
    pod = VIEW.sections(
        shown(merged(of(pod=network_pb2.NetworkPod(counters={"TcpExt.ListenOverflows": 3}))))
    )[3].rows[0]  # fmt: skip

    head, first, second, _, listeners, asked, dropped, passed = lines(
        [peer.document(DB, NAMES), incoming], [listener], [], [pod, {**pod, "pod": ""}], 2
    )

    assert head.split()[:5] == ["conns", "failed", "open", "sent", "received"]
    assert first.split()[:4] == ["5", "3", "0", "4.0KiB"]
    assert first.endswith(
        "to 10.0.0.7:5432 (StatefulSet/db), 2 ECONNREFUSED, "
        "1 given up after at most 300.0ms, 1 reset, 2 closed by the peer alone"
    )
    assert second.endswith("from 2001:db8::1 at port 8080")
    assert listeners.split()[0] == "accepted"
    assert asked.split() == ["9", "129", "128", "-", "-", "[::]:8080"]
    assert dropped == "its network namespace: 3 connections dropped as a listener's queue was full"
    assert passed.startswith("2 descriptors")
    assert list(lines([], [], [], [], 0)) == ["No TCP connection was seen."]


def test_sizes() -> None:
    """One digit behind the point, never four before it."""
    assert [size(count) for count in (0, 999, 1000, 1 << 20, 10**15)] == ["0B", "999B", "1.0KiB", "1.0MiB", "909.5TiB"]


def test_how_many_peers_are_shown() -> None:
    """Twenty when left out; what is out of bounds is said."""
    assert VIEW.parse(Fields({}, "spec.views.network", VIEW.fields), 60) == Settings(20)
    wrong = Fields({"top": 101}, "spec.views.network", VIEW.fields)
    VIEW.parse(wrong, 60)
    assert wrong.problems == ["spec.views.network.top is 101; it must be from 1 to 100"]


def test_udp_and_unix_sockets_are_rows_of_their_own() -> None:
    """Added up by peer, the worst first; beyond `top` they are sums, and nothing is missing from these."""
    failed = [network_pb2.NetworkFailure(errno="ENOENT", count=2)]
    docker = network_pb2.NetworkTalk(protocol="unix", role="client", path="/run/a.sock", connects=2, failed=failed)
    dns = network_pb2.NetworkTalk(
        protocol="udp", role="client", address="10.0.0.53", port=53, sends=4, receives=4, bytes_sent=2048, again=1
    )
    server = network_pb2.NetworkTalk(protocol="udp", role="server", address="10.0.0.9", port=53, receives=1)
    rest = network_pb2.NetworkTalk(protocol="udp", role="server", other=True, receives=7)
    part = VIEW.add([merged(of(talks=[dns, docker])), merged(of(talks=[docker, server, rest]), node="n2")])

    section = VIEW.sections(shown(part, top=2))[1]
    found = section.document(2)["network"]
    text = VIEW.table_text(shown(part))

    assert [row["protocol"] for row in found["sockets"]] == ["unix", "udp"]
    assert found["sockets"][0]["failed"] == [{"errno": "ENOENT", "count": 4}]
    assert found["otherSockets"] == {
        "rows": 1, "connects": 0, "accepts": 0, "sends": 0, "receives": 8, "again": 0,
        "bytesSent": 0, "bytesReceived": 0, "failed": 0,
    }  # fmt: skip
    assert "       4       4        0B        0B unix to /run/a.sock, 4 ENOENT\n" in text
    assert "       8       0    2.0KiB        0B udp to 10.0.0.53:53, 1 had to wait\n" in text
    assert "udp from 10.0.0.9 at port 53\n" in text


def test_peers_have_the_names_of_their_pods() -> None:
    """Where they are known; a peer of the same address by UDP has the same."""
    udp = network_pb2.NetworkTalk(protocol="udp", role="client", address="10.0.0.7", port=53, sends=1)
    part = merged(of(row(attempts=1), row(address="10.0.0.8", attempts=1), talks=[udp]))

    first, second = VIEW.sections(shown(part))[0].rows
    (socket,) = VIEW.sections(shown(part))[1].rows

    assert (first["pod"], first["workload"]) == (socket["pod"], socket["workload"]) == ("db-0", "StatefulSet/db")
    assert {"pod", "workload"}.isdisjoint(second)
    assert "udp to 10.0.0.7:53 (StatefulSet/db)" in VIEW.table_text(shown(part))
