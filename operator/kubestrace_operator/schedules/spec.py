"""The spec of a TraceSchedule, parsed and checked. Pure.

The CRD's schema refuses most of what is refused here; cron expressions and time zones it cannot judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kubestrace_operator.api import applied, fields
from kubestrace_operator.api import spec as session_spec
from kubestrace_operator.api.spec import InvalidSpecError, Target
from kubestrace_operator.schedules import decision
from kubestrace_operator.schedules.cron import Cron, CronError
from kubestrace_operator.schedules.decision import Rules
from kubestrace_operator.schedules.pod_events import KINDS
from kubestrace_operator.sessions.requests import REQUESTED_BY

DEFAULT_COOL_DOWN_SECONDS = 300
MAX_COOL_DOWN_SECONDS = 86400
DEFAULT_MAX_SESSIONS_PER_HOUR = 12
MAX_MAX_SESSIONS_PER_HOUR = 60
DEFAULT_SUCCESSFUL_HISTORY = 3
DEFAULT_FAILED_HISTORY = 1
MAX_HISTORY = 100
MAX_STARTING_DEADLINE_SECONDS = 2**31 - 1
CONCURRENCY_POLICIES = (decision.ALLOW, decision.FORBID, decision.REPLACE)
_FIELDS = (
    *("schedule", "timeZone", "podEvents", "coolDownSeconds", "maxSessionsPerHour", "concurrencyPolicy"),
    *("startingDeadlineSeconds", "suspend", "successfulSessionsHistoryLimit", "failedSessionsHistoryLimit"),
    "sessionTemplate",
)
_TEMPLATE_FIELDS = ("metadata", "spec")
_METADATA_FIELDS = ("labels", "annotations")


@dataclass(frozen=True)
class ScheduleSpec:
    """A checked spec."""

    rules: Rules
    # Kinds of events that make sessions; empty: none does.
    events: tuple[str, ...]
    target: Target
    # What each session gets, as its author wrote it.
    session_spec: Mapping[str, Any]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    # Who created the schedule, as its annotation says; empty: it does not.
    requester: str
    successful_history: int
    failed_history: int

    @property
    def watches_pods(self) -> bool:
        """Whether events of pods make sessions now."""
        return bool(self.events) and not self.rules.suspend


def parse(body: Mapping[str, Any]) -> ScheduleSpec:
    """Return the checked spec of a TraceSchedule's object. Raises InvalidSpecError with every problem."""
    top = fields.Fields(body.get("spec"), "spec", list(_FIELDS))
    cron = _cron(top)
    events = top.strings("podEvents")
    for kind in events:
        if kind not in KINDS:
            top.problem("podEvents", f"has {kind!r}; it knows {', '.join(KINDS)}")
    if not events and not top.has("schedule"):
        top.problem("schedule", "is missing, and so is podEvents: one of them says when sessions are made")
    template = top.nested("sessionTemplate", _TEMPLATE_FIELDS)
    metadata = template.nested("metadata", _METADATA_FIELDS)
    labels, annotations = metadata.string_map("labels"), metadata.string_map("annotations")
    given = applied.template_spec(body)
    target = _target(given, top.problems)
    rules = _rules(top, cron)
    successful = top.integer("successfulSessionsHistoryLimit", DEFAULT_SUCCESSFUL_HISTORY, 0, MAX_HISTORY)
    failed = top.integer("failedSessionsHistoryLimit", DEFAULT_FAILED_HISTORY, 0, MAX_HISTORY)
    if top.problems or target is None:
        raise InvalidSpecError(tuple(top.problems))
    requester = str((body["metadata"].get("annotations") or {}).get(REQUESTED_BY) or "")
    return ScheduleSpec(rules, events, target, given, labels, annotations, requester, successful, failed)


def _cron(top: fields.Fields) -> Cron | None:
    if not top.has("schedule"):
        if top.has("timeZone"):
            top.problem("timeZone", "says nothing without schedule")
        return None
    text, zone = top.string("schedule"), top.string("timeZone") if top.has("timeZone") else "UTC"
    try:
        return Cron.parse(text, zone)
    except CronError as error:
        top.problem("schedule", f"with its time zone cannot be served: {error}")
        return None


def _rules(top: fields.Fields, cron: Cron | None) -> Rules:
    has_policy, has_deadline = top.has("concurrencyPolicy"), top.has("startingDeadlineSeconds")
    deadline = top.integer("startingDeadlineSeconds", 1, 1, MAX_STARTING_DEADLINE_SECONDS)
    cool_down = top.integer("coolDownSeconds", DEFAULT_COOL_DOWN_SECONDS, 0, MAX_COOL_DOWN_SECONDS)
    most = top.integer("maxSessionsPerHour", DEFAULT_MAX_SESSIONS_PER_HOUR, 1, MAX_MAX_SESSIONS_PER_HOUR)
    return Rules(
        cron=cron,
        concurrency=top.choice("concurrencyPolicy", CONCURRENCY_POLICIES) if has_policy else decision.FORBID,
        starting_deadline=timedelta(seconds=deadline) if has_deadline else None,
        cool_down=timedelta(seconds=cool_down),
        most_per_hour=most,
        suspend=top.boolean("suspend"),
    )


def _target(given: Mapping[str, Any], problems: list[str]) -> Target | None:
    """Return the target of the template, which must be a spec that a session can have."""
    try:
        return session_spec.parse(given).target
    except InvalidSpecError as error:
        problems += [f"spec.sessionTemplate.{problem}" for problem in error.problems]
        return None
