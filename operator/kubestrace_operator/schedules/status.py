"""The status of a schedule: read when an operator starts, written when something has changed. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kubestrace_operator.api import conditions
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.schedules.cron import Cron
from kubestrace_operator.schedules.decision import REASONS, Skip, State

# Names of sessions that run; more than these are counted only.
MOST_ACTIVE = 100


@dataclass(frozen=True)
class Standing:
    """Whether a schedule is served, and why not."""

    ready: bool
    reason: str
    message: str
    # Nothing helps but a change of the spec.
    stalled: bool = False


@dataclass
class Record:
    """What a schedule's status keeps from one operator to the next."""

    state: State
    last_schedule: datetime | None = None
    last_successful: str = ""
    created: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    last_skip: Mapping[str, Any] | None = None
    # The expression and zone that the slots are of.
    schedule: str = ""

    def skip(self, skip: Skip, now: datetime) -> None:
        """Count what made no session."""
        self.skipped[skip.reason] += skip.count
        self.last_skip = {"time": conditions.timestamp(now), "reason": skip.reason, "message": skip.message}

    def follow(self, cron: Cron | None, now: datetime) -> None:
        """Take over the expression; slots that another one had, or would have had, are none of this one's."""
        text = described(cron)
        if text != self.schedule and self.schedule:
            self.state = State(max(self.state.considered, now), None, self.state.last_event, self.state.starts)
        self.schedule = text


def described(cron: Cron | None) -> str:
    """Return an expression with its zone; `none` where there is none."""
    return f"{cron.expression} {cron.zone}" if cron is not None else "none"


def read(body: Mapping[str, Any]) -> Record:
    """Return what an object's status says."""
    status = body.get("status") or {}
    created = time_of(body["metadata"].get("creationTimestamp")) or datetime.now(UTC)
    starts = {each["name"]: when for each in status.get("recentStarts") or () if (when := time_of(each.get("time")))}
    state = State(
        considered=time_of(status.get("observedScheduleTime")) or created,
        held=time_of(status.get("heldScheduleTime")),
        last_event=time_of(status.get("lastEventTime")),
        starts=starts,
    )
    skipped = {_reason(name): count for name, count in (status.get("skipped") or {}).items()}
    return Record(
        state,
        last_schedule=time_of(status.get("lastScheduleTime")),
        last_successful=status.get("lastSuccessfulTime") or "",
        created=status.get("created") or 0,
        skipped=Counter(skipped),
        last_skip=status.get("lastSkip"),
        schedule=status.get("observedSchedule") or "",
    )


def document(
    record: Record,
    rows: Iterable[SessionRow],
    standing: Standing,
    *,
    generation: int,
    following: datetime | None,
    now: datetime,
    previous: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the whole status; times that are not known are left out."""
    active = sorted((row for row in rows if not row.finished), key=lambda row: (row.created, row.name))
    starts = sorted(record.state.recent(now).items(), key=lambda each: (each[1], each[0]))
    times = {
        "lastScheduleTime": record.last_schedule,
        "nextScheduleTime": following,
        "lastEventTime": record.state.last_event,
        "observedScheduleTime": record.state.considered,
        "heldScheduleTime": record.state.held,
    }
    return {
        "observedGeneration": generation,
        "observedSchedule": record.schedule,
        "conditions": _conditions(standing, generation, now, previous),
        "active": [{"name": row.name, "uid": row.uid} for row in active[:MOST_ACTIVE]],
        "activeCount": len(active),
        "created": record.created,
        "skipped": {_field(reason): record.skipped[reason] for reason in REASONS},
        "skippedCount": record.skipped.total(),
        **({"lastSkip": dict(record.last_skip)} if record.last_skip else {}),
        "recentStarts": [{"name": name, "time": conditions.timestamp(when)} for name, when in starts],
        **{name: conditions.timestamp(when) for name, when in times.items() if when is not None},
        **({"lastSuccessfulTime": record.last_successful} if record.last_successful else {}),
    }


def last_successful(rows: Iterable[SessionRow], before: str) -> str:
    """Return when a session last succeeded; `before` is what is known already."""
    return max([before, *(row.completed for row in rows if row.phase == conditions.SUCCEEDED)])


def time_of(text: str | None) -> datetime | None:
    """Return a time of the API; None when there is none, or it cannot be read."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def _conditions(
    standing: Standing, generation: int, now: datetime, previous: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    wanted = [("Ready", "True" if standing.ready else "False")]
    # kstatus (Flux, kpt) takes this as failed.
    wanted += [("Stalled", "True")] * standing.stalled
    since = {each.get("type"): each for each in previous}
    return [
        {
            "type": kind,
            "status": value,
            "reason": standing.reason,
            "message": standing.message,
            "observedGeneration": generation,
            "lastTransitionTime": conditions.transition(since.get(kind), value, now),
        }
        for kind, value in wanted
    ]


def _field(reason: str) -> str:
    return reason[0].lower() + reason[1:]


def _reason(name: str) -> str:
    return name[0].upper() + name[1:]
