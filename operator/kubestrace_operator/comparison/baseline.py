"""The session that a result is compared with, read from its object; one that cannot be used says what to do. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.api import conditions
from kubestrace_operator.api.spec import InvalidSpecError, TraceSpec, parse
from kubestrace_operator.comparison import reading

KIND = "TraceSession"
# What local mode traced: its sessions have no pods as targets.
LOCAL_TARGET = "kubestrace.io/local-target"
LOCAL = "a program of one machine (local mode)"
# Names in a sentence.
_MOST_NAMED = 8


@dataclass(frozen=True)
class Scope:
    """What a session traced and how, as far as it matters for a comparison; None: not known."""

    target: str | None = None
    views: frozenset[str] | None = None
    syscalls: frozenset[str] | None = None


@dataclass(frozen=True)
class Baseline:
    """An earlier session that has a result."""

    name: str
    scope: Scope
    status: Mapping[str, Any]


@dataclass(frozen=True)
class Unusable:
    """Why nothing can be compared, and what to do."""

    name: str
    # CamelCase.
    reason: str
    message: str

    def document(self) -> dict[str, Any]:
        """Return status.comparison."""
        return {"reason": self.reason, "message": self.message, "baseline": {"name": self.name}}


@dataclass(frozen=True)
class Compared:
    """A baseline, and the scope of the session that is compared with it."""

    baseline: Baseline
    scope: Scope


def scope(spec: TraceSpec, *, local: bool = False) -> Scope:
    """Return the scope of a session."""
    target = LOCAL if local else _target(spec)
    return Scope(target, frozenset(spec.views), frozenset(spec.syscalls))


def read(name: str, document: object) -> Baseline | Unusable:
    """Return the baseline in a TraceSession's object."""
    status = reading.part(document, "status")
    if not isinstance(status, Mapping) or reading.word(status, "phase") not in conditions.FINISHED_PHASES:
        phase = reading.word(status, "phase") or "Pending"
        return Unusable(
            name,
            "BaselineNotFinished",
            f"The baseline {name} is not finished (it is {phase}): nothing is compared. "
            "Wait for its end and apply a new session, or name a finished one in compareTo.",
        )
    if not reading.seconds(status) or not isinstance(reading.part(status, "summary", "syscalls"), list):
        return Unusable(
            name,
            "BaselineHasNoCounts",
            f"The baseline {name} counted nothing ({reading.word(status, 'phase')}): nothing is compared. "
            "Name a finished session that has a summary in compareTo.",
        )
    return Baseline(name, _scope_of(document), status)


def differences(compared: Compared) -> list[str]:
    """Return sentences about what the two sessions do not have in common, and what to do."""
    own, other, name = compared.scope, compared.baseline.scope, compared.baseline.name
    found = []
    if own.target and other.target and own.target != other.target:
        found.append(
            f"Another kind of target: {name} traced {other.target}, this session {own.target}; the sums are of other "
            "sets of containers. Name a baseline with the same kind of target."
        )
    if own.views is not None and other.views is not None and own.views != other.views:
        parts = [
            f"{words} {_listed(views)}"
            for words, views in (("only here", own.views - other.views), (f"only in {name}", other.views - own.views))
            if views
        ]
        found.append(
            f"Other views ({'; '.join(parts)}): what only one of the two counted is not compared. "
            "Trace both sessions with the same views."
        )
    if own.syscalls is not None and other.syscalls is not None and own.syscalls != other.syscalls:
        found.append(
            "Other system calls were counted (spec.syscalls): only calls that both have are compared. "
            "Trace both sessions with the same spec.syscalls."
        )
    return found


def _listed(views: frozenset[str]) -> str:
    names = sorted(views)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _scope_of(document: object) -> Scope:
    local = bool(reading.word(document, "metadata", "annotations", LOCAL_TARGET))
    spec = reading.part(document, "spec")
    try:
        return scope(parse(spec if isinstance(spec, Mapping) else None, target_required=False), local=local)
    except InvalidSpecError:
        # Of another version: what it chose is not known here.
        return Scope(LOCAL if local else None)


def _target(spec: TraceSpec) -> str | None:
    target = spec.target
    if target is None:
        return None
    if target.workload is not None:
        return f"a {target.workload.kind} (workload)"
    return "one pod (podName)" if target.pod_name is not None else "pods by their labels (selector)"
