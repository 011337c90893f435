"""The view network: connections and other sockets by peer, listeners, and what the kernel counts for the pods. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.histograms import add_into
from kubestrace_operator.status.sections import Section, listed
from kubestrace_operator.views import network_dns, network_search, network_text
from kubestrace_operator.views.network_rows import Listener, ListenerKey, Peer, PeerKey
from kubestrace_operator.views.network_sockets import Socket, SocketKey, key_of, ordered, others
from kubestrace_operator.views.pod_network import MAX_PODS, Pod, PodKey
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import ComparedRows, ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1.views.network_limits import MAX_TOP
from kubestrace_protos.v1.views.network_pb2 import NetworkRequest, NetworkResult

DEFAULT_TOP = 20
MAX_LISTENERS = 20
MAX_SERVERS, MAX_SUFFIXES = network_dns.MAX_SERVERS, network_search.MAX_SUFFIXES
# Peers may take an eighth of the room, listeners and pods less.
_SHARE = 8
_SHARE_OF_OTHERS = 24
_SHARE_OF_DNS = 12
_LOST = Loss(
    "network",
    "connection",
    "connections",
    "found no room; some may have been of other containers.",
    reason="NetworkLost",
)
_LOST_QUERIES = Loss(
    "dns",
    "query of DNS",
    "queries of DNS",
    "had no room to wait for an answer: it is in no row's answers, and not unanswered.",
    reason="DnsLost",
)
_CALLS = {
    "connectAttempts": "connect_attempts",
    "connectAgain": "connect_again",
    "connectOtherSockets": "connect_other",
    "accepted": "accepted",
    "acceptFailed": "accept_failed",
    "acceptOtherSockets": "accept_other",
    "messageCalls": "talk_calls",
    "tcpMessageCalls": "tcp_calls",
    "otherMessageCalls": "other_calls",
    "readWriteCalls": "write_calls",
}
# The calls that each of _CALLS but the last is one of: all of these, and no others.
_OF_SUMMARY = ("connect", "accept", "accept4", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg")
# Of machines with 32 bits, the same with a longer time.
_OF_SUMMARY_TOO = ("recvmmsg_time64",)


@dataclass(frozen=True)
class Settings:
    """How many peers are shown, and whether queries of DNS are read."""

    top: int = DEFAULT_TOP
    dns: bool = False


@dataclass
class Part:
    """All that containers have done."""

    peers: dict[PeerKey, Peer] = field(default_factory=dict)
    listeners: dict[ListenerKey, Listener] = field(default_factory=dict)
    pods: dict[PodKey, Pod] = field(default_factory=dict)
    sockets: dict[SocketKey, Socket] = field(default_factory=dict)
    # By the names of the status.
    calls: dict[str, int] = field(default_factory=dict)
    passed: int = 0
    dns: network_dns.Dns = field(default_factory=network_dns.Dns)

    def add(self, more: "Part") -> None:
        """Add another's; of that nothing is kept."""
        for key, peer in more.peers.items():
            self.peers.setdefault(key, Peer()).add(peer)
        for where, listener in more.listeners.items():
            self.listeners.setdefault(where, Listener()).add(listener)
        for which, pod in more.pods.items():
            self.pods.setdefault(which, Pod()).add(pod)
        for talker, socket in more.sockets.items():
            self.sockets.setdefault(talker, Socket()).add(socket)
        add_into(self.calls, more.calls)
        self.passed += more.passed
        self.dns.add(more.dns)


