"""Stacks of slow calls: where in the kernel they waited, which functions made them, and nothing when nobody asks."""

import time

import pytest
from engine_runs import Cgroup, Run, Runs

from kubestrace_agent.symbols.names import Names
from kubestrace_agent.symbols.naming import Naming
from kubestrace_agent.views.slow_calls.collector import Slowest
from kubestrace_agent.views.slow_calls.values import Floors
from kubestrace_protos.v1.views import slow_calls_pb2

MS = 1_000_000
PROGRAMS = {"on_stack_enter", "on_stack_switch", "on_slow_stack"}
# Names are sought in a thread: how often a report is made until it has them.
REPORTS = 100


def asking(runs: Runs, cgroup: Cgroup, threshold_ms: int = 10) -> int:
    """Trace a cgroup and ask for its slow calls with their stacks."""
    slot = runs.trace(cgroup)
    runs.tracer.enable("slow_calls", slot, Floors(threshold_ms * MS, threshold_ms * MS))
    runs.tracer.enable("slow_stacks", slot, True)
    return slot


def called(words: list[str]) -> list[str]:
    """The names of functions only."""
    return [word.partition("+")[0] for word in words]


def in_order(names: list[str], words: list[str]) -> bool:
    """Whether some functions stand in a stack, innermost first, with others between them."""
    rest = iter(called(words))
    return all(name in rest for name in names)


def told(runs: Runs, slot: int, name: str, threshold_ms: int = 10) -> slow_calls_pb2.SlowCall:
    """The slowest call of a name, with the names of its functions."""
    slowest = Slowest(threshold_ms * MS, 50, None, Names(Naming()))
    slowest.take(runs.tracer.read("slow_calls").get(slot, []), 0, 0)
    for _ in range(REPORTS):
        calls = [call for call in slowest.calls() if call.name == name]
        assert calls
        if any("+0x" in word and "build id" not in word for word in calls[0].user_stack):
            break
        time.sleep(0.05)
    return calls[0]


def order(run: Run, word: bytes) -> None:
    """Have the program make a call."""
    run.say(word + b"\n")


@pytest.fixture
def sleeper(runs: Runs) -> tuple[Run, int]:
    """The program, whose slow calls are asked for with their stacks."""
    cgroup = runs.cgroup()
    slot = asking(runs, cgroup)
    return runs.start(cgroup, "stacks"), slot


def test_functions_of_a_sleep(runs: Runs, sleeper: tuple[Run, int]) -> None:
    """The program's own functions from the inside out, and the kernel's sleep without the scheduler."""
    run, slot = sleeper

    order(run, b"sleep")
    call = told(runs, slot, "clock_nanosleep")

    assert in_order(["innermost", "middle", "outermost", "main"], list(call.user_stack)), call.user_stack
    assert "hrtimer_nanosleep" in call.kernel_stack
    assert not {"schedule", "__schedule", "do_syscall_64"} & set(call.kernel_stack)
    assert runs.tracer.lost("slow_stacks", slot) == 0


def test_where_a_call_waited(runs: Runs, sleeper: tuple[Run, int]) -> None:
    """A read of a pipe says so, below the function that made it."""
    run, slot = sleeper

    order(run, b"pipe")
    call = told(runs, slot, "read")

    assert any("pipe_read" in name for name in call.kernel_stack), call.kernel_stack
    assert in_order(["wait_for_input", "wait_for_child", "main"], list(call.user_stack)), call.user_stack


def test_a_call_that_never_slept_says_so(runs: Runs, sleeper: tuple[Run, int]) -> None:
    """What waited for a processor only was not waiting in the kernel."""
    run, slot = sleeper

    order(run, b"work")
    call = told(runs, slot, "read")

    assert list(call.kernel_stack) == ["[did not sleep]"]
    assert in_order(["work", "main"], list(call.user_stack)), call.user_stack


def test_a_call_under_way_when_asked_has_no_stack(runs: Runs) -> None:
    """Its sleep began before anybody looked: that is said and counted."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    run = runs.start(cgroup, "stacks")
    order(run, b"sleep")
    time.sleep(0.05)
    runs.tracer.enable("slow_calls", slot, Floors(10 * MS, 10 * MS))
    runs.tracer.enable("slow_stacks", slot, True)

    order(run, b"sleep")
    waited, *_ = [call for call in runs.tracer.read("slow_calls")[slot] if call.stack]

    assert waited.stack is not None
    assert waited.stack.kernel is None
    assert runs.tracer.lost("slow_stacks", slot) == 1


def test_the_programs_run_only_while_asked_for(runs: Runs) -> None:
    """And a slot that has not asked is told no stacks although another one has."""
    asked, silent = runs.cgroup(), runs.cgroup()
    slot = asking(runs, asked)
    other = runs.trace(silent)
    runs.tracer.enable("slow_calls", other, Floors(10 * MS, 10 * MS))
    assert runs.tracer.active >= PROGRAMS

    runs.start_shell(silent, "sleep 0.05").finish()
    calls = runs.tracer.read("slow_calls")[other]
    runs.tracer.enable("slow_stacks", slot, None)

    assert calls
    assert not any(call.stack for call in calls)
    assert not runs.tracer.active & PROGRAMS
    assert "on_slow_exit" in runs.tracer.active


def test_a_stripped_program_has_offsets_and_its_build_id(runs: Runs) -> None:
    """Which say to whoever has the symbols what they are; the frames are all there."""
    cgroup = runs.cgroup()
    slot = asking(runs, cgroup)
    run = runs.start(cgroup, "stripped")

    order(run, b"sleep")
    call = told(runs, slot, "clock_nanosleep")
    own = [word for word in call.user_stack if word.startswith("stripped+0x")]

    # innermost, middle, outermost, main, and the start.
    assert len(own) >= 4, call.user_stack
    assert all(word.endswith(" (build id 0123456789abcdef0123456789abcdef01234567)") for word in own)


def test_code_that_a_program_has_compiled_is_named_by_its_perf_map(runs: Runs) -> None:
    """As it calls it, made safe to print."""
    cgroup = runs.cgroup()
    slot = asking(runs, cgroup)
    run = runs.start(cgroup, "compiles")

    order(run, b"call")
    call = told(runs, slot, "clock_nanosleep")

    assert in_order(["js:f\\x1b[2J", "main"], list(call.user_stack)), call.user_stack


def test_a_program_without_frame_pointers_has_all_its_frames(runs: Runs) -> None:
    """As Python, which distributions build so: up to where it began."""
    cgroup = runs.cgroup()
    slot = asking(runs, cgroup)
    script = "import time, sys\nfor line in sys.stdin: time.sleep(.03); print(flush=True)"
    runs.running.append(Run(cgroup, "/usr/bin/python3", "-c", script))

    order(runs.running[-1], b"sleep")
    call = told(runs, slot, "clock_nanosleep")

    assert call.user_stack[0].startswith("clock_nanosleep+"), call.user_stack
    assert in_order(["Py_BytesMain", "__libc_start_main"], list(call.user_stack)), call.user_stack
