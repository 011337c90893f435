"""Calls of UDP and unix sockets in one session, as the wire carries them. Pure. Used by collector."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from kubestrace_agent.syscalls import errno_name
from kubestrace_agent.text import safe
from kubestrace_agent.views.network.values import Role, Talk, Talker
from kubestrace_agent.views.secret_words import HIDDEN
from kubestrace_protos.v1.views import network_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kubestrace_agent.views.redaction import Redaction

# Rows of a container in a report; the sums of the others are one row for each role.
MAX_TALKS = 256
_ROLES = {
    Role.UDP_CLIENT: ("udp", "client"),
    Role.UDP_SERVER: ("udp", "server"),
    Role.UNIX_CLIENT: ("unix", "client"),
    Role.UNIX_SERVER: ("unix", "server"),
}
_NOTHING = Talk()
_CALLS = ("connects", "accepts", "sends", "receives")


def address(packed: bytes) -> str:
    """Return an address as text; a mapped one as the IPv4 address that it is."""
    found = ipaddress.IPv6Address(packed)
    return str(found.ipv4_mapped or found)


def failures(errors: Mapping[int, int], failed: int) -> list[network_pb2.NetworkFailure]:
    """Return failures by errno; those for which the table of errnos had no room have none."""
    found = {errno_name(number): count for number, count in sorted(errors.items()) if count}
    rest = failed - sum(found.values())
    if rest > 0:
        found[""] = rest
    return [network_pb2.NetworkFailure(errno=name, count=count) for name, count in found.items()]


def talks(
    start: Mapping[Talker, Talk], now: Mapping[Talker, Talk], redaction: Redaction
) -> Iterator[network_pb2.NetworkTalk]:
    """Yield the rows that saw a call; of more than MAX_TALKS the sums of the rest. What is not shown is one row."""
    grown = [(talker, _since(start.get(talker, _NOTHING), talk)) for talker, talk in now.items()]
    rows: list[tuple[Talker, Talk]] = []
    hidden: dict[Talker, list[Talk]] = {}
    for talker, talk in (row for row in grown if _calls(row[1])):
        as_shown = _shown(talker, redaction)
        if as_shown == talker:
            rows.append((talker, talk))
        else:
            hidden.setdefault(as_shown, []).append(talk)
    rows += [(talker, _sum(together)) for talker, together in hidden.items()]
    rows.sort(key=_worth)
    shown = [row for row in rows[:MAX_TALKS] if not row[0].other]
    for talker, talk in shown:
        yield _row(talker, talk)
    for role in _ROLES:
        rest = [talk for talker, talk in rows[len(shown) :] if talker.role == role]
        if rest:
            yield _row(Talker(role, bytes(16), 0, other=True), _sum(rest))


def _shown(talker: Talker, redaction: Redaction) -> Talker:
    """Return whom a row is shown to be about: of one that is not shown address or name are HIDDEN's."""
    if talker.other:
        return talker
    if _ROLES[talker.role][0] == "unix":
        path = redaction.socket(_bare(talker.name))
        return talker if path == _bare(talker.name) else Talker(talker.role, bytes(16), 0, path)
    is_hidden = any(talker.address) and redaction.peer(address(talker.address), talker.port) == HIDDEN
    port = talker.port if talker.role == Role.UDP_SERVER else 0
    return Talker(talker.role, bytes(16), port, HIDDEN.encode()) if is_hidden else talker


def _since(then: Talk, now: Talk) -> Talk:
    return Talk(
        {name: value - then.numbers.get(name, 0) for name, value in now.numbers.items()},
        {number: count - then.errors.get(number, 0) for number, count in now.errors.items()},
    )


def _sum(rows: Sequence[Talk]) -> Talk:
    numbers: dict[str, int] = {}
    errors: dict[int, int] = {}
    for row in rows:
        for name, value in row.numbers.items():
            numbers[name] = numbers.get(name, 0) + value
        for number, count in row.errors.items():
            errors[number] = errors.get(number, 0) + count
    return Talk(numbers, errors)


def _calls(talk: Talk) -> int:
    return sum(talk.numbers.get(name, 0) for name in _CALLS)


def _worth(row: tuple[Talker, Talk]) -> tuple[bool, int, int, Talker]:
    talker, talk = row
    return talker.other, -talk.numbers.get("failed", 0), -_calls(talk), talker


def _row(talker: Talker, talk: Talk) -> network_pb2.NetworkTalk:
    protocol, role = _ROLES[talker.role]
    numbers = talk.numbers
    return network_pb2.NetworkTalk(
        protocol=protocol,
        role=role,
        address=_address(talker) if protocol == "udp" else "",
        port=talker.port,
        path=_path(talker.name) if protocol == "unix" else "",
        other=talker.other,
        **{name: numbers.get(name, 0) for name in (*_CALLS, "again")},
        failed=failures(talk.errors, numbers.get("failed", 0)),
        bytes_sent=numbers.get("sent", 0),
        bytes_received=numbers.get("received", 0),
    )


def _address(talker: Talker) -> str:
    # A UDP socket has no name, but for one that is not shown.
    return _path(talker.name) or (address(talker.address) if any(talker.address) else "")


def _path(name: bytes) -> str:
    shown = _bare(name)
    return safe(shown, len(shown))


def _bare(name: bytes) -> bytes:
    """Return a name of a unix socket; an abstract one as ss and lsof show it."""
    return b"@" + name[1:] if name.startswith(b"\0") else name
