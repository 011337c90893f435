"""Where a session stands beside its counts, and what that says about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kubestrace_operator.api.conditions import Completeness, Outcome
from kubestrace_operator.api.spec import NO_VIEWS, Views
from kubestrace_operator.results.merge import Merged
from kubestrace_operator.views.timelines import Grid

# The reason of a failure that is a choice of the spec: it makes no result incomplete.
MAX_PODS_REACHED = "MaxPodsReached"


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
    # What the session collects beyond the summary.
    views: Views = NO_VIEWS
    # The buckets of the view timeline; None: it is off.
    timeline: Grid | None = None


def completeness(merged: Merged, progress: Progress) -> Completeness:
    """Tell whether everything was counted, and what was not."""
    if progress.start is None and progress.outcome.finished:
        return Completeness(False, "NothingTraced", "Nothing was traced.")
    missing = _missing(merged, progress.failures)
    if missing:
        return Completeness(False, missing[0][0], " ".join(sentence for _, sentence in missing))
    if not progress.outcome.finished:
        return Completeness(None, progress.outcome.phase, "Nothing is known to be missing so far.")
    return Completeness(True, "Complete", "No call was lost and no time is missing.")


def _missing(merged: Merged, failures: Sequence[Failure]) -> list[tuple[str, str]]:
    trust = merged.trust
    missing = []
    failed = [failure for failure in failures if failure.reason != MAX_PODS_REACHED]
    if failed:
        missing.append(("TargetsFailed", f"{_many(len(failed), 'target')} could not be traced; see failures."))
    if trust.gaps:
        missing.append(("TimeMissing", f"{_many(len(trust.gaps), 'span')} of time not counted; see trust.gaps."))
    if trust.lost_calls:
        sentence = (
            f"{_many(trust.lost_calls, 'call')} not counted: the kernel had no room or no turn; see trust.lostCalls."
        )
        missing.append(("CallsLost", sentence))
    if trust.skipped_calls:
        sentence = f"{_many(trust.skipped_calls, 'call')} of these nodes skipped by the kernel; see trust.skippedCalls."
        missing.append(("CallsSkipped", sentence))
    if trust.cpu_time_lost:
        sentence = f"{_many(trust.cpu_time_lost, 'time')} of calls or threads had no room, and are in no call's time."
        missing.append(("CpuTimeLost", sentence))
    if trust.slow_calls_lost:
        sentence = f"{_many(trust.slow_calls_lost, 'slow call')} had no room: slowCalls may miss some."
        missing.append(("SlowCallsLost", sentence))
    if trust.process_calls_lost:
        sentence = f"{_many(trust.process_calls_lost, 'call')} counted in no process, as there was no room."
        missing.append(("ProcessCallsLost", sentence))
    if trust.error_samples_lost:
        sentence = f"{_many(trust.error_samples_lost, 'failed call')} had no room: samples of errors may miss some."
        missing.append(("ErrorSamplesLost", sentence))
    return missing


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
