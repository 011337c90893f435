"""Findings about peers that accept connections and never answer. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.sizes import size
from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.findings import failed_call
from kubestrace_operator.findings.connections import named_peer
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Rule,
    Severity,
    many,
)

_RECEIVES = frozenset({"recvfrom", "recvmsg", "read", "readv"})
_POLLS = frozenset({"poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2"})
_TIMED_OUT = frozenset({"EAGAIN", "ETIMEDOUT"})
# Of one wait, of those that ended in a timeout together, and of one that goes on.
_LEAST_NS, _WAITED_NS, _GOING_ON_NS = 100_000_000, 1_000_000_000, 10_000_000_000
_POLLED = re.compile(r"\{fd=\d+<([^>]*)>")
# What is polled beside sockets and says nothing of a peer.
_NO_SOCKETS = ("anon_inode", "pipe")
# From so many connections on it is no chance.
_SEVERAL = 2

_Row = Mapping[str, Any]


def _no_answer(facts: Facts) -> Iterator[Finding]:
    timed_out = [row for row in facts.status.get("slowCalls", ()) if _has_timed_out(row)]
    still = [row for row in facts.status.get("unreturned", ()) if _goes_on(row)]
    for peer in facts.status.get("network", {}).get("peers", ()):
        if not _is_silent(peer):
            continue
        waits = [row for row in timed_out if _is_for(peer, row)]
        waited_ns = sum(row["nanoseconds"] for row in waits)
        going_on = [row for row in still if _is_for(peer, row)]
        if waited_ns >= _WAITED_NS or going_on:
            yield _finding(peer, waits, going_on)


def _finding(peer: _Row, waits: Sequence[_Row], going_on: Sequence[_Row]) -> Finding:
    waited_ns = sum(row["nanoseconds"] for row in waits)
    ended = f" {many(len(waits), 'wait')} for it ended in a timeout, {duration(waited_ns)} in all." if waits else ""
    oldest = max((row["ageNanoseconds"] for row in going_on), default=0)
    lasting = f" A thread has waited for it for {duration(oldest)}." if going_on else ""
    severity = Severity.CRITICAL if peer["established"] >= _SEVERAL else Severity.WARNING
    return Finding(
        "no-answer",
        severity if waited_ns >= _WAITED_NS else Severity.INFO,
        Confidence.MEDIUM,
        f"{named_peer(peer)} accepts connections and never answers: {many(peer['established'], 'connection')} sent "
        f"{size(peer['bytesSent'])} and received nothing.{ended}{lasting}",
        "Trace that program: its kernel accepts for it, and its threads may be stuck or too few. Look also at proxies, "
        "and at TLS: one side may wait for the other to begin.",
        "The protocol has no answers (logs, metrics), or the peer answers when there is news.",
        (
            Evidence("unansweredConnections", peer["established"], 1),
            *([Evidence("timeoutSeconds", waited_ns / 1e9, _WAITED_NS / 1e9)] if waited_ns >= _WAITED_NS else []),
            *([Evidence("waitingSeconds", oldest / 1e9, _GOING_ON_NS / 1e9)] if going_on else []),
        ),
        weight=0.7,
    )


def _is_silent(peer: _Row) -> bool:
    """Tell whether something was sent to a peer, and not a byte came back."""
    was_asked = peer["role"] == "client" and peer.get("established", 0) and peer.get("bytesSent", 0)
    return bool(was_asked) and not peer["bytesReceived"]


def _has_timed_out(row: _Row) -> bool:
    is_empty = row.get("result") == 0 if row["syscall"] in _POLLS else row.get("errno") in _TIMED_OUT
    return bool(row["wait"]) and row["syscall"] in _RECEIVES | _POLLS and row["nanoseconds"] >= _LEAST_NS and is_empty


def _goes_on(row: _Row) -> bool:
    return bool(row["wait"]) and row["syscall"] in _RECEIVES | _POLLS and row["ageNanoseconds"] >= _GOING_ON_NS


def _is_for(peer: _Row, row: _Row) -> bool:
    """Tell whether a call waited for a peer: for it alone, or for many of which this one was given up later.

    A loop of events waits for all its sockets, and one that only sends lies among them, open.
    """
    name, arguments = failed_call.endpoint(peer["address"], peer["port"]), row.get("arguments", "")
    if row["syscall"] in _RECEIVES:
        return f"<{name}>" in arguments
    sockets = {each for each in _POLLED.findall(arguments) if not each.startswith(_NO_SOCKETS)}
    is_given_up = not peer.get("open", 0) and peer.get("lifetime", {}).get("p50Nanoseconds", 0) >= _LEAST_NS
    return name in sockets and (sockets == {name} or is_given_up)


RULES = (
    Rule(
        "no-answer",
        _no_answer,
        needs=("network", "slowCalls"),
        about="A peer that was connected to and sent to, and of which no byte came, while waits for it ended in "
        f"timeouts of {duration(_WAITED_NS)} or more in all: critical from {_SEVERAL} connections on; information "
        f"where a thread waits for {duration(_GOING_ON_NS)} or more without a timeout.",
        source="the kernel accepts for a program that does not; protocols without answers are not waited for",
    ),
)
