"""What a session sees of a slot's threads: the difference of two readings."""

from view_messages import counters

from kubestrace_agent.views.counters.collector import ThreadCounters
from kubestrace_agent.views.counters.values import ThreadSums
from kubestrace_protos.v1 import agent_pb2


def test_what_was_counted_before_is_not_the_sessions() -> None:
    """Nor what was lost before; a thread that has left with its counts takes nothing away."""
    collector = ThreadCounters()
    collector.begin(0, 4)
    collector.take(ThreadSums(10, 1, 5, 2, 3, 100, 1000), 4, 0)
    collector.take(ThreadSums(17, 1, 9, 1, 3, 150, 4000), 6, 0)
    report = agent_pb2.ContainerReport()

    collector.write(report)

    told = counters(report)
    assert (told.minor_faults, told.major_faults, told.voluntary_switches) == (7, 0, 4)
    assert (told.involuntary_switches, told.run_queue_nanoseconds, told.cpu_nanoseconds) == (0, 50, 3000)
    assert report.trust.losses["counters"] == 2


def test_without_a_reading_nothing_is_reported() -> None:
    """No zeros, as nothing was counted."""
    report = agent_pb2.ContainerReport()
    ThreadCounters().write(report)

    assert not report.views
