"""Where the time of threads went, as a part of the status and as text. Used by status."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubestrace_operator.status.table import duration
from kubestrace_operator.views.budgets import Budget, CallKey

# Calls of each of the two lists.
MAX_CALLS = 10
# And in a line of the text.
_NAMED = 3
_BAR = 20


def document(budget: Budget) -> dict[str, Any]:
    """Return timeBudget, of all or of one container."""
    return {
        "threadNanoseconds": budget.thread_ns,
        "userNanoseconds": budget.user_ns,
        "kernelNanoseconds": budget.kernel_ns,
        "waitingNanoseconds": budget.waiting_ns,
        "runnableNanoseconds": budget.runnable_ns,
        "blockedNanoseconds": budget.blocked_ns,
        "otherNanoseconds": budget.other_ns,
        "kernel": _rows(budget.kernel),
        "waiting": _rows(budget.waiting),
    }


def _rows(calls: Mapping[CallKey, int]) -> list[dict[str, Any]]:
    return [
        {"syscall": key.name, **({"abi": key.abi} if key.abi else {}), "nanoseconds": nanoseconds}
        for key, nanoseconds in _most(calls)[:MAX_CALLS]
    ]


def _most(calls: Mapping[CallKey, int]) -> list[tuple[CallKey, int]]:
    """Return the calls that took any, the most first."""
    return sorted(((key, ns) for key, ns in calls.items() if ns), key=lambda item: (-item[1], item[0]))


def text(budget: Budget) -> str:
    """Return the budget for people, a line for each part."""
    if not budget.thread_ns:
        return "No thread was followed.\n"
    threads = budget.thread_ns / budget.wall_ns if budget.wall_ns else 0
    lines = [f"where the time of {threads:.1f} threads x {duration(budget.wall_ns)} went"]
    parts: Sequence[tuple[str, int, str]] = (
        ("user", budget.user_ns, ""),
        ("kernel", budget.kernel_ns, _named(budget.kernel)),
        ("waiting", budget.waiting_ns, _named(budget.waiting)),
        ("runnable", budget.runnable_ns, "ready to run, without a CPU"),
        ("blocked", budget.blocked_ns, "outside of calls: page faults, stopped threads"),
    )
    lines += [_line(*part, budget.thread_ns) for part in parts]
    # What rounding hides needs no name.
    if abs(budget.other_ns) * 1000 >= budget.thread_ns:
        lines.append(_line("other", budget.other_ns, "not told apart", budget.thread_ns))
    return "\n".join(lines) + "\n"


def _line(name: str, nanoseconds: int, words: str, whole_ns: int) -> str:
    share = nanoseconds / whole_ns
    bar = "#" * max(0, round(_BAR * share))
    return f"{100 * share:6.2f} {nanoseconds / 1e9:11.6f} {name:<8} |{bar:<{_BAR}}| {words}".rstrip()


def _named(calls: Mapping[CallKey, int]) -> str:
    """Return the calls that took most, with their times."""
    rows = _most(calls)
    words = [f"{key.name}{f' ({key.abi})' if key.abi else ''} {duration(ns)}" for key, ns in rows[:_NAMED]]
    return ", ".join(words + ["..."] * (len(rows) > _NAMED))
