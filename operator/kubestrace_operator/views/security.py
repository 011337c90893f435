"""The view security: what programs did that few have a reason to do. Pure. Nothing in it is a proof."""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.places import Places
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views import security_text
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import ContainerResult, Flag, Loss, PeerName, Shown, Span, View
from kubestrace_protos.v1.views.security_limits import MAX_PATTERN_CHARACTERS, MAX_PATTERNS
from kubestrace_protos.v1.views.security_pb2 import SecurityExec, SecurityMatch, SecurityRequest, SecurityResult

# Rows that are shown, and containers of each.
MAX_MATCHES, MAX_EXECS, MAX_CONTAINERS = 60, 40, 5
# They may take a quarter of the room together.
_SHARE = 8
# Rows of one kind before those of the next have their turn.
_TURN = 6
_PEER = "peer"
_LOST = Loss(
    "security",
    "call or execution that may be of interest for security",
    "calls or executions that may be of interest for security",
    "found no room.",
    reason="SecurityEventsLost",
)
# The worst first: what stands at the end of a long list may be cut.
_KINDS = ("sensitivePath", "codeWrite", "tracing", "namespace", "kernelSurface", "rawSocket", _PEER)


class Place(NamedTuple):
    """A container."""

    pod: str
    container: str


class MatchKey(NamedTuple):
    """What calls have in common that are one row."""

    kind: str
    syscall: str
    abi: str
    program: str
    object: str
    pattern: str
    access: str
    errno: str
    outside: bool
    runtime: bool


class ExecKey(NamedTuple):
    """What executions have in common that are one row."""

    path: str
    program: str
    argument: str
    place: str
    signs: tuple[str, ...]
    shell: bool
    parent: str
    peer: str
    rights: str
    outside: bool
    runtime: bool
    interactive: bool


@dataclass
class Row:
    """How often, and in which containers; of calls the process and the name that the first of them had."""

    count: int = 0
    process: str = ""
    named: str = ""
    places: set[Place] = field(default_factory=set)

    def add(self, more: "Row") -> None:
        """Add another's."""
        self.count += more.count
        self.places |= more.places
        self.process, self.named = max((self.process, self.named), (more.process, more.named))

    def document(self) -> dict[str, Any]:
        """Return what both kinds of rows have."""
        containers = [{"pod": pod, "container": container} for pod, container in sorted(self.places)[:MAX_CONTAINERS]]
        return {"count": self.count, "containers": containers, "containerCount": len(self.places)}


@dataclass
class Part:
    """All rows, and what the agents had none for."""

    matches: dict[MatchKey, Row] = field(default_factory=dict)
    execs: dict[ExecKey, Row] = field(default_factory=dict)
    other_matches: int = 0
    other_execs: int = 0
    execs_seen: int = 0

    def add(self, more: "Part") -> None:
        """Add another's."""
        for key, row in more.matches.items():
            self.matches.setdefault(key, Row()).add(row)
        for executed, row in more.execs.items():
            self.execs.setdefault(executed, Row()).add(row)
        self.other_matches += more.other_matches
        self.other_execs += more.other_execs
        self.execs_seen += more.execs_seen


@dataclass(frozen=True)
class Settings:
    """Patterns of paths beside the view's own, and the peers that are no surprise."""

    sensitive_paths: tuple[str, ...] = ()
    expected_peers: tuple[str, ...] = ()


