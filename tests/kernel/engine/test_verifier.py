"""The programs' sizes are committed, so that a growth shows in review."""

import platform

import pytest
from engine_runs import SMALL
from verifier_figures import Figures, machine_code, of_this_kernel, recorded

from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.loader.sources import sources

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


# add r9, gs:[...]: what a program on x86-64 begins with whose stack is in memory of the CPU (Linux 6.13 and later).
STACK_OF_THE_CPU = bytes.fromhex("654c030c25")


def test_what_is_tail_called_has_the_stack_of_its_task() -> None:
    """Where it is preempted, another task's call would write into the same one: kernel/bpf/chain.bpf.c."""
    called = {name for source in sources() for name in (*source.chain, *source.tails)}
    loaded = Programs.load(SMALL)
    try:
        codes = {name: machine_code(loaded.fds[name]) for name in called & loaded.fds.keys()}
    finally:
        loaded.close()

    assert "on_cpu_exit" in codes
    if platform.machine() == "x86_64":
        assert not [name for name, code in codes.items() if STACK_OF_THE_CPU in code[:64]]
