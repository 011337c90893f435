"""How a session stands and how it ended, in words: reasons for programs, messages for people."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kubestrace_operator.api import conditions
from kubestrace_operator.api.conditions import Outcome
from kubestrace_operator.results.merge import Merged
from kubestrace_operator.sessions import targets
from kubestrace_operator.sessions.targets import Found
from kubestrace_operator.status.progress import Failure

# What a waiting session's reason becomes when it ends without having traced anything.
_ENDED_AS = {"AgentsNotReady": "AgentUnavailable"}


@dataclass(frozen=True)
class Summary:
    """What there is to say about a session."""

    # Sums of the reports, which are read for it: made when a sentence needs them.
    merge: Callable[[], Merged]
    failures: Sequence[Failure]
    # Names of pods that were left out because of maxPods: the first of them.
    skipped: Sequence[str]
    containers: int
    pods: int
    nodes: int
    seconds: float
    # Whether the spec chose some system calls.
    filtered: bool = False
    # How many pods were left out.
    skipped_count: int = 0

    @cached_property
    def merged(self) -> Merged:
        """What was counted, in sums."""
        return self.merge()


def waits_for(found: Found | None, missing: tuple[str, str], failures: Sequence[Failure]) -> tuple[str, str]:
    """Return the reason and the message of a session that traces nothing; `missing` says why no pods are known."""
    if found is None:
        return missing
    if found.why_nothing:
        return found.reason, found.why_nothing
    if failures:
        return "AgentsNotReady", targets.listed((each.message.rstrip(".") for each in failures), "; ")
    return "AgentsNotReady", "No kubestrace agent is ready to trace these pods."


def pending(reason: str, message: str, wait_seconds: float) -> Outcome:
    """Return the outcome of a session that has nothing to trace yet."""
    waiting = f" Waiting {wait_seconds:.0f} s at most." if wait_seconds >= 1 else ""
    return Outcome(conditions.PENDING, reason, _sentence(message) + waiting)


def tracing(summary: Summary) -> Outcome:
    """Return the outcome of a session that counts."""
    message = f"Counting system calls of {_scope(summary)}.{_left_out(summary)}{_failed(summary)}"
    return Outcome(conditions.TRACING, "Tracing", message)


def invalid(problems: Sequence[str]) -> Outcome:
    """Return the outcome of a session that cannot be served as it is written."""
    listed = "; ".join(problem.rstrip(".") for problem in problems)
    return Outcome(conditions.FAILED, "InvalidSpec", f"The spec cannot be served: {listed}.")


def suspended(*, ran: bool) -> Outcome:
    """Return the outcome of a session that a person holds back; `ran`: it was tracing."""
    begins = "starts anew, with its whole duration," if ran else "starts"
    dropped = "What was counted is dropped. " if ran else ""
    return Outcome(
        conditions.SUSPENDED, "Suspended", f"Suspended. {dropped}It {begins} when spec.suspend is set to false."
    )


def broken(error: BaseException) -> Outcome:
    """Return the outcome of a session that the operator fails to serve: an error of ours."""
    message = f"The operator failed to serve this session, again and again: {error!r}. Its log has the details."
    return Outcome(conditions.FAILED, "OperatorFailed", message)


def not_authorized(message: str) -> Outcome:
    """Return the outcome of a session whose namespace may not be traced."""
    return Outcome(conditions.FAILED, "NotAuthorized", f"Nothing was traced. {_sentence(message)}")


def waits_for_place(message: str) -> Outcome:
    """Return the outcome of a session that waits until others of its namespace have ended."""
    return Outcome(conditions.PENDING, "TooManySessionsOfNamespace", _sentence(message))


def waits_for_quota(message: str) -> Outcome:
    """Return the outcome of a session whose namespace has used up its container-seconds."""
    return Outcome(
        conditions.PENDING, "ContainerSecondsUsed", f"{_sentence(message)} It starts when some of them are older."
    )


def quota_used(message: str, summary: Summary) -> Outcome:
    """Return the outcome of a session that ended because its namespace has used up its container-seconds."""
    kept = f"What was counted in {summary.seconds:.0f} s is kept. {_counted(summary)}"
    return Outcome(conditions.SUCCEEDED, "ContainerSecondsUsed", f"{_sentence(message)} {kept}")


def nothing_traced(reason: str, message: str, failures: Sequence[Failure]) -> Outcome:
    """Return the outcome of a session that never counted anything: the reason for which it waited until the end."""
    if failures and reason in {"", "AgentsNotReady"}:
        reason = failures[0].reason
        message = targets.listed((failure.message for failure in failures), "; ", most=3)
    return Outcome(conditions.FAILED, _ENDED_AS.get(reason, reason), f"Nothing was traced. {_sentence(message)}")


def cancelled(summary: Summary) -> Outcome:
    """Return the outcome of a session that a person ended early."""
    if not summary.containers:
        return Outcome(conditions.CANCELLED, "Cancelled", "Cancelled before anything was traced.")
    message = f"Cancelled after {summary.seconds:.0f} s; what was counted until then is kept. {_counted(summary)}"
    return Outcome(conditions.CANCELLED, "Cancelled", message)


def completed(summary: Summary, *, unanswered: Sequence[str]) -> Outcome:
    """Return the outcome of a session that counted; `unanswered` are nodes whose final report never came."""
    if not summary.merged.containers:
        nodes = f" from {targets.listed(unanswered)}" if unanswered else ""
        message = f"The time is over and no report came{nodes}. What is shown was counted before, if anything."
        return Outcome(conditions.FAILED, "DeadlineExceeded", message)
    lost = [gap.node for gap in summary.merged.trust.gaps if not gap.container.container_name]
    reason = "PartiallyCompleted" if summary.failures or unanswered or lost else "Completed"
    missed = f" Not everything was counted on {targets.listed(sorted(set(lost)))}; see trust.gaps." if lost else ""
    return Outcome(conditions.SUCCEEDED, reason, _counted(summary) + missed)


def critical(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the critical findings of a status for its events: what names each in the session, and a message.

    Who may read events need not be allowed to read results, so no path, no peer and no number of a finding is in it.
    """
    seen: Counter[str] = Counter()
    for each in status.get("findings", ()):
        if each["severity"] == "critical":
            # A rule may find several; their order is the status's.
            where = f" in {each['pods']} of {each['ofPods']} pods" if "pods" in each else ""
            message = f"{each['id']}: found{where}. status.report of the session says what was seen and what to do."
            yield f"finding {each['id']} {seen[each['id']]}", message
            seen[each["id"]] += 1


