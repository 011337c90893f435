"""The programs' sizes are committed, so that a growth shows in review."""

import pytest
from verifier_figures import Figures, of_this_kernel, recorded

# Beyond the largest recorded one, for a kernel or compiler that is not among them.
TOLERANCE = 1.25


@pytest.fixture(scope="module")
def figures() -> Figures:
    """Load the programs once more and ask the kernel."""
    return of_this_kernel()


def test_sizes_are_those_recorded(figures: Figures) -> None:
    """The very numbers on a recorded kernel, at most a quarter more on others (tests/kernel/matrix/run --record)."""
    same = [
        each["programs"]
        for each in recorded().values()
        if (each["release"], each["compiler"]) == (figures["release"], figures["compiler"])
    ]
    if same:
        assert figures["programs"] == same[0], "if this is meant: tests/kernel/matrix/run --record"

    for name, sizes in figures["programs"].items():
        known = [each["programs"][name] for each in recorded().values() if name in each["programs"]]
        largest = [max(numbers) for numbers in zip(*known, strict=True)]
        assert all(ours <= TOLERANCE * most for ours, most in zip(sizes, largest, strict=True)), name


def test_programs_stay_far_from_the_verifiers_limit(figures: Figures) -> None:
    """A kernel walks through a million instructions at most; a tenth leaves room for the kernels to come."""
    assert {"on_sys_enter", "on_sys_exit"} <= set(figures["programs"])

    assert all(verified < 100_000 for verified, _ in figures["programs"].values())