class Security(View[Settings, SecurityResult, Part]):
    """The slice."""

    name = "security"
    fields = ("sensitivePaths", "expectedPeers")
    profiles = frozenset({Profile.SECURITY})
    shows_peers = True
    result_type = SecurityResult
    known_losses = (_LOST,)
    flags = (
        Flag(
            "--security",
            "also tell what COMMAND does that few programs have a reason to do: reads of secrets, programs executed "
            "from memory or with a socket, namespaces, tracing, and more. Seen at the end of a call, no proof",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        settings = Settings(fields.strings("sensitivePaths"), fields.strings("expectedPeers"))
        for name, values in (("sensitivePaths", settings.sensitive_paths), ("expectedPeers", settings.expected_peers)):
            _check(fields, name, values)
        for number, peer in enumerate(settings.expected_peers):
            if problem := Expected.problem(peer):
                fields.problem(f"expectedPeers[{number}]", problem)
        return settings

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        given = {"sensitivePaths": settings.sensitive_paths, "expectedPeers": settings.expected_peers}
        return {name: list(values) for name, values in given.items() if values}

    def request(self, settings: Settings, span: Span) -> SecurityRequest:
        """Return what agents are asked for."""
        return SecurityRequest(sensitive_paths=settings.sensitive_paths)

    def merge(self, results: Iterable[ContainerResult[SecurityResult]]) -> Part:
        """Return what was seen in a report: the same in several containers is one row."""
        return self.add(
            _part(each.message, Place(each.container.pod_name, each.container.container_name)) for each in results
        )

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sum."""
        whole = Part()
        for part in parts:
            whole.add(part)
        return whole

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return the totals."""
        kinds = {kind: sum(row.count for key, row in shown.part.matches.items() if key.kind == kind) for kind in _KINDS}
        return {
            "security": {
                "executions": shown.part.execs_seen,
                "expectedPeersGiven": bool(shown.settings.expected_peers),
                "counts": [{"kind": kind, "count": count} for kind, count in kinds.items() if count],
            }
        }

    def sections(self, shown: Shown[Settings, Part]) -> Sequence[Section]:
        """Return the rows, and how many others there are."""
        matches = matched(shown)
        execs = executed(shown.part)

        def matches_document(kept: int) -> Mapping[str, Any]:
            others = shown.part.other_matches + sum(row["count"] for row in matches[kept:])
            return {"security": {"matches": matches[: min(kept, MAX_MATCHES)], "otherMatches": others}}

        def execs_document(kept: int) -> Mapping[str, Any]:
            others = shown.part.other_execs + sum(row["count"] for row in execs[kept:])
            return {"security": {"execs": execs[: min(kept, MAX_EXECS)], "otherExecs": others}}

        return (
            Section(execs[:MAX_EXECS], execs_document, share=_SHARE),
            Section(matches[:MAX_MATCHES], matches_document, share=_SHARE),
        )

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the rows for people."""
        places = Places.of(row.state.container for row in shown.containers)
        lines = security_text.lines(matched(shown), executed(shown.part), shown.part.execs_seen, places)
        return "\n" + "".join(f"{line}\n" for line in lines)


def _check(fields: Fields, name: str, values: Sequence[str]) -> None:
    if len(values) > MAX_PATTERNS:
        fields.problem(name, f"has {len(values)} entries; it may have {MAX_PATTERNS}")
    for number, value in enumerate(values):
        if len(value) > MAX_PATTERN_CHARACTERS or not value.isascii() or not value.isprintable():
            fields.problem(
                f"{name}[{number}]",
                f"is {value!a}; it must be printable ASCII of at most {MAX_PATTERN_CHARACTERS} characters",
            )


@dataclass(frozen=True)
class Expected:
    """Peers that are no surprise: networks and names, each for all ports or for one."""

    networks: tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int], ...]
    names: frozenset[tuple[str, int]]

    @classmethod
    def of(cls, peers: Iterable[str]) -> "Expected":
        """Read what a spec has: "10.0.0.0/8", "10.1.2.3:443", "[fd00::1]:443", "db", "db.shop:5432"."""
        networks, names = [], set()
        for peer in peers:
            host, port = _parted(peer)
            block = _network(host)
            if block is not None:
                networks.append((block, port))
            else:
                names.add((host.lower(), port))
        return cls(tuple(networks), frozenset(names))

    @staticmethod
    def problem(peer: str) -> str:
        """Return what is wrong with one; "" where nothing is."""
        host, port = _parted(peer)
        if not host or not 0 <= port <= 65535:
            return f"is {peer!a}; it must be a network, an address or a name, and may have a port: db.shop:5432"
        if "/" in host and _network(host) is None:
            return f"is {peer!a}, which is not a network; write one as 10.0.0.0/8"
        return ""

    def has(self, address: str, port: int, name: PeerName | None) -> bool:
        """Return whether a peer is among them; by name where it is known whose the address is."""
        known = ipaddress.ip_address(address)
        if any(known in block and wanted in {0, port} for block, wanted in self.networks):
            return True
        of_name = {name.service, name.pod, name.workload, name.workload.partition("/")[2]} - {""} if name else set()
        hosts = {host for host, wanted in self.names if wanted in {0, port}}
        return any(host == each.lower() or host.startswith(f"{each.lower()}.") for host in hosts for each in of_name)


def _parted(peer: str) -> tuple[str, int]:
    """An address or a name, and the port; 0: any."""
    host, colon, port = peer.rpartition(":")
    if peer.startswith("[") and peer.endswith("]"):
        return peer[1:-1], 0
    if not colon or (":" in host and not host.startswith("[")):
        return peer, 0
    return host.strip("[]"), int(port) if port.isdecimal() and len(port) < 7 else -1


def _network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(host, strict=False)
    except ValueError:
        return None


def _part(result: SecurityResult, place: Place) -> Part:
    part = Part(other_matches=result.other_matches, other_execs=result.other_execs, execs_seen=result.execs_seen)
    for match in result.matches:
        row = Row(match.count, match.process, match.named, {place})
        part.matches.setdefault(_match_key(match), Row()).add(row)
    for each in result.execs:
        part.execs.setdefault(_exec_key(each), Row()).add(Row(each.count, places={place}))
    return part


def _match_key(match: SecurityMatch) -> MatchKey:
    return MatchKey(
        match.kind,
        match.syscall,
        match.abi,
        match.program,
        match.object,
        match.pattern,
        match.access,
        match.errno,
        match.from_outside,
        match.runtime,
    )


def _exec_key(each: SecurityExec) -> ExecKey:
    # The port is another one each time.
    peer = each.peer.rpartition(":")[0]
    return ExecKey(
        each.path,
        each.program,
        each.argument,
        each.place,
        tuple(each.signs),
        each.shell,
        each.parent,
        peer,
        each.rights,
        each.from_outside,
        each.runtime,
        each.interactive,
    )


def matched(shown: Shown[Settings, Part]) -> list[dict[str, Any]]:
    """Return the rows of calls: of each kind the unexpected, those that succeeded and the most frequent first."""
    expected = Expected.of(shown.settings.expected_peers)
    rows = [_match_document(key, row, shown, expected) for key, row in shown.part.matches.items()]
    ordered = sorted(
        rows, key=lambda row: ("errno" in row, -row["count"], row["program"], row.get("object", ""), row["syscall"])
    )
    # In turns, so that many of one kind leave room for the others.
    turns: Counter[tuple[bool, str]] = Counter()
    places = []
    for row in ordered:
        of = row.get("expected", False), row["kind"]
        places.append((of[0], turns[of] // _TURN, _KINDS.index(row["kind"]), turns[of]))
        turns[of] += 1
    return [row for _, row in sorted(zip(places, ordered, strict=True), key=lambda each: each[0])]


def _match_document(key: MatchKey, row: Row, shown: Shown[Settings, Part], expected: Expected) -> dict[str, Any]:
    document: dict[str, Any] = {"kind": key.kind, "syscall": key.syscall, "program": key.program}
    told = {
        "abi": key.abi,
        "process": row.process if row.process != key.program[:15] else "",
        "object": key.object,
        "named": row.named,
        "pattern": key.pattern,
        "access": key.access,
        "errno": key.errno,
    }
    document |= {name: value for name, value in told.items() if value}
    if key.kind == _PEER:
        address, port = _parted(key.object)
        name = shown.peer_names.get(address)
        document |= _peer_names(name) | {"expected": expected.has(address, port, name)}
    return document | _origin(key) | row.document()


def _peer_names(name: PeerName | None) -> dict[str, str]:
    return {field: value for field, value in name._asdict().items() if value} if name else {}


def _origin(key: MatchKey | ExecKey) -> dict[str, bool]:
    return ({"fromOutside": True} if key.outside else {}) | ({"runtime": True} if key.runtime else {})


def executed(part: Part) -> list[dict[str, Any]]:
    """Return the rows of executions, those with the most signs first."""
    ordered = sorted(
        part.execs.items(), key=lambda item: (item[0].runtime, -len(item[0].signs), -item[1].count, item[0])
    )
    return [_exec_document(key, row) for key, row in ordered]


def _exec_document(key: ExecKey, row: Row) -> dict[str, Any]:
    document: dict[str, Any] = {"path": key.path, "program": key.program, "place": key.place, "signs": list(key.signs)}
    told = {"argument": key.argument, "parent": key.parent, "peer": key.peer, "rights": key.rights}
    document |= {name: value for name, value in told.items() if value}
    return document | {"shell": key.shell, "interactive": key.interactive} | _origin(key) | row.document()
