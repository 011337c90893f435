"""What threads counted: added up over containers, as a document and as text."""

from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.views.counters import Part, ThreadCounters
from kubestrace_operator.views.view import ContainerResult
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.counters_pb2 import CountersResult

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

    assert [(sums["minorFaults"], sums["majorFaults"], sums["migrations"]) for sums in whole.values()] == [
        (6, 0, 2),
        (0, 4, 0),
    ]
    assert next(iter(one.values()))["minorFaults"] == 3
    assert VIEW.add([]) == {}
