"""Where a session stands beside its counts, and what that says about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kubestrace_operator.api.conditions import Completeness, Outcome
from kubestrace_operator.comparison.baseline import Compared, Unusable
from kubestrace_operator.results.merge import Merged
from kubestrace_operator.views import registry
from kubestrace_operator.views.view import PeerName
from kubestrace_protos.v1 import agent_pb2

# The reason of a failure that is a choice of the spec: it makes no result incomplete.
MAX_PODS_REACHED = "MaxPodsReached"
# The reason of a gap that is not a span of time: the node does not serve a view.
VIEW_UNSUPPORTED = "ViewUnsupported"


@dataclass(frozen=True)
class Failure:
    """Something that is not traced: a container, a whole pod or a whole node."""

    # CamelCase.
    reason: str
    message: str
    node: str = ""
    pod: str = ""
    container: str = ""


@dataclass(frozen=True)
class Targets:
    """Pods, by what became of them; skipped ones are within none of the other three."""

    matched: int = 0
    tracing: int = 0
    finished: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Progress:
    """Where a session stands, beside its counts."""

    outcome: Outcome
    generation: int = 1
    start: datetime | None = None
    completion: datetime | None = None
    # Whether the spec chose some system calls: then a count of zero says nothing of the others.
    filtered: bool = False
    targets: Targets = Targets()
    failures: tuple[Failure, ...] = ()
    # "unified" or "hybrid"; of each node that traces and said it.
    cgroup_modes: frozenset[str] = frozenset()
    # The settings of the views that are on.
    views: registry.Chosen = field(default_factory=dict)
    # The session's; None: it has none, as a COMMAND of local mode.
    duration_seconds: int | None = None
    # Whose addresses are, as far as it may be told; by address as text.
    peer_names: Mapping[str, PeerName] = field(default_factory=dict)
    # What the result is compared with, or why with nothing; None: nobody asked.
    compared: Compared | Unusable | None = None

    @property
    def expected_completion(self) -> datetime | None:
        """When the counting ends: as the duration says, or before, in a session that has ended before."""
        if self.start is None or self.duration_seconds is None:
            return None
        by_duration = self.start + timedelta(seconds=self.duration_seconds)
        return by_duration if self.completion is None else min(by_duration, self.completion)


def completeness(merged: Merged, progress: Progress) -> Completeness:
    """Return whether everything was counted, and what was not."""
    if progress.start is None and progress.outcome.finished:
        return Completeness(False, "NothingTraced", "Nothing was traced.")
    missing = _missing(merged, progress)
    if missing:
        return Completeness(False, missing[0][0], " ".join(sentence for _, sentence in missing))
    if not progress.outcome.finished:
        return Completeness(None, progress.outcome.phase, "Nothing is known to be missing so far.")
    ring = " io_uring was used, whose work is in no system call; see trust.ioUring." if merged.trust.io_uring else ""
    return Completeness(True, "Complete", f"No call was lost and no time is missing.{ring}")


def _missing(merged: Merged, progress: Progress) -> list[tuple[str, str]]:
    trust = merged.trust
    missing = []
    failed = [failure for failure in progress.failures if failure.reason != MAX_PODS_REACHED]
    if failed:
        missing.append(("TargetsFailed", f"{_many(len(failed), 'target')} could not be traced; see failures."))
    missing += _missing_in_gaps(trust.gaps)
    if trust.lost_calls:
        sentence = (
            f"{_many(trust.lost_calls, 'call')} not counted: the kernel had no room or no turn; see trust.lostCalls."
        )
        missing.append(("CallsLost", sentence))
    if trust.skipped_calls:
        sentence = f"{_many(trust.skipped_calls, 'call')} of these nodes skipped by the kernel; see trust.skippedCalls."
        missing.append(("CallsSkipped", sentence))
    for loss in registry.losses(progress.views):
        count = trust.losses.get(loss.name, 0)
        if count and loss.reason:
            missing.append((loss.reason, loss.sentence(count)))
    return missing


def _missing_in_gaps(gaps: Sequence[agent_pb2.Gap]) -> list[tuple[str, str]]:
    """Return the sentences about gaps: spans of time, and views, without which the counts are still whole."""
    missing = []
    of_views = sum(gap.reason == VIEW_UNSUPPORTED for gap in gaps)
    spans = len(gaps) - of_views
    if spans:
        missing.append(("TimeMissing", f"{_many(spans, 'span')} of time not counted; see trust.gaps."))
    if of_views:
        sentence = f"{_many(of_views, 'view')} of containers not collected: their nodes cannot; see trust.gaps."
        missing.append((VIEW_UNSUPPORTED, sentence))
    return missing


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
