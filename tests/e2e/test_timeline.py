"""The view timeline: when the calls were, over two nodes."""

import time
from datetime import datetime

from kubectl import Namespace
from workloads import NODES, calls_pod, report, signal

CALLS = ("getppid=20000", "openat-enoent=300")


def test_two_bursts_on_two_nodes_are_where_they_were(namespace: Namespace) -> None:
    """Each pod's burst is in the buckets of its time; all buckets together are the summary, call by call."""
    pods = dict(zip(("early", "late"), NODES, strict=True))
    namespace.apply(*(calls_pod(name, node, "shop", *CALLS) for name, node in pods.items()))
    namespace.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
    session = namespace.session(
        "when",
        {"selector": {"matchLabels": {"app": "shop"}}},
        durationSeconds=12,
        syscalls=["getppid", "openat"],
        views={"timeline": {"buckets": 24}},
    )
    session.tracing()
    spans = {}
    for name in pods:
        time.sleep(2)
        begin = time.time()
        signal(namespace, name, "SIGUSR1")
        report(namespace, name)
        spans[name] = (begin, time.time())
    status = session.finished()
    timeline = status["timeline"]
    start = datetime.fromisoformat(timeline["startTime"]).timestamp()

    assert timeline["bucketNanoseconds"] == 500_000_000
    assert len(timeline["calls"]) == 24
    assert sum(timeline["calls"]) == status["summary"]["calls"] == 2 * 20_300
    assert sum(timeline["errors"]) == status["summary"]["errors"] == 600
    assert sum(timeline["totalNanoseconds"]) == status["summary"]["totalNanoseconds"]
    rows = {row["pod"]: row["calls"] for row in timeline["containers"]}
    for name, (begin, end) in spans.items():
        first, last = (int((moment - start) / 0.5) for moment in (begin, end))
        assert sum(rows[name][max(first - 1, 0) : last + 2]) == sum(rows[name]) == 20_300
    printed = namespace.kubectl("get", "tsess", "when", "-o", "jsonpath={.status.timeline.chart}")
    print(printed)
    # Below them stand the containers' own numbers.
    assert [line.split()[0] for line in printed.splitlines()[1:5]] == ["calls", "errors", "work", "wait"]
