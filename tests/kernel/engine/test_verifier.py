"""The programs stay small enough for the verifiers of all kernels, and no change makes them much larger unseen."""

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_runs import SMALL
from program_sizes import Sizes, machine_code, sizes_of

from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.views import loading
from kubestrace_agent.views.registry import all_sources

# Bounds on the instructions that a verifier walks through (a kernel allows a million) and on the bytes of the program
# after it: a third more than the largest of Linux 6.1 to 7.3 by LLVM 14. A new program has the first bound.
BOUND = Sizes(verified_instructions=5_000, translated_bytes=16_384)
LARGER = {
    "on_sys_exit": Sizes(95_000, 34_816),
    "on_sys_exit_again": Sizes(95_000, 34_816),
    "bpf_iter__task": Sizes(250_000, 32_768),
    "walk_clocks": Sizes(8_000, 16_384),
    "on_slow_exit": Sizes(100_000, 36_864),
    "on_error": Sizes(190_000, 45_056),
    "on_found": Sizes(45_000, 16_384),
    "on_block_complete": Sizes(20_000, 16_384),
    "on_ring_complete": Sizes(10_000, 16_384),
    "on_lock_call": Sizes(10_500, 16_384),
    "on_process_call": Sizes(10_000, 45_056),
    "on_process_end": Sizes(12_000, 61_440),
    "on_block_issue": Sizes(15_000, 16_384),
    "on_sock_state": Sizes(40_000, 20_480),
    "on_dns_message": Sizes(80_000, 24_576),
    "on_dns_answer": Sizes(20_000, 16_384),
    "on_net_call": Sizes(40_000, 24_576),
    "on_cgroup_mkdir": Sizes(35_000, 16_384),
    "on_file_call": Sizes(70_000, 16_384),
    "on_file_side": Sizes(70_000, 16_384),
    "on_file_name": Sizes(49_000, 16_384),
    "on_security_call": Sizes(60_000, 36_864),
    "on_security_side": Sizes(60_000, 36_864),
    "on_security_exec": Sizes(75_000, 22_528),
}


@pytest.fixture(scope="module")
def loaded() -> Iterator[Programs]:
    """Load the programs once more, with small tables."""
    programs = Programs.load(SMALL, all_sources(), loading.PROBE)
    yield programs
    programs.close()


def test_no_program_exceeds_its_bound(loaded: Programs) -> None:
    """Also where views are left out by this kernel; tests/kernel/matrix/run shows which and why."""
    if file := os.environ.get("KUBESTRACE_PROBLEMS"):
        Path(file).write_text(json.dumps(loaded.problems), encoding="utf-8")
    sizes = {name: sizes_of(fd) for name, fd in loaded.fds.items()}

    assert {"on_sys_enter", "on_sys_exit"} <= sizes.keys()
    assert {
        name: found
        for name, found in sizes.items()
        if any(size > bound for size, bound in zip(found, LARGER.get(name, BOUND), strict=True))
    } == {}


# add r9, gs:[...]: what a program on x86-64 begins with whose stack is in memory of the CPU (Linux 6.13 and later).
STACK_OF_THE_CPU = bytes.fromhex("654c030c25")


def test_what_is_tail_called_has_the_stack_of_its_task(loaded: Programs) -> None:
    """Where it is preempted, another task's call would write into the same one: kernel/bpf/chain.bpf.c."""
    called = {name for source in all_sources() for name in (*source.chain, *source.tails)}
    codes = {name: machine_code(loaded.fds[name]) for name in called & loaded.fds.keys()}

    assert "on_cpu_exit" in codes
    if platform.machine() == "x86_64":
        assert not [name for name, code in codes.items() if STACK_OF_THE_CPU in code[:64]]
