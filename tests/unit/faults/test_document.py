"""docs/faults.md out of a run."""

from typing import Any

import document


def played(name: str, **changes: Any) -> dict[str, Any]:
    """A round as the JSON has it."""
    return {
        "planned": {"index": 0, "name": name},
        "seconds": 40.0,
        "calls_made": 2400,
        "calls_missing": 0,
        "told_seconds": 0.0,
        "gaps": [],
        "wrong": [],
        **changes,
    }


def test_each_kind_of_fault_has_a_row_with_its_sums() -> None:
    """Of all its rounds."""
    killed = [played("agent killed", calls_missing=n, told_seconds=1.25, gaps=["AgentRestarted"]) for n in (10, 1200)]
    page = document.render({"seed": 7, "rounds": [*killed, played("nothing")]}, "")

    assert "| agent killed | 2 | 4,800 | 1,210 | 2.5 | AgentRestarted in 2 |  |\n" in page
    assert "| nothing | 1 | 2,400 | 0 | 0.0 |  |  |\n" in page
    assert "Seed 7, 3 rounds, 2 minutes; everything held in all of them." in page


def test_what_did_not_hold_stands_there() -> None:
    """Each line, with its round; and in the sentence before the table."""
    page = document.render({"seed": 7, "rounds": [played("etcd full", wrong=["s: not finished"])]}, "")

    assert "in 1 of them something did not hold" in page
    assert "- round 0, etcd full: s: not finished\n" in page


def test_what_people_wrote_stays_behind() -> None:
    """The notes follow the tables."""
    assert document.render({"seed": 7, "rounds": [played("nothing")]}, document.NOTES).endswith(document.NOTES)
