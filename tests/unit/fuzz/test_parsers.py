"""A few examples of each fuzzer, always the same; tests/fuzz/run tries others for as long as one likes."""

import agent_targets
import operator_targets
import pytest
from fuzzing import Target, run

TARGETS = (*agent_targets.TARGETS, *operator_targets.TARGETS)
_EXAMPLES = 40


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_breaks_a_parser(target: Target) -> None:
    """It is understood, or refused as the parser promises, and never takes long."""
    run(target, _EXAMPLES)
