"""The view of slow calls in a cluster: which calls, of which pod, with which numbers."""

from datetime import datetime

from kubectl import fresh_namespace
from workloads import NODES, calls_pod, report, signal

SLEEPS = ("getppid=1000", "nanosleep-ms=20x20")


def test_the_slowest_calls_of_two_pods_are_listed() -> None:
    """As many as asked for, of both nodes, each with its time, PIDs, length and place."""
    with fresh_namespace("slow-calls") as namespace:
        namespace.apply(calls_pod("shop-1", NODES[0], "shop", *SLEEPS), calls_pod("shop-2", NODES[1], "shop", *SLEEPS))
        namespace.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
        view = {"slowCalls": {"thresholdMilliseconds": 15, "limit": 15}}
        target = {"selector": {"matchLabels": {"app": "shop"}}}
        session = namespace.session("slow", target, durationSeconds=8, views=view)
        session.tracing()
        for name in ("shop-1", "shop-2"):
            signal(namespace, name, "SIGUSR1")
        for name in ("shop-1", "shop-2"):
            report(namespace, name)
        status = session.finished()

    slow = [row for row in status["slowCalls"] if row["syscall"] in {"nanosleep", "clock_nanosleep"}]
    lengths = [row["nanoseconds"] for row in slow]
    began, ended = (datetime.fromisoformat(status[name]) for name in ("startTime", "completionTime"))
    assert len(status["slowCalls"]) <= 15
    assert len(slow) > 10
    assert lengths == sorted(lengths, reverse=True)
    assert min(lengths) >= 20_000_000
    assert {(row["pod"], row["node"], row["container"]) for row in slow} == {
        ("shop-1", NODES[0], "app"),
        ("shop-2", NODES[1], "app"),
    }
    assert {(row["pid"], row["tid"]) for row in slow} == {(1, 1)}
    assert all(row["hostPid"] > 1 and row["wait"] for row in slow)
    assert all(began <= datetime.fromisoformat(row["time"]) <= ended for row in slow)
    assert status["trust"]["losses"]["slowCalls"] == 0
    assert status["trust"]["complete"]
