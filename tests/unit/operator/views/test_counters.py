"""What threads counted: added up over containers, as a document and as text."""

import pytest

from kubestrace_operator.api.spec import InvalidSpecError, parse
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.views.counters import Part, ThreadCounters
from kubestrace_operator.views.view import ContainerResult
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.counters_pb2 import CountersResult, HardwareCounter

VIEW = ThreadCounters()


def merged(*results: CountersResult) -> Part:
    """Return what a report of as many containers comes to."""
    return VIEW.merge(
        ContainerResult(ContainerKey("n1", "pod", "app", f"c{number}"), agent_pb2.Container(), each)
        for number, each in enumerate(results)
    )


def test_each_container_has_its_sums() -> None:
    """And agents that served one, one after the other, are added; the parts stay as they are."""
    one = merged(CountersResult(minor_faults=3, migrations=1), CountersResult(major_faults=2))

    whole = VIEW.add([one, one])

    sums = [each.sums for each in whole.values()]
    assert [(each["minorFaults"], each["majorFaults"], each["migrations"]) for each in sums] == [(6, 0, 2), (0, 4, 0)]
    assert next(iter(one.values())).sums["minorFaults"] == 3
    assert VIEW.add([]) == {}


def test_hardware_events_are_added_and_what_is_not_there_has_its_reason() -> None:
    """And no zeros beside it."""
    counted = HardwareCounter(name="cycles", count=10, enabled_nanoseconds=8, running_nanoseconds=4)
    missing = HardwareCounter(name="cache-misses", unavailable="no such counter")
    (whole,) = VIEW.add([merged(CountersResult(hardware=[counted, missing]))] * 2).values()

    assert whole.document()["hardware"] == [
        {"name": "cycles", "count": 20, "enabledNanoseconds": 16, "runningNanoseconds": 8},
        {"name": "cache-misses", "unavailable": "no such counter"},
    ]


def test_an_event_that_is_not_known_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(InvalidSpecError, match=r"events has cycle; there are cycles, instructions"):
        parse({"target": {"podName": "a"}, "views": {"counters": {"events": ["cycle"]}}})
