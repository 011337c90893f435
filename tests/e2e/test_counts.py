"""The main job: two pods on two nodes, exact numbers, and nothing of the neighbour."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from kubectl import Document, Namespace, fresh_namespace
from workloads import NODES, calls_pod, report, signal

CALLS = ("getppid=20000", "openat-enoent=300", "read1=5000", "read-ebadf=70", "mkdir-eexist=40", "nanosleep-ms=10x20")


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    """One namespace for all tests here: they look at one session from several sides."""
    with fresh_namespace("exact-counts") as made:
        yield made


@pytest.fixture(scope="module")
def counted(namespace: Namespace) -> tuple[Document, list[Document]]:
    """The status of a finished session over two pods, and what the pods say they did."""
    namespace.apply(
        calls_pod("shop-1", NODES[0], "shop", *CALLS),
        calls_pod("shop-2", NODES[1], "shop", *CALLS),
        calls_pod("neighbour", NODES[0], "other", *CALLS),
    )
    namespace.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
    session = namespace.session("counts", {"selector": {"matchLabels": {"app": "shop"}}}, durationSeconds=8)
    session.tracing()
    for name in ("shop-1", "shop-2", "neighbour"):
        signal(namespace, name, "SIGUSR1")
    reports = [report(namespace, name) for name in ("shop-1", "shop-2")]
    report(namespace, "neighbour")
    return session.finished(), reports


def test_counts_are_exact(counted: tuple[Document, list[Document]], namespace: Namespace) -> None:
    """Calls and errors equal what the program counted, summed over two nodes and for each container."""
    status, reports = counted
    made: dict[str, int] = {}
    failed: dict[tuple[str, str], int] = {}
    for each in reports:
        for name, count in each["calls"].items():
            made[name] = made.get(name, 0) + count
        for name, errors in each["errors"].items():
            for errno, count in errors.items():
                failed[name, errno] = failed.get((name, errno), 0) + count
    calls: Counter[str] = Counter()
    for row in status["summary"]["syscalls"]:  # those calls that waited stand apart
        calls[row["name"]] += row["calls"]
    errors = {(row["syscall"], row["errno"]): row["count"] for row in status["summary"]["errorCounts"]}

    assert {name: calls[name] for name in made} == made
    assert {key: errors.get(key) for key in failed} == failed
    assert "getppid" not in {row["syscall"] for row in status["summary"]["errorCounts"]}
    assert {row["pod"]: row["node"] for row in status["containers"]} == {"shop-1": NODES[0], "shop-2": NODES[1]}
    first, second = status["containers"]
    assert first["calls"] + second["calls"] == status["summary"]["calls"]
    assert first["calls"] == second["calls"]
    assert {row["pid"] for row in status["containers"]} == {1}
    assert all(row["hostPid"] > 1 for row in status["containers"])


def test_the_session_says_that_it_is_complete(counted: tuple[Document, list[Document]]) -> None:
    """Conditions, phase and trust of a session in which nothing went wrong."""
    status, _ = counted
    conditions = {entry["type"]: (entry["status"], entry["reason"]) for entry in status["conditions"]}

    assert status["phase"] == "Succeeded"
    assert conditions["Succeeded"] == ("True", "Completed")
    assert conditions["Finished"] == ("True", "Completed")
    assert conditions["DataComplete"][0] == "True"
    assert status["trust"]["complete"] is True
    assert status["trust"]["lostCalls"] == 0
    assert status["truncated"] is False
    assert status["observedGeneration"] == 1


def test_the_table_is_a_readable_answer(counted: tuple[Document, list[Document]], namespace: Namespace) -> None:
    """One kubectl command prints strace -c's columns and more; the sleep of 10 ms stands among the waits."""
    table = namespace.kubectl("get", "tsess", "counts", "-o", "jsonpath={.status.table}")
    print(table)

    assert re.search(r"% time +seconds +usecs/call +calls +errors( +bytes)? +p50 +p99 +max +syscall", table)
    assert re.search(r"40000 +\S+ +\S+ +\S+ +getppid", table)
    assert re.search(r" 40 +1\d\.\dms +\S+ +\S+ +nanosleep", table)
