"""The scale table says what was measured beside what was wanted, and nothing better."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scale"))

import goals
from goals import Goal


def test_goals_are_bounds() -> None:
    """From above or from below; a figure that could not be measured misses its goal."""
    most, least = Goal("seconds", "end", 3, " s"), Goal("changes", "changes", 100, "", at_least=True)

    assert most.met({"seconds": 3.0})
    assert not most.met({"seconds": 3.01})
    assert least.met({"changes": 100})
    assert not least.met({"changes": 99})
    assert not most.met({"error": "sessions did not end"})
    assert not most.met({"seconds": None})


def test_a_row_that_failed_is_in_the_table() -> None:
    """With each of its goals as missed; a row that was not measured is not there."""
    results = {"size": {"agents": 5, "pods": 50, "sessions": 10}, "rows": {"idle": {"error": "away"}}}
    results["rows"]["writes"] = {"writes": 8}

    lines = goals.table(results).splitlines()[2:]

    assert lines == [
        "| one session of 30 s, with its Events | API writes | <= 8 | 8 | met |",
        "| operator beside finished sessions | operator's memory | <= 150 MiB | not reached | **missed** |",
    ]
