"""What the kernel counts anyway: added up over containers, as a document and as text."""

import pytest

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.rows import ContainerKey, ContainerRow
from kubestrace_operator.views.pod_network import losses
from kubestrace_operator.views.registry import requests
from kubestrace_operator.views.resources import MAX_UNAVAILABLE, Part, Resources, pods, summed
from kubestrace_operator.views.resources_by_bucket import bars, total
from kubestrace_operator.views.resources_text import Row, lines
from kubestrace_operator.views.timeline import Timeline
from kubestrace_operator.views.view import ContainerResult, Span
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.resources_pb2 import (
    PodNetwork,
    ResourcesBuckets,
    ResourcesRequest,
    ResourcesResult,
    ResourcesSeries,
)

VIEW = Resources()
MS = 1_000_000


def result(usage_ns: int = 5 * MS, **unavailable: str) -> ResourcesResult:
    """Return what an agent reports of a container."""
    grown = {"cpu.usageNanoseconds": usage_ns, "cpu.periods": 10, "pressure.ioSomeNanoseconds": 3}
    return ResourcesResult(
        grown=grown, levels={"memory.currentBytes": 7}, unavailable=unavailable, covered_nanoseconds=9 * MS
    )


def merged(*results: ResourcesResult) -> Part:
    """Return what a report of as many containers comes to."""
    return VIEW.merge(
        ContainerResult(ContainerKey("n1", "pod", "app", f"c{number}"), agent_pb2.Container(), each)
        for number, each in enumerate(results)
    )


def test_containers_are_added_and_levels_and_pressure_are_not() -> None:
    """Two containers that waited at once have not waited twice as long."""
    document = summed(merged(result(), result(2 * MS)).values())

    assert document == {"cpu": {"usageNanoseconds": 7 * MS, "periods": 20}, "unavailable": []}


def of_pod(count: int, pod: str, container: str, life: str = "1") -> ContainerRow:
    """Return a container of a pod; its agent says that `count` attempts failed since it began."""
    state = agent_pb2.ContainerState(
        container=agent_pb2.Container(pod_uid=pod, pod_name=pod, container_name=container, container_id=life)
    )
    return ContainerRow(state, "n1")


def test_the_network_of_a_pod_is_told_once() -> None:
    """Its containers share it: that which was there longest has the most. Lives of one container follow each other."""
    counts = {("a", "app", "1"): 4, ("a", "app", "2"): 2, ("a", "log", "3"): 5, ("b", "app", "4"): 1}
    rows = [of_pod(count, *which) for which, count in counts.items()]
    part = VIEW.merge(
        ContainerResult(
            row.key,
            row.state.container,
            ResourcesResult(pod_network=PodNetwork(counters={"Tcp.AttemptFails": count}, levels={"TCP.tw": count})),
        )
        for row, count in zip(rows, counts.values(), strict=True)
    )

    first, second = pods(part, rows)

    assert (first["pod"], first["failedAttempts"], first["timeWait"]) == ("a", 6, 5)
    assert (second["pod"], second["failedAttempts"], second["nodeNetwork"]) == ("b", 1, False)
    assert "listenDrops" not in first


def test_what_a_pod_lost_is_told_in_words() -> None:
    """And where the numbers are those of the whole node, that is told, too."""
    row = {"pod": "a", "nodeNetwork": False, "udpReceiveBufferErrors": 3, "listenOverflows": 0}

    (own,) = losses([row])
    (node,) = losses([{**row, "nodeNetwork": True}])

    assert own == "pod a: 3 datagrams dropped as a socket's buffer was full"
    assert node.startswith("pod a (in the node's network): 3")


def test_agents_that_served_a_container_one_after_the_other_are_added() -> None:
    """What was added adds up; levels are the later ones; the parts stay as they are."""
    one, other = merged(result()), merged(result(MS))

    whole = VIEW.add([one, other])

    (numbers,) = whole.values()
    assert numbers.grown["cpu.usageNanoseconds"] == 6 * MS
    assert (numbers.levels["memory.currentBytes"], numbers.covered_ns) == (7, 18 * MS)
    assert one == merged(result())


def test_what_is_not_there_is_told_once_for_all_containers() -> None:
    """With the number of them, and never as 0."""
    document = summed(merged(result(memory="off"), result(memory="off"), result(memory="gone")).values())

    assert document["unavailable"] == [
        {"name": "memory", "reason": "gone", "containers": 1},
        {"name": "memory", "reason": "off", "containers": 2},
    ]
    assert "memory" not in document
    many = summed(merged(*(result(memory=f"reason {number}") for number in range(50))).values())
    assert len(many["unavailable"]) == MAX_UNAVAILABLE


