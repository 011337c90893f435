"""All views at once in a cluster: they agree with the summary, and the agents' rights suffice for them."""

from collections.abc import Iterator

import pytest
from kubectl import Document, Namespace, fresh_namespace
from workloads import NODES, calls_pod, report, signal

CALLS = ("getppid=3000", "openat-enoent=50", "nanosleep-ms=20x20")
VIEWS = {
    "slowCalls": {"thresholdMilliseconds": 15, "limit": 10, "stacks": True},
    "cpuTime": {},
    "processes": {"top": 10},
    "errors": {"samples": 2},
    "timeline": {"buckets": 8},
}


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    """One namespace, one session: the tests look at it from several sides."""
    with fresh_namespace("all-views") as made:
        yield made


@pytest.fixture(scope="module")
def status(namespace: Namespace) -> Document:
    """The status of a finished session over two pods on two nodes."""
    namespace.apply(calls_pod("shop-1", NODES[0], "shop", *CALLS), calls_pod("shop-2", NODES[1], "shop", *CALLS))
    namespace.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
    target = {"selector": {"matchLabels": {"app": "shop"}}}
    session = namespace.session("all", target, durationSeconds=8, views=VIEWS)
    session.tracing()
    for name in ("shop-1", "shop-2"):
        signal(namespace, name, "SIGUSR1")
    for name in ("shop-1", "shop-2"):
        report(namespace, name)
    return session.finished()


def test_nothing_is_missing(status: Document) -> None:
    """Every view could be had on both nodes, and all that was told found room."""
    assert status["trust"]["gaps"] == []
    assert status["trust"]["complete"] is True
    assert status["truncated"] is False


def test_processes_add_up_to_the_summary(status: Document) -> None:
    """Each pod's one process made all its calls; it is PID 1 where it runs."""
    processes = status["processes"]

    assert {(each["pod"], each["pid"]) for each in processes} == {("shop-1", 1), ("shop-2", 1)}
    assert sum(each["calls"] for each in processes) == status["summary"]["calls"]
    assert sum(each["errors"] for each in processes) == status["summary"]["errors"]


def test_errors_say_when_and_which_file(status: Document) -> None:
    """Of both nodes together: how often, within the session, and some of the paths."""
    (row,) = [each for each in status["summary"]["errorCounts"] if each["syscall"] == "openat"]

    assert (row["errno"], row["count"]) == ("ENOENT", 2 * 50)
    assert status["startTime"] <= row["firstTime"] <= row["lastTime"] <= status["completionTime"]
    assert 1 <= len(row["samples"]) <= 2
    assert all("/" in sample["arguments"] and sample["pid"] == 1 for sample in row["samples"])


def test_the_time_of_all_threads_is_accounted_for(status: Document) -> None:
    """The parts of the budget are the threads' lifetimes, and a sleeper waited for most of them."""
    budget = status["timeBudget"]
    parts = [value for name, value in budget.items() if name.endswith("Nanoseconds") and name != "threadNanoseconds"]

    assert sum(parts) == pytest.approx(budget["threadNanoseconds"], rel=0.01)
    assert 2 * 7e9 < budget["threadNanoseconds"] < 2 * 10e9
    assert budget["waitingNanoseconds"] > 0.9 * budget["threadNanoseconds"]
    assert {"nanosleep", "clock_nanosleep"} & {each["syscall"] for each in budget["waiting"]}


def test_slow_calls_say_where_they_waited(status: Document) -> None:
    """In the kernel and in the program, by name, on both nodes."""
    sleeps = [each for each in status["slowCalls"] if each["syscall"].endswith("nanosleep")]

    assert {each["node"] for each in sleeps} == set(NODES)
    assert all(any("nanosleep" in frame for frame in each["kernelStack"]) for each in sleeps)
    assert all(each["userStack"] for each in sleeps)
    assert all(each["cpuNanoseconds"] < each["nanoseconds"] / 10 for each in sleeps)


def test_the_timeline_has_every_call(status: Document) -> None:
    """Its buckets add up to the summary."""
    assert sum(status["timeline"]["calls"]) == status["summary"]["calls"]
