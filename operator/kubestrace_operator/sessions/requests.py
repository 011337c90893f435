"""Who asked for what: what an auditor finds in the log and in a session's first event. Pure.

The API server alone knows who creates an object: managedFields name a program, not a user. The chart's admission policy
refuses a session whose annotation names another user than the one who creates it, so where the policy is in force the
annotation is proven. Where it is not, nobody is named. A session of a schedule has the annotation of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.agents.reports import text
from kubestrace_operator.api import applied
from kubestrace_operator.api.spec import DEFAULT_DURATION_SECONDS
from kubestrace_operator.kube.session_rows import controlling_schedule

# An annotation of sessions.
REQUESTED_BY = "kubestrace.io/requested-by"
# Of one part; a user may write 100 pages into a selector.
_MOST_CHARACTERS = 300


@dataclass(frozen=True)
class Request:
    """What a session asks for, as its object says it: the spec need not be valid."""

    target: str
    views: tuple[str, ...]
    profile: str
    duration_seconds: int
    # Empty: nobody has proven who it was.
    requester: str
    # The TraceSchedule that made the session, which the requester created; empty: none.
    schedule: str

    @property
    def who(self) -> str:
        """Who asks, for people."""
        person = self.requester or "an unverified user"
        return f"TraceSchedule {self.schedule} (created by {person})" if self.schedule else person

    def sentence(self) -> str:
        """Return it for people."""
        who = self.who if self.requester or self.schedule else "An unverified user"
        views = f" with {', '.join(self.views)}" if self.views else ""
        profile = f" and the profile {self.profile}" if self.profile else ""
        return f"{who} asks for {self.duration_seconds} s of {self.target}{views}{profile}."

    def fields(self) -> dict[str, Any]:
        """Return it for programs: what a line of the log has of it."""
        return {
            "target": self.target,
            "views": list(self.views),
            "profile": self.profile,
            "durationSeconds": self.duration_seconds,
            "requester": self.requester or None,
            "schedule": self.schedule or None,
        }


def read(body: Mapping[str, Any], *, proven: bool) -> Request:
    """Return what an object asks for; `proven`: the admission policy holds its annotation against its creator."""
    spec = applied.spec(body)
    metadata = _mapping(body.get("metadata"))
    annotations = _mapping(metadata.get("annotations"))
    references = metadata.get("ownerReferences")
    owners = map(_mapping, references if isinstance(references, list) else ())
    duration = spec.get("durationSeconds", DEFAULT_DURATION_SECONDS)
    views = _mapping(spec.get("views"))
    on = (name for name, given in views.items() if _mapping(given).get("enabled") is not False)
    return Request(
        target=_target(_mapping(spec.get("target"))),
        views=tuple(sorted(_short(name) for name in on)),
        profile=_short(spec.get("profile") or ""),
        duration_seconds=duration if isinstance(duration, int) else 0,
        requester=_short(annotations.get(REQUESTED_BY) or "") if proven else "",
        schedule=_short(controlling_schedule(owners).get("name") or ""),
    )


def _target(target: Mapping[str, Any]) -> str:
    if "podName" in target:
        return f"pod {_short(target['podName'])}"
    if "workload" in target:
        workload = _mapping(target["workload"])
        return f"{_short(workload.get('kind', ''))} {_short(workload.get('name', ''))}"
    selector = _mapping(target.get("selector"))
    labels = [f"{name}={value}" for name, value in sorted(_mapping(selector.get("matchLabels")).items())]
    expressions = selector.get("matchExpressions")
    for each in expressions if isinstance(expressions, list) else ():
        words = _mapping(each)
        labels.append(f"{words.get('key')} {words.get('operator')} {words.get('values') or ''}".rstrip())
    return f"pods with {_short(', '.join(labels))}" if labels else "all pods"


def _mapping(given: object) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}


def _short(given: object) -> str:
    return text(str(given), _MOST_CHARACTERS)
