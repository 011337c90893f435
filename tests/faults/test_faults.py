"""A few faults by a fixed seed: what must hold after each is in invariants.py. All of them: tests/faults/run."""

from collections.abc import Mapping

import pytest
import rounds
import schedule
from faults import BY_NAME
from invariants import NodeLeft
from schedule import Planned

# Those that are over in seconds, one for each part that can be lost.
_NAMES = ("agent killed", "operator deleted", "node partitioned", "agent out of files")
_SEED = 11
_PLANNED = schedule.plan(_SEED, len(_NAMES), [BY_NAME[name].bounds for name in _NAMES])


@pytest.fixture(scope="module")
def at_first() -> Mapping[str, NodeLeft]:
    """What the agents hold before; without any fault everything holds."""
    return rounds.at_first()


@pytest.mark.parametrize("planned", _PLANNED, ids=[each.name for each in _PLANNED])
def test_what_holds_after(planned: Planned, at_first: Mapping[str, NodeLeft]) -> None:
    """Sessions end by themselves, counts are true, gaps are told, nothing is left."""
    outcome = rounds.play(planned, at_first)
    print(outcome)

    assert outcome.wrong == []
