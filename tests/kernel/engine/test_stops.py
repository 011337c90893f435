"""The end of a slot: counters and views stand still at one moment, whatever is in flight."""

import time

from engine_runs import Runs, threads_calls

from kubestrace_agent.syscalls import parse_patterns
from kubestrace_agent.traces.delta import difference
from kubestrace_agent.views.processes.values import Wants


def test_counters_and_views_have_the_same_calls_after_a_stop(runs: Runs) -> None:
    """Hundreds of threads return from their calls while one after the other is read: in all, or in none."""
    cgroup = runs.cgroup()
    slot = runs.tracer.reserve_container(cgroup.path, wanted=None)
    runs.slots.append(slot)
    runs.tracer.enable("processes", slot, Wants())
    runs.tracer.begin(slot)
    run = runs.start(cgroup, "noisy", "200")
    while runs.calls(slot) < 2000:
        time.sleep(0.01)

    runs.tracer.stop([slot])
    stopped = runs.snapshot(slot)
    time.sleep(0.05)  # every call has returned by now
    told = threads_calls(runs.tracer.read("processes")[slot])
    later = runs.snapshot(slot)
    lost = runs.tracer.lost("processes", slot)
    run.end()

    counted = difference(None, stopped, wanted=None, architecture="x86_64").syscalls
    assert sum(each.calls for each in counted) == told + lost
    assert later.rows == stopped.rows


def test_a_slot_that_was_stopped_can_go_on(runs: Runs) -> None:
    """Another session may come before it is removed."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    runs.start(cgroup, "plain").finish()
    runs.tracer.stop([slot])
    before = runs.calls(slot)
    runs.start(cgroup, "plain").finish()
    assert runs.calls(slot) == before

    runs.tracer.set_wanted(slot, parse_patterns(["flock"], "x86_64").keys())
    runs.start(cgroup, "plain").finish()

    assert runs.calls(slot) > before
