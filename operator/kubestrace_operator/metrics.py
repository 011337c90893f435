"""What the operator measures of itself, for Prometheus: the only user of prometheus-client.

Labels have few values: no name of a session, pod, node or namespace is one.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
REGISTRY = CollectorRegistry()
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
# An agent has words of its own for its reasons; one that is broken must not make thousands of series.
_MOST_REASONS = 100

# CPU seconds, memory and open files of this process.
ProcessCollector(registry=REGISTRY)

LEADER = Gauge(
    "kubestrace_leader", "1 while this replica leads, 0 while it stands by for the one that does.", registry=REGISTRY
)
_FINISHED = Counter(
    "kubestrace_sessions_finished", "Sessions that have ended since the start.", ["phase", "reason"], registry=REGISTRY
)
TRACING_SECONDS = Histogram(
    "kubestrace_session_tracing_seconds",
    "From the operator's first look at a session to Tracing in its status, with what it waited for its pods and turn.",
    buckets=_SECONDS,
    registry=REGISTRY,
)
FINAL_SECONDS = Histogram(
    "kubestrace_session_final_seconds",
    "From the end of a session's time, or its cancellation, to its final status.",
    buckets=_SECONDS,
    registry=REGISTRY,
)
_REPORTS = Counter("kubestrace_reports", "Reports of agents: accepted or refused.", ["result"], registry=REGISTRY)
REPORTS_LATE = Counter(
    "kubestrace_reports_late",
    "Reports that came more than two intervals and a second after the one before.",
    registry=REGISTRY,
)
REPORTS_LOST = Counter(
    "kubestrace_reports_lost", "Final reports that had not come when their session ended.", registry=REGISTRY
)
_SCHEDULED = Counter(
    "kubestrace_schedule_sessions",
    "Sessions that schedules made, by why: Time, or the event of a pod.",
    ["cause"],
    registry=REGISTRY,
)
_SKIPPED = Counter(
    "kubestrace_schedule_skipped",
    "Times and events for which schedules made no session, by why not.",
    ["reason"],
    registry=REGISTRY,
)
_WATCH_RESTARTS = Counter(
    "kubestrace_watch_restarts",
    "Watches of the API server that began anew: ended by it in time, failed, or expired and listed again.",
    ["resource", "cause"],
    registry=REGISTRY,
)
_API_REQUESTS = Counter(
    "kubestrace_api_requests",
    "Requests to the API server by method, resource and code; a code of none had no answer.",
    ["method", "resource", "code"],
    registry=REGISTRY,
)
_reasons: set[str] = set()
# A series that begins with its first event shows Prometheus no increase: those that alerts watch begin with 0.
_FINISHED.labels("Failed", "OperatorFailed")
for _result in ("accepted", "refused"):
    _REPORTS.labels(_result)
_SKIPPED.labels("Refused")

Standings = Callable[[], Iterable[tuple[str, str]]]


def text() -> bytes:
    """Return everything as Prometheus reads it."""
    return generate_latest(REGISTRY)


def finished(phase: str, reason: str) -> None:
    """Count a session that has ended."""
    _FINISHED.labels(phase, _known(reason)).inc()


def report(*, accepted: bool) -> None:
    """Count a report of an agent."""
    _REPORTS.labels("accepted" if accepted else "refused").inc()


def scheduled(event: str) -> None:
    """Count a session that a schedule made, at a time or after an event."""
    _SCHEDULED.labels(event or "Time").inc()


def schedule_skipped(reason: str, count: int) -> None:
    """Count times or events for which a schedule made no session."""
    _SKIPPED.labels(reason).inc(count)


def watch_restarted(path: str, cause: str) -> None:
    """Count a watch that begins anew; the cause is ended, failed or expired."""
    _WATCH_RESTARTS.labels(resource_of(path), cause).inc()


def api_request(method: str, path: str, code: int | None) -> None:
    """Count a request to the API server."""
    _API_REQUESTS.labels(method, resource_of(path), str(code or "none")).inc()


def resource_of(path: str) -> str:
    """Return the plural of what a path of the API server is about, with its subresource: `tracesessions/status`."""
    parts = [part for part in path.split("/") if part]
    # api/VERSION or apis/GROUP/VERSION come first.
    rest = parts[2:] if parts[:1] == ["api"] else parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return "/".join(rest[:1] + rest[2:3]) or "discovery"


def watch(sessions: Standings, agents: Standings) -> Collector:
    """Show how sessions and agents stand whenever somebody asks; return what `unwatch` takes.

    `sessions` gives phase and reason of each that is not finished, `agents` version and state of each.
    """
    collector = _Standing(sessions, agents)
    REGISTRY.register(collector)
    return collector


def unwatch(collector: Collector) -> None:
    """Show them no longer."""
    REGISTRY.unregister(collector)


class _Standing(Collector):
    def __init__(self, sessions: Standings, agents: Standings) -> None:
        self._sessions = sessions
        self._agents = agents

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the names, without asking anybody."""
        return self._families([], [])

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the numbers as of now."""
        return self._families(((phase, _known(reason)) for phase, reason in self._sessions()), self._agents())

    def _families(
        self, sessions: Iterable[tuple[str, str]], agents: Iterable[tuple[str, str]]
    ) -> Iterator[GaugeMetricFamily]:
        help_text = "Sessions that are not finished."
        yield _tallied("kubestrace_sessions", help_text, ("phase", "reason"), sessions)
        yield _tallied("kubestrace_agents", "Pods of agents.", ("version", "state"), agents)


def _tallied(name: str, help_text: str, labels: tuple[str, str], each: Iterable[tuple[str, str]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for values, count in sorted(Tally(each).items()):
        family.add_metric(values, count)
    return family


def _known(reason: str) -> str:
    if len(_reasons) < _MOST_REASONS:
        _reasons.add(reason)
    return reason if reason in _reasons else "other"
