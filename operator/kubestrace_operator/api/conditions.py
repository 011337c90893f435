"""A session's conditions: what programs wait for, and why it came so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PENDING = "Pending"
TRACING = "Tracing"
SUCCEEDED = "Succeeded"
FAILED = "Failed"
CANCELLED = "Cancelled"
SUSPENDED = "Suspended"
FINISHED_PHASES = frozenset({SUCCEEDED, FAILED, CANCELLED})


@dataclass(frozen=True)
class Outcome:
    """Where a session stands: the phase for people, the reason for programs, the message for both."""

    phase: str
    # CamelCase; the reference of the field conditions lists them.
    reason: str
    message: str

    @property
    def finished(self) -> bool:
        """Whether this is the end."""
        return self.phase in FINISHED_PHASES


@dataclass(frozen=True)
class Completeness:
    """Whether everything was counted; unknown (`complete` is None) until the session has ended."""

    complete: bool | None
    reason: str
    message: str


def conditions(
    outcome: Outcome,
    completeness: Completeness,
    *,
    generation: int,
    now: datetime,
    previous: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Return the whole list. A condition keeps its lastTransitionTime while its status stays what it was."""
    since = {each.get("type"): each for each in previous}
    wanted = [
        ("Finished", _truth(outcome.finished), outcome.reason, outcome.message),
        ("Succeeded", _succeeded(outcome), outcome.reason, outcome.message),
        ("DataComplete", _truth(completeness.complete), completeness.reason, completeness.message),
    ]
    # kstatus (Flux, kpt) takes a resource without either of these as ready.
    if not outcome.finished and outcome.phase != SUSPENDED:
        wanted.append(("Reconciling", "True", outcome.reason, outcome.message))
    if outcome.phase == FAILED:
        wanted.append(("Stalled", "True", outcome.reason, outcome.message))
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
            "lastTransitionTime": transition(since.get(kind), status, now),
        }
        for kind, status, reason, message in wanted
    ]


def is_finished(status: Mapping[str, Any] | None) -> bool:
    """Return whether a status is terminal."""
    return any(
        each.get("type") == "Finished" and each.get("status") == "True"
        for each in (status or {}).get("conditions") or ()
    )


def observed(status: Mapping[str, Any], generation: int) -> dict[str, Any]:
    """Return what changes in a terminal status when a later generation of its spec was seen: nothing else."""
    known = [{**each, "observedGeneration": generation} for each in status.get("conditions") or ()]
    return {"observedGeneration": generation, "conditions": known}


def timestamp(when: datetime) -> str:
    """Return a time in the API's notation, to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _succeeded(outcome: Outcome) -> str:
    return _truth(outcome.phase == SUCCEEDED if outcome.finished else None)


def _truth(value: bool | None) -> str:
    return "Unknown" if value is None else str(value)


def transition(previous: Mapping[str, Any] | None, status: str, now: datetime) -> str:
    """Return the lastTransitionTime of a condition, which is kept while its status stays what it was."""
    if previous and previous.get("status") == status and previous.get("lastTransitionTime"):
        return str(previous["lastTransitionTime"])
    return timestamp(now)