def _counted(summary: Summary) -> str:
    merged = summary.merged
    none = "none of the chosen system calls was made" if summary.filtered else "no system call was made"
    counts = f"{merged.calls} calls, {merged.errors} of them failed" if merged.calls else none
    return f"Traced {_scope(summary)} for {summary.seconds:.0f} s: {counts}.{_left_out(summary)}{_failed(summary)}"


def _scope(summary: Summary) -> str:
    counts = ((summary.containers, "container"), (summary.pods, "pod"), (summary.nodes, "node"))
    words = [f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts]
    return f"{words[0]} in {words[1]} on {words[2]}"


def _left_out(summary: Summary) -> str:
    if not summary.skipped:
        return ""
    count = summary.skipped_count
    pods = f"{count} more pod{'' if count == 1 else 's'} matched and {'is' if count == 1 else 'are'} left out"
    return f" {pods} because of maxPods: {targets.listed(summary.skipped, count=count)}."


def _failed(summary: Summary) -> str:
    if not summary.failures:
        return ""
    messages = (failure.message.rstrip(".") for failure in summary.failures)
    return f" Not traced: {targets.listed(messages, '; ', most=3)}."


def _sentence(words: str) -> str:
    """Return words, which may be a failure's or another program's, as one sentence of ours."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."