class Network(View[Settings, NetworkResult, Part]):
    """The slice."""

    name = "network"
    profiles = frozenset({Profile.NETWORK})
    fields = ("top", "dns")
    shows_peers = True
    result_type = NetworkResult
    compared_rows = (
        ComparedRows(
            ("network", "peers"),
            ("role", "service|workload|address", "port"),
            {"connections": "established", "sent": "bytesSent", "received": "bytesReceived", "resets": "reset"},
            {"connect p99": ("connect", "p99Nanoseconds"), "lifetime p50": ("lifetime", "p50Nanoseconds")},
        ),
    )
    known_losses = (_LOST, _LOST_QUERIES)
    flags = (
        Flag(
            "--network",
            "also show TCP connections by peer: attempts, failures, bytes both ways and times, UDP and unix sockets by "
            "peer, and what listeners do: "
            f"the N peers with the most failures and bytes, 1 to {MAX_TOP} ({DEFAULT_TOP} without N)",
            field="top",
            metavar="N",
            bounds=(1, MAX_TOP),
            default=DEFAULT_TOP,
        ),
        Flag(
            "--dns",
            "also show what is asked of DNS, by name: queries, answers, failures and times; it reads the messages "
            "to and from port 53, and names the peers by them (turns --network on)",
            field="dns",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings(fields.integer("top", DEFAULT_TOP, 1, MAX_TOP), dns=fields.boolean("dns"))

    def losses(self, settings: Settings) -> Sequence[Loss]:
        """Return those of connections, and of queries where these are read."""
        return self.known_losses if settings.dns else (_LOST,)

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {"top": settings.top, "dns": settings.dns}

    def request(self, settings: Settings, span: Span) -> NetworkRequest:
        """Return what agents are asked for."""
        return NetworkRequest(dns=settings.dns)

    def merge(self, results: Iterable[ContainerResult[NetworkResult]]) -> Part:
        """Return what a report's containers have done. Each has the counters of its pod: of these the most."""
        whole = Part()
        for each in results:
            message = each.message
            for row in message.peers:
                whole.peers.setdefault(PeerKey(row.role, row.address, row.port, row.other), Peer()).add(Peer.of(row))
            for asked in message.listeners:
                where = ListenerKey(each.key.node, each.container.pod_name, asked.address, asked.port, asked.other)
                whole.listeners.setdefault(where, Listener()).add(Listener.of(asked))
            for talk in message.talks:
                whole.sockets.setdefault(key_of(talk), Socket()).add(Socket.of(talk))
            if message.HasField("pod"):
                whole.pods.setdefault(PodKey(each.key.node, each.container.pod_name), Pod()).raise_to(
                    Pod.of(message.pod.counters, message.pod.levels, host_network=message.pod.of_node)
                )
            add_into(whole.calls, {name: getattr(message.calls, of) for name, of in _CALLS.items()})
            whole.passed += message.passed_sockets
            whole.dns.merge(message)
        return whole

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sum."""
        whole = Part()
        for part in parts:
            whole.add(part)
        return whole

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return the totals, and how they compare with the calls."""
        part = shown.part
        total = _sum(part.peers.values())
        dns = part.dns.document() if shown.settings.dns else {}
        calls = {name: part.calls.get(name, 0) for name in _CALLS}
        counted = sum(shown.calls.get(name, 0) for name in (*_OF_SUMMARY, *_OF_SUMMARY_TOO))
        told = sum(calls.values()) - calls["readWriteCalls"]
        return {
            "trust": {"differences": {"network": counted - told}},
            "network": {
                "attempts": total.attempts,
                "established": total.established,
                "failed": sum(total.failed.values()),
                "abandoned": total.abandoned,
                "bytesSent": total.bytes_sent,
                "bytesReceived": total.bytes_received,
                "passedSockets": part.passed,
                "calls": calls | {"attemptsWithoutCall": total.attempts - calls["connectAttempts"]},
                **dns,
            },
        }

    def sections(self, shown: Shown[Settings, Part]) -> Sequence[Section]:
        """Return the peers, the worst first, and the sums of the others; listeners; pods."""
        ordered = _ordered(shown.part)
        own = [(key, peer) for key, peer in ordered if not key.other][: shown.settings.top]
        rows = [shown.part.dns.named(peer.document(key, shown.peer_names)) for key, peer in own]

        def peers(kept: int) -> Mapping[str, Any]:
            kept_keys = {key for key, _ in own[:kept]}
            others = [(key, peer) for key, peer in ordered if key not in kept_keys]
            return {"network": {"peers": rows[:kept], "otherPeers": _others(others)}}

        listeners = [row.document(key) for key, row in sorted(shown.part.listeners.items(), key=_busiest)]
        pods = [pod.document(key) for key, pod in sorted(shown.part.pods.items())]
        questions = (shown.part.dns.section(shown.settings.top, _SHARE_OF_DNS),) if shown.settings.dns else ()
        return (
            Section(rows, peers, share=_SHARE),
            _sockets(shown),
            listed(listeners[:MAX_LISTENERS], "network", "listeners", share=_SHARE_OF_OTHERS),
            listed(pods[:MAX_PODS], "network", "pods", share=_SHARE_OF_OTHERS),
            *questions,
        )

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the peers and listeners for people."""
        part, names = shown.part, shown.peer_names
        peers = [part.dns.named(peer.document(key, names)) for key, peer in _ordered(part) if not key.other]
        listeners = [row.document(key) for key, row in sorted(part.listeners.items(), key=_busiest)]
        pods = [pod.document(key) for key, pod in sorted(part.pods.items())]
        sockets = [part.dns.named(socket.document(of, names)) for of, socket in ordered(part.sockets) if not of.other]
        found = [*network_text.lines(peers, listeners, sockets, pods, part.passed)]
        if shown.settings.dns:
            found += ["", *part.dns.lines()]
        return "\n" + "".join(f"{line}\n" for line in found)


def _sockets(shown: Shown[Settings, Part]) -> Section:
    """Return UDP and unix sockets, the worst first, and the sums of the others."""
    rows = ordered(shown.part.sockets)
    own = [(key, socket) for key, socket in rows if not key.other][: shown.settings.top]
    documents = [shown.part.dns.named(socket.document(key, shown.peer_names)) for key, socket in own]

    def document(kept: int) -> Mapping[str, Any]:
        kept_keys = {key for key, _ in own[:kept]}
        rest = others([row for row in rows if row[0] not in kept_keys])
        return {"network": {"sockets": documents[:kept], "otherSockets": rest}}

    return Section(documents, document, share=_SHARE_OF_OTHERS)


def _sum(peers: Iterable[Peer]) -> Peer:
    total = Peer()
    for peer in peers:
        total.add(peer)
    return total


def _ordered(part: Part) -> list[tuple[PeerKey, Peer]]:
    return sorted(part.peers.items(), key=_worst)


def _worst(item: tuple[PeerKey, Peer]) -> tuple[int, int, int, PeerKey]:
    key, peer = item
    return -peer.bad, -peer.bytes_sent - peer.bytes_received, -peer.attempts - peer.established - peer.open, key


def _busiest(item: tuple[ListenerKey, Listener]) -> tuple[int, ListenerKey]:
    key, listener = item
    return -listener.accepted, key


def _others(rows: Sequence[tuple[PeerKey, Peer]]) -> dict[str, int]:
    total = _sum(peer for _, peer in rows)
    return {
        "rows": sum(not key.other for key, _ in rows),
        "attempts": total.attempts,
        "established": total.established,
        "failed": sum(total.failed.values()),
        "abandoned": total.abandoned,
        "closed": total.closed,
        "open": total.open,
        "bytesSent": total.bytes_sent,
        "bytesReceived": total.bytes_received,
        "retransmits": total.retransmits,
    }