def test_the_text_has_the_worst_first_in_units_that_people_read() -> None:
    """A line for each container; `?` is what could not be read, and no limit is none."""
    limited = {
        "cpu": {
            "usageNanoseconds": 3000 * MS, "periods": 100, "throttledPeriods": 98,
            "throttledNanoseconds": 6900 * MS, "limitMillicores": 300,
        },
        "memory": {"currentBytes": 1 << 25, "peakBytes": 1 << 26, "limitBytes": 1 << 27, "oomKills": 0},
        "pressure": {f"{name}SomeNanoseconds": MS for name in ("cpu", "memory", "io")},
    }  # fmt: skip
    unlimited = {
        "cpu": {"usageNanoseconds": MS},
        "unavailable": [{"name": "memory", "reason": "off"}],
        "endedUnread": True,
    }
    rows = [Row("b", "app", 2, {"resources": unlimited}), Row("a", "app", 0, {"resources": limited})]

    head, first, second = lines(rows)

    assert head.index("container") == first.index("a/app") == second.index("b/app")
    # So that the names of a Deployment's pods have room on a page.
    assert head.index("container") <= 80
    assert first.split() == [
        *("3.0s", "300m", "6.9s,", "98%", "32.0MiB", "128.0MiB", "64.0MiB", "0", "1.0ms/1.0ms/1.0ms", "a/app")
    ]
    assert second.split()[:8] == ["1.0ms", "none", "?", "?", "?", "?", "?", "?/?/?"]
    assert second.endswith("b/app (restart 2) [its end was not read]")


@pytest.mark.parametrize("row", [{}, {"resources": {"unavailable": [{"name": "cpu", "reason": "shared"}]}}])
def test_nothing_is_shown_where_nothing_could_be_read(row: dict[str, object]) -> None:
    """Of a process that is traced alone; its document has the reasons."""
    assert list(lines([Row("", "sleep", 0, row)])) == []


def test_of_many_containers_the_worst_are_shown() -> None:
    """With the number of the others."""
    rows = [Row(f"p{number}", "app", 0, {"resources": {"cpu": {"usageNanoseconds": number}}}) for number in range(13)]

    head, *shown, rest = lines(rows)

    assert head.endswith("container")
    assert shown[0].endswith("p12/app")
    assert (len(shown), rest) == (10, "and 3 more in status.containers")


def timed(usage: list[int], bytes_: list[int], waits: list[int]) -> ResourcesResult:
    """Return what an agent reports by bucket, from bucket 1 on."""
    values = {"cpu.usageNanoseconds": usage, "memory.currentBytes": bytes_, "pressure.ioSomeNanoseconds": waits}
    series = {name: ResourcesSeries(values=each) for name, each in values.items()}
    buckets = ResourcesBuckets(buckets=range(1, 1 + len(usage)), series=series)
    return ResourcesResult(by_bucket=buckets)


def test_numbers_by_bucket_are_added_over_containers_but_for_waits() -> None:
    """As for all the time: two that wait at once do not wait twice as long. What no bucket has is 0."""
    part = merged(timed([1, 2], [10, 20], [5, 0]), timed([4], [7], [6]))

    whole = total(each.by_bucket for each in part.values() if each.by_bucket)

    assert whole.columns(4) == {
        "usageNanoseconds": [0, 5, 2, 0],
        "currentBytes": [0, 17, 20, 0],
        "ioSomeNanoseconds": [0, 6, 0, 0],
    }
    assert [(each.name, dict(each.values)) for each in bars(whole)] == [
        ("cpu", {1: 5, 2: 2}),
        ("memory", {1: 17, 2: 20}),
        ("disk", {1: 6, 2: 0}),
    ]


def test_a_line_of_zeros_is_not_in_the_chart() -> None:
    """But for CPU and memory, which each container has."""
    (part,) = merged(timed([0], [7], [0])).values()

    assert part.by_bucket
    assert [each.name for each in bars(part.by_bucket)] == ["cpu", "memory"]


def test_agents_one_after_the_other_fill_the_same_buckets() -> None:
    """What was added adds up, and the later level stays; the parts stay as they are."""
    one, other = merged(timed([1, 2], [10, 20], [5, 0])), merged(timed([4], [7], [6]))

    (numbers,) = VIEW.add([one, other]).values()

    assert numbers.by_bucket
    assert numbers.by_bucket.columns(3) == {
        "usageNanoseconds": [0, 5, 2],
        "currentBytes": [0, 7, 20],
        "ioSomeNanoseconds": [0, 11, 0],
    }
    assert one == merged(timed([1, 2], [10, 20], [5, 0]))


def test_agents_are_asked_for_buckets_where_the_session_has_them() -> None:
    """In the same that calls are counted in."""
    settings = {"timeline": Timeline().parse(Fields({"buckets": 7}, "views.timeline", ["buckets"]), 60)}
    asked, plain = ResourcesRequest(), ResourcesRequest(buckets=1)

    requests(settings, Span(60_000, 500))["resources"].Unpack(asked)
    requests({}, Span(60_000, 500))["resources"].Unpack(plain)

    assert asked == ResourcesRequest(buckets=7, duration_milliseconds=60_000, elapsed_milliseconds=500)
    assert plain == ResourcesRequest()
