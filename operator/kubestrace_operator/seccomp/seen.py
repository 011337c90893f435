"""What sessions have seen, from their documents: which calls, in how many pods, and how sure that is. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

KINDS = frozenset({"TraceSession"})
# How documents name the call of another ABI than the machine's own: i386:open.
_ABI_MARK = ":"


class UnusableError(ValueError):
    """No profile can be made of this; the message says why and what to do."""


@dataclass(frozen=True)
class Seen:
    """The calls of any number of sessions."""

    # As namespace/name, or by file.
    sessions: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    # Every call of these was denied by a profile that was there already; where one session saw more, they are in calls.
    refused: frozenset[str] = frozenset()
    # i386, x32: beside the machine's own.
    abis: frozenset[str] = frozenset()
    # x86_64, aarch64: of the nodes, as far as documents say.
    machines: frozenset[str] = frozenset()
    # (namespace, pod), (session, container).
    pods: frozenset[tuple[str, str]] = frozenset()
    containers: frozenset[tuple[str, str]] = frozenset()
    # Lives of containers, and how many of them were counted from their first call.
    lives: int = 0
    from_start: int = 0
    last_new_call: datetime | None = None
    end: datetime | None = None
    # Sentences: what may be missing.
    doubts: frozenset[str] = field(default_factory=frozenset)

    @property
    def denied(self) -> frozenset[str]:
        """The calls that were always denied."""
        return self.refused - self.calls


def union(parts: Iterable[Seen]) -> Seen:
    """Return what all of them have seen; the order does not matter. The same session given twice counts once."""
    by_session = list(dict.fromkeys(parts))
    return Seen(
        **{name: frozenset().union(*(getattr(each, name) for each in by_session)) for name in _SETS},
        lives=sum(each.lives for each in by_session),
        from_start=sum(each.from_start for each in by_session),
        last_new_call=_latest(each.last_new_call for each in by_session),
        end=_latest(each.end for each in by_session),
    )


_SETS = ("sessions", "calls", "refused", "abis", "machines", "pods", "containers", "doubts")


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((each for each in moments if each is not None), default=None)


def sessions(document: object, place: str) -> list[Seen]:
    """Return what each session of a document has seen: a TraceSession, or a list of them. Raises UnusableError."""
    if not isinstance(document, Mapping):
        raise UnusableError(
            f"{place}: is not a TraceSession, as kubestrace local -o json and kubectl get tsess -o json write it"
        )
    kind = document.get("kind")
    if kind in {"List", "TraceSessionList"}:
        items = document.get("items")
        found = [seen for each in (items if isinstance(items, list) else []) for seen in sessions(each, place)]
        if not found:
            raise UnusableError(f"{place}: the list holds no TraceSession")
        return found
    if kind not in KINDS:
        raise UnusableError(f"{place}: is of kind {kind!r}, not a TraceSession or a list of them")
    try:
        return [_session(document, place)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, UnusableError):
            raise
        raise UnusableError(f"{place}: is not a TraceSession as kubestrace writes it ({error!r})") from error


def _session(document: Mapping[str, Any], place: str) -> Seen:
    metadata = document.get("metadata") or {}
    name = "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key)) or place
    # A file's sessions are all named local.
    who = f"session {name}" if "namespace" in metadata else f"{name} of {place}"
    status = document.get("status") or {}
    summary = status.get("summary")
    if not isinstance(summary, Mapping):
        return Seen(doubts=frozenset({f"{who}: it has counted nothing (phase {status.get('phase', 'unknown')})"}))
    if patterns := (document.get("spec") or {}).get("syscalls"):
        raise UnusableError(
            f"{who}: counted only some calls (spec.syscalls: {', '.join(map(str, patterns))}), and a profile without "
            "the others would break the program: trace again without spec.syscalls"
        )
    names = _names(status, who)
    rows: Sequence[Mapping[str, Any]] = status.get("containers") or ()
    refused = frozenset(_bare(each) for each in summary.get("deniedSyscalls", ()))
    allowed = names - frozenset(summary.get("deniedSyscalls", ()))
    return Seen(
        sessions=frozenset({f"{name} ({place})" if "namespace" not in metadata else name}),
        calls=frozenset(map(_bare, allowed)),
        refused=refused,
        abis=frozenset(each.partition(_ABI_MARK)[0] for each in allowed if _ABI_MARK in each),
        machines=frozenset(map(str, summary.get("architectures", ()))),
        pods=frozenset((str(metadata.get("namespace")), str(row["pod"])) for row in rows if row.get("pod")),
        containers=frozenset((name, str(row["container"])) for row in rows),
        lives=len(rows),
        from_start=sum(bool(row.get("fromStart")) for row in rows),
        last_new_call=_moment(summary.get("lastNewCallTime")),
        end=_moment(status.get("completionTime")),
        doubts=frozenset(f"{who}: {each}" for each in _doubts(status)),
    )


def _names(status: Mapping[str, Any], who: str) -> frozenset[str]:
    """Return every call that was made, those of another ABI as i386:NAME."""
    summary = status["summary"]
    if "syscallNames" in summary:
        return frozenset(map(str, summary["syscallNames"]))
    if status.get("truncated"):
        raise UnusableError(
            f"{who}: its status is truncated and has no summary.syscallNames: a profile of the calls that are left "
            "would break the program. Trace again with this version of kubestrace"
        )
    rows = [
        *summary.get("syscalls", ()),
        *({**each, "name": each["syscall"]} for each in status.get("unreturned") or ()),
    ]
    return frozenset(_marked(str(row["name"]), str(row.get("abi", ""))) for row in rows)


def _marked(name: str, abi: str) -> str:
    return f"{abi}{_ABI_MARK}{name}" if abi else name


def _bare(name: str) -> str:
    return str(name).rpartition(_ABI_MARK)[2]


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def _doubts(status: Mapping[str, Any]) -> Iterable[str]:
    """Yield what may be missing, one sentence each."""
    trust = status.get("trust") or {}
    complete = {each["type"]: each for each in status.get("conditions", ())}.get("DataComplete", {})
    if status.get("phase") in {"Pending", "Tracing"}:
        yield "it is still running: calls that come later are missing"
    if trust.get("complete") is False:
        yield f"its data are not complete: {complete.get('message') or 'see status.trust'}"
    for field_name, what in (("lostCalls", "were lost"), ("skippedCalls", "were skipped by the kernel")):
        if count := trust.get(field_name, 0):
            yield f"{count} calls {what}: a call may be missing"
    if status.get("truncated"):
        yield "its status is truncated: there may be more pods and containers than are listed, all their calls are here"
    if failures := status.get("failures"):
        yield f"{len(failures)} containers or nodes were not traced (status.failures)"
    listed = len(status.get("unreturned") or ())
    if "syscallNames" not in status["summary"] and trust.get("unreturnedCalls", 0) > listed:
        yield f"{trust['unreturnedCalls'] - listed} calls had not returned and are not named: a call may be missing"
