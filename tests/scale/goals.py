"""The scale table: its rows, their goals, and how a figure is judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """One goal of a row."""

    # The name of the figure, and what it is in words.
    figure: str
    words: str
    bound: float
    unit: str
    # The figure must reach the bound, not stay below it.
    at_least: bool = False

    def met(self, figures: Mapping[str, Any]) -> bool:
        """Tell whether it is met; what could not be measured is missed."""
        value = figures.get(self.figure)
        return value is not None and (value >= self.bound if self.at_least else value <= self.bound)

    def text(self) -> str:
        """Return the goal as the table has it."""
        return f"{'>=' if self.at_least else '<='} {self.bound:,g}{self.unit}"

    def measured(self, figures: Mapping[str, Any]) -> str:
        """Return the figure as the table has it."""
        value = figures.get(self.figure)
        return "not reached" if value is None else f"{value:,g}{self.unit}"


@dataclass(frozen=True)
class Row:
    """One row of the table: what is done, and its goals."""

    name: str
    words: str
    goals: tuple[Goal, ...]
    # The words where it could not be measured.
    short: str = ""


_WRONG = Goal("results_with_wrong_counts", "results that lack counts and do not say so", 0, "")
_PARTIAL = Goal("results_in_part", "results that say that a report is missing", 0, "")
_FAILED = Goal("failed", "sessions that failed", 0, "")


def _many_sessions(name: str, short: str) -> Row:
    """Return a row of sessions that come and go within a minute."""
    return Row(
        name,
        "{sessions:,} sessions of 30 s created within {created_within_seconds:.0f} s over {agents} agents and {pods:,}"
        " pods, five pods on five nodes each",
        (
            Goal("tracing_p99_seconds", "created to Tracing, p99", 2, " s"),
            Goal("final_p99_seconds", "end to final status, p99", 3, " s"),
            Goal("operator_most_memory_mib", "operator's memory", 400, " MiB"),
            _WRONG,
            _PARTIAL,
            _FAILED,
        ),
        short,
    )


ROWS = (
    _many_sessions("sessions", "many sessions"),
    _many_sessions("half", "half as many sessions"),
    Row("writes", "one session of 30 s, with its Events", (Goal("writes", "API writes", 8, ""),)),
    Row(
        "wide",
        "one session over {nodes} pods on {nodes} nodes",
        (Goal("final_seconds", "end to final status", 5, " s"), _WRONG, _PARTIAL, _FAILED),
        "one session on all nodes",
    ),
    Row(
        "restart",
        "operator killed while {sessions} sessions run, with {traces_on_nodes:,} traces on nodes",
        (
            Goal("taken_up_seconds", "start of the next process until it follows all traces", 10, " s"),
            _WRONG,
            _PARTIAL,
            _FAILED,
        ),
        "operator killed amid sessions",
    ),
    Row(
        "changes",
        "{sessions:,} such sessions while pods of the same namespaces change",
        (
            Goal("pod_changes_per_minute", "changes of pods a minute", 10_000, "", at_least=True),
            Goal("tracing_p99_seconds", "created to Tracing, p99", 4, " s"),
            Goal("final_p99_seconds", "end to final status, p99", 6, " s"),
            _WRONG,
            _PARTIAL,
            _FAILED,
        ),
    ),
    Row(
        "idle",
        "operator beside {finished_sessions:,} finished sessions",
        (Goal("memory_mib", "operator's memory", 150, " MiB"),),
        "operator beside finished sessions",
    ),
    Row(
        "agent",
        "a real agent with {sessions} sessions on {containers} containers, all views",
        (
            Goal("core_percent", "of one core", 10, " %"),
            Goal("late_seconds", "the latest report, beyond its interval", 2, " s"),
            Goal("failed", "sessions without a final report", 0, ""),
        ),
        "a real agent with many sessions",
    ),
)


def table(results: Mapping[str, Any]) -> str:
    """Return the rows that were measured as a table in Markdown."""
    lines = ["| | | goal | measured | |", "| --- | --- | --- | --- | --- |"]
    for row in ROWS:
        figures = results["rows"].get(row.name)
        if figures is None:
            continue
        words = row.words.format(**results["size"] | figures) if "error" not in figures else row.short or row.words
        for goal in row.goals:
            verdict = "met" if goal.met(figures) else "**missed**"
            lines.append(f"| {words} | {goal.words} | {goal.text()} | {goal.measured(figures)} | {verdict} |")
            words = ""
    return "\n".join(lines)
