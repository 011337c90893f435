"""The status as a document: its shape, its conditions, and what is left out when it is too large."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubestrace_operator.api import conditions
from kubestrace_operator.api.conditions import Completeness, Outcome
from kubestrace_operator.results import merge
from kubestrace_operator.results.merge import Merged, SyscallRow, Trust
from kubestrace_operator.status import builder
from kubestrace_operator.status.progress import Failure, Progress
from kubestrace_operator.views import cpu_time, processes, slow_calls
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import processes_pb2, slow_calls_pb2

NOW = datetime(2026, 1, 1, 12, 0, 30, 250_000, tzinfo=UTC)
COMPLETED = Outcome(conditions.SUCCEEDED, "Completed", "done")
STARTED = Progress(COMPLETED, start=NOW - timedelta(seconds=30), completion=NOW)


def rows(count: int) -> dict[merge.SyscallKey, SyscallRow]:
    """Return as many different calls, each with errors and large numbers."""
    made = {}
    for number in range(count):
        row = SyscallRow(f"system_call_{number}", wait=number % 4 == 0, calls=10**9 + number, errors=10**6)
        row.timed, row.total_ns, row.max_ns = row.calls, 10**12 + number, 10**11
        row.errnos, row.latency = {"ENOENT": 10**6}, {100: row.calls}
        made[merge.SyscallKey(row.name)] = row
    return made


def containers(count: int) -> dict[merge.ContainerKey, merge.ContainerRow]:
    """Return as many containers with long names."""
    made = {}
    for number in range(count):
        name = f"checkout-service-deployment-5d6f7c8b9-abc{number:02}"
        container = agent_pb2.Container(pod_name=name, pod_uid=name, container_name="application", container_id=name)
        state = agent_pb2.ContainerState(
            container=container, phase=agent_pb2.ContainerState.PHASE_ENDED, pid=1, host_pid=4_000_000
        )
        key = merge.ContainerKey("node", name, "application", name)
        made[key] = merge.ContainerRow(state, "worker-node-12.example.internal", 10**9, 10**6, 10**12, 10**12)
    return made


def test_only_what_moved_bytes_says_how_many() -> None:
    """Calls that moved nothing, such as a read at the end of a file, did so too."""
    made = {"read": (0, 7), "write": (2**40, 0), "getppid": (0, 0)}
    summed = [SyscallRow(name, calls=9, bytes=moved, zero_results=none) for name, (moved, none) in made.items()]
    merged = Merged({row.key: row for row in summed})

    shown = {row["name"]: row for row in builder.status(merged, STARTED, now=NOW)["summary"]["syscalls"]}
    assert (shown["read"]["bytes"], shown["read"]["zeroResults"]) == (0, 7)
    assert (shown["write"]["bytes"], shown["write"]["zeroResults"]) == (2**40, 0)
    assert shown["getppid"].keys().isdisjoint({"bytes", "zeroResults"})


def test_20_pods_with_300_calls_fit() -> None:
    """The status stays below 64 KiB: rows are cut, totals never, and truncated says so."""
    merged = Merged(rows(300), containers(20))

    document = builder.status(merged, STARTED, now=NOW)

    assert 55 * 1024 < builder.size(document) <= 64 * 1024
    assert document["truncated"] is True
    assert len(document["containers"]) == 20
    assert document["summary"]["calls"] == merged.calls
    assert "more, in the total" in document["table"]
    shown = document["summary"]["syscalls"]
    assert 100 < len(shown) < 300
    assert {row["wait"] for row in shown} == {False, True}


def test_a_large_status_has_its_page() -> None:
    """Rows leave it its room; a session that goes on is not judged yet."""
    merged = Merged(rows(300), containers(20))
    merged.syscalls[merge.SyscallKey("write")] = SyscallRow("write", calls=9, errors=3, errnos={"ENOSPC": 3})

    document = builder.status(merged, STARTED, now=NOW)
    assert builder.size(document) <= 64 * 1024
    assert document["findingIds"].startswith("disk-full")
    assert 4 * 1024 < builder.size({"report": document["report"]}) <= 16 * 1024
    assert max(map(len, document["report"].splitlines())) <= 120
    assert "\ndone\nNot judged: " in document["report"]
    assert document["report"].startswith("1. CRITICAL disk-full: A file system had no room left")
    assert "% time     seconds" in document["report"]
    running = builder.status(merged, replace(STARTED, completion=None), now=NOW)
    assert running.keys().isdisjoint({"findings", "notJudged", "findingIds", "report"})


def test_many_lives_leave_room_for_the_calls() -> None:
    """Of a crash loop of many pods the table is whole; the lives that find no room are missed by the row."""
    lives = containers(300)
    for row in lives.values():
        row.state.exit_code, row.state.exit_reason = 3, "Error"
        row.state.finish_time_unix_nanoseconds = 1_800_000_000_123_456_789

    document = builder.status(Merged(rows(20), lives), STARTED, now=NOW)

    assert len(document["summary"]["syscalls"]) == 20
    assert "more, in the total" not in document["table"]
    assert 80 < len(document["containers"]) < 300
    assert document["truncated"] is True


def test_the_longest_calls_are_kept() -> None:
    """What is cut is what took the least time."""
    document = builder.status(Merged(rows(300)), STARTED, now=NOW)

    work = [row["totalNanoseconds"] for row in document["summary"]["syscalls"] if not row["wait"]]
    assert work == sorted(work, reverse=True)
    assert work[0] == 10**12 + 299


def test_more_of_everything_still_fits() -> None:
    """Hundreds of containers, failures and gaps with long messages cannot make a status that etcd refuses."""
    gaps = [agent_pb2.Gap(node="n", reason="AgentRestarted", message="x" * 2000)] * 300
    failures = tuple(Failure("AgentUnavailable", "y" * 2000, node=f"n{number}") for number in range(300))
    progress = Progress(COMPLETED, start=NOW, failures=failures)

    document = builder.status(Merged(rows(400), containers(900), Trust(gaps=gaps)), progress, now=NOW)

    assert builder.size(document) <= 64 * 1024
    assert document["truncated"] is True
    assert document["failures"]


def test_without_a_limit_everything_is_shown() -> None:
    """Local mode's document."""
    document = builder.status(Merged(rows(300), containers(20)), STARTED, now=NOW, limit_bytes=None)

    assert len(document["summary"]["syscalls"]) == 300
    assert document["truncated"] is False


def test_a_row() -> None:
    """Integers in nanoseconds; the ABI only where it is not the machine's own."""
    row = SyscallRow("openat", abi="i386", calls=4, errors=1, interrupted=1, timed=4, total_ns=400, max_ns=130)
    row.latency, row.errnos = {40: 4}, {"ENOENT": 1}

    document = builder.status(Merged({merge.SyscallKey("openat", "i386"): row}), STARTED, now=NOW)

    assert document["summary"]["syscalls"] == [
        {
            "name": "openat",
            "abi": "i386",
            "calls": 4,
            "errors": 1,
            "interrupted": 1,
            "totalNanoseconds": 400,
            "avgNanoseconds": 100,
            "p50Nanoseconds": 130,
            "p95Nanoseconds": 130,
            "p99Nanoseconds": 130,
            "maxNanoseconds": 130,
            "wait": False,
        }
    ]
    assert document["summary"]["errorCounts"] == [{"syscall": "openat", "abi": "i386", "errno": "ENOENT", "count": 1}]


def test_a_row_without_lengths() -> None:
    """A call that never returns has no lengths, not lengths of zero."""
    document = builder.status(Merged({merge.SyscallKey("exit"): SyscallRow("exit", calls=2)}), STARTED, now=NOW)

    assert document["summary"]["syscalls"][0].keys() == {
        *("name", "calls", "errors", "interrupted", "totalNanoseconds", "wait")
    }


def test_times_have_fractions_where_they_matter() -> None:
    """Start and end to the microsecond, transitions to the second, as Kubernetes has them."""
    document = builder.status(Merged(), STARTED, now=NOW)

    assert document["completionTime"] == "2026-01-01T12:00:30.250000Z"
    assert document["conditions"][0]["lastTransitionTime"] == "2026-01-01T12:00:30Z"


@pytest.mark.parametrize(
    ("trust", "reason"), [(Trust(lost_calls=3), "CallsLost"), (Trust(skipped_calls=1), "CallsSkipped")]
)
def test_lost_calls_make_a_result_incomplete(trust: Trust, reason: str) -> None:
    """Everything lost is said where a person looks."""
    document = builder.status(Merged(trust=trust), STARTED, now=NOW)

    data = next(each for each in document["conditions"] if each["type"] == "DataComplete")
    assert (data["status"], data["reason"]) == ("False", reason)
    assert document["trust"]["complete"] is False


@pytest.mark.parametrize(
    ("modes", "shown"), [({"unified"}, "unified"), ({"unified", "hybrid"}, "mixed"), (set(), None)]
)
def test_the_cgroup_mode(modes: set[str], shown: str | None) -> None:
    """One word for all nodes."""
    progress = Progress(COMPLETED, start=NOW, cgroup_modes=frozenset(modes))

    assert builder.status(Merged(), progress, now=NOW)["trust"].get("cgroupMode") == shown


def of(outcome: Outcome, previous: tuple[dict[str, Any], ...] = ()) -> dict[str, tuple[str, str]]:
    """Return status and time of each condition."""
    found = conditions.conditions(outcome, Completeness(None, "Tracing", ""), generation=3, now=NOW, previous=previous)
    assert all(each["observedGeneration"] == 3 for each in found)
    return {each["type"]: (each["status"], each["lastTransitionTime"]) for each in found}


def test_conditions_while_tracing() -> None:
    """Not finished, not known to succeed, and reconciling, or GitOps tools would take it as ready."""
    found = of(Outcome(conditions.TRACING, "Tracing", ""))

    assert {kind: value for kind, (value, _) in found.items()} == {
        "Finished": "False",
        "Succeeded": "Unknown",
        "DataComplete": "Unknown",
        "Reconciling": "True",
    }


def test_conditions_of_a_failure() -> None:
    """Finished is true, so that waiting for it returns."""
    found = of(Outcome(conditions.FAILED, "NoMatchingPods", ""))

    assert found["Finished"][0] == "True"
    assert found["Succeeded"][0] == "False"
    assert found["Stalled"][0] == "True"
    assert "Reconciling" not in found


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    """LastTransitionTime is when the status last changed, not when it was last written."""
    before = (
        {"type": "Finished", "status": "False", "lastTransitionTime": "2026-01-01T11:00:00Z"},
        {"type": "Succeeded", "status": "Unknown", "lastTransitionTime": "2026-01-01T11:00:00Z"},
    )

    tracing = of(Outcome(conditions.TRACING, "Tracing", ""), before)
    ended = of(COMPLETED, before)

    assert tracing["Finished"] == ("False", "2026-01-01T11:00:00Z")
    assert ended["Finished"] == ("True", "2026-01-01T12:00:30Z")


def slow_rows(count: int, arguments: str = "3</var/lib/x>, ..., 4096") -> list[slow_calls.SlowCallRow]:
    """Return as many slow calls."""
    start = 1_767_268_800_123_456_789
    return [
        slow_calls.SlowCallRow(
            slow_calls_pb2.SlowCall(
                name="write", start_time_unix_nanoseconds=start, nanoseconds=10**9 - number, arguments=arguments,
                result=4096, pid=7, tid=8, host_pid=48213, host_tid=48214, thread="wal-writer", process="shop",
            ),
            agent_pb2.Container(pod_name="shop-1", container_name="app"),
            "n1",
        )
        for number in range(count)
    ]  # fmt: skip


def test_slow_calls_are_shown_when_asked_for() -> None:
    """As many as the session wants, with the time to the microsecond; nothing of it in a session without the view."""
    merged = Merged(views={"slowCalls": slow_rows(3)}, trust=Trust(losses={"slowCalls": 4}))

    asked = builder.status(merged, replace(STARTED, views={"slowCalls": slow_calls.Settings(10, 2)}), now=NOW)
    other = builder.status(merged, STARTED, now=NOW)

    assert len(asked["slowCalls"]) == 2
    assert asked["slowCalls"][0] == {
        "time": "2026-01-01T12:00:00.123456Z", "syscall": "write", "nanoseconds": 10**9, "wait": False,
        "arguments": "3</var/lib/x>, ..., 4096", "result": 4096, "pid": 7, "tid": 8, "hostPid": 48213,
        "process": "shop", "thread": "wal-writer", "pod": "shop-1", "container": "app", "node": "n1",
    }  # fmt: skip
    assert asked["trust"]["losses"]["slowCalls"] == 4
    assert next(each for each in asked["conditions"] if each["type"] == "DataComplete")["reason"] == "SlowCallsLost"
    assert not asked["truncated"]
    assert "slowCalls" not in other
    assert "losses" not in other["trust"]


def test_slow_calls_are_cut_and_leave_room_to_the_table() -> None:
    """200 calls with the longest arguments, beside 400 rows of the table: both are cut, and it is said."""
    merged = Merged(syscalls=rows(400), containers=containers(20), views={"slowCalls": slow_rows(200, "x" * 512)})

    document = builder.status(merged, replace(STARTED, views={"slowCalls": slow_calls.Settings(10, 200)}), now=NOW)

    assert builder.size(document) <= builder.MAX_STATUS_BYTES
    assert document["truncated"]
    assert 20 < len(document["slowCalls"]) < 200
    assert len(document["summary"]["syscalls"]) > 20


def hung(name: str, age_ns: int, **more: Any) -> agent_pb2.UnreturnedCall:
    """Return a call that has not returned."""
    return agent_pb2.UnreturnedCall(
        name=name, age_nanoseconds=age_ns, host_pid=9, host_tid=10, pid=7, tid=8, thread="io", process="app", **more
    )


def with_hung(*calls: agent_pb2.UnreturnedCall, count: int = 0) -> Merged:
    """Return what a node with one container says."""
    merged = Merged(containers=containers(1))
    (row,) = merged.containers.values()
    row.unreturned, row.unreturned_calls = calls, count or len(calls)
    return merged


def test_calls_that_have_not_returned_are_told_one_by_one() -> None:
    """Those that work first; the table has a line about them, and trust counts all."""
    merged = with_hung(hung("futex", 10**12, wait=True), hung("read", 2 * 10**9, began_earlier=True), count=30)

    document = builder.status(merged, STARTED, now=NOW)

    assert [row["syscall"] for row in document["unreturned"]] == ["read", "futex"]
    assert document["unreturned"][0] == {
        "syscall": "read", "wait": False, "ageNanoseconds": 2 * 10**9, "beganEarlier": True, "arguments": "",
        "pid": 7, "tid": 8, "hostPid": 9, "hostTid": 10, "process": "app", "thread": "io",
        "pod": "checkout-service-deployment-5d6f7c8b9-abc00", "container": "application",
        "node": "worker-node-12.example.internal",
    }  # fmt: skip
    assert document["table"].endswith("30 calls have not returned: read over 2.0s, futex (waited) 1000.0s, 28 more\n")
    assert document["trust"]["unreturnedCalls"] == 30


def test_the_oldest_of_all_containers_are_kept() -> None:
    """A bound, whatever the nodes tell."""
    document = builder.status(with_hung(*(hung("read", age) for age in range(80))), STARTED, now=NOW)

    assert [row["ageNanoseconds"] for row in document["unreturned"]] == list(range(79, 29, -1))
    assert not document["truncated"]


def busy(count: int, text: str = "app") -> merge.Merged:
    """Return as many processes, the busiest first, each with all that a process may have; and 5 calls of others."""
    report = agent_pb2.Report(node="worker-node-12.example.internal")
    container = report.containers.add()
    container.state.container.pod_name, container.state.container.container_name = "shop-1", "app"
    found = processes_pb2.ProcessesResult(seen=count + 3)
    for number in range(count):
        sums = processes_pb2.CallSums(calls=10, errors=1, total_nanoseconds=10**12 - number, wait_nanoseconds=7)
        process = found.processes.add(
            pid=7, parent_pid=1, host_pid=4_000_000 + number, command=text, executable=text, threads=2, sums=sums,
            start_time_unix_nanoseconds=1_767_268_800_123_456_789, signal="SIGKILL", lifetime_nanoseconds=10**9,
        )  # fmt: skip
        for _ in range(5):
            process.syscalls.add(name="x" * 20, calls=10**9)
            process.execs.add(time_unix_nanoseconds=1_767_268_800_123_456_789, command=text, executable=text)
        for _ in range(3):
            process.busiest_threads.add(tid=8, host_tid=4_000_000, name="worker", sums=sums)
    found.others.calls = 5
    container.views["processes"].Pack(found)
    return merge.merge([report])


def test_processes_are_shown_when_asked_for() -> None:
    """As many as the session wants; the others are one sum. Nothing of it in a session without the view."""
    merged = busy(3)

    asked = builder.status(merged, replace(STARTED, views={"processes": processes.Settings(2)}), now=NOW)
    other = builder.status(merged, STARTED, now=NOW)

    assert [row["hostPid"] for row in asked["processes"]] == [4_000_000, 4_000_001]
    first = asked["processes"][0]
    assert (first["startTime"], first["signal"], first["pod"]) == ("2026-01-01T12:00:00.123456Z", "SIGKILL", "shop-1")
    assert "exitCode" not in first
    assert asked["otherProcesses"] == {
        "processes": 4, "calls": 15, "errors": 1, "totalNanoseconds": 10**12 - 2, "waitNanoseconds": 7,
    }  # fmt: skip
    assert (asked["trust"]["losses"]["processCalls"], asked["trust"]["losses"]["execs"]) == (0, 0)
    assert not asked["truncated"]
    assert not {"processes", "otherProcesses"} & other.keys()
    assert "losses" not in other["trust"]


def test_processes_are_cut_and_none_of_their_calls_is_missing() -> None:
    """100 with long names beside a full table: what is left out is among the others."""
    merged = busy(100, "x" * 100)
    merged.syscalls, merged.containers = rows(400), containers(20)

    document = builder.status(merged, replace(STARTED, views={"processes": processes.Settings(100)}), now=NOW)

    assert builder.size(document) <= builder.MAX_STATUS_BYTES
    assert document["truncated"]
    assert 3 < len(document["processes"]) < 100
    assert sum(row["calls"] for row in document["processes"]) + document["otherProcesses"]["calls"] == 1005
    assert len(document["processes"]) + document["otherProcesses"]["processes"] == 103
    assert len(document["summary"]["syscalls"]) > 20


def with_budgets(count: int) -> Merged:
    """Return containers whose threads used many calls, and more the later they are in the list."""
    calls = {cpu_time.CallName(f"system_call_{number}", ""): 10**12 + number for number in range(40)}
    made = containers(count)
    part = cpu_time.Part()
    for number, row in enumerate(made.values()):
        budget = cpu_time.Budget(thread_ns=10**12 + number, wall_ns=10**10, kernel=calls, waiting=calls)
        part.budgets[row.key] = budget
    return Merged(rows(30), made, Trust(losses={"cpuTime": 2}), {"cpuTime": part})


def test_the_time_budget_is_shown_when_asked_for() -> None:
    """Of all and of each container, and as text below the table."""
    asked = builder.status(with_budgets(2), replace(STARTED, views={"cpuTime": cpu_time.Settings()}), now=NOW)
    other = builder.status(with_budgets(2), STARTED, now=NOW)

    assert asked["timeBudget"]["threadNanoseconds"] == 2 * 10**12 + 1
    assert [row["timeBudget"]["threadNanoseconds"] for row in asked["containers"]] == [10**12, 10**12 + 1]
    assert "where the time of 200.0 threads x 10.0s went" in asked["table"]
    assert asked["summary"]["syscalls"][0]["cpuNanoseconds"] == 0
    assert asked["trust"]["losses"]["cpuTime"] == 2
    assert next(each for each in asked["conditions"] if each["type"] == "DataComplete")["reason"] == "CpuTimeLost"
    assert "timeBudget" not in other
    assert "where the time" not in other["table"]
    assert "cpuNanoseconds" not in other["summary"]["syscalls"][0]
    assert "losses" not in other["trust"]
    assert not any("timeBudget" in row for row in other["containers"])


def test_budgets_of_containers_are_cut_before_anything_else() -> None:
    """Those with the most time are kept, as far as there is room; truncated says that others are not there."""
    document = builder.status(with_budgets(60), replace(STARTED, views={"cpuTime": cpu_time.Settings()}), now=NOW)

    kept = ["timeBudget" in row for row in document["containers"]]
    assert builder.size(document) <= 64 * 1024
    assert len(kept) == 60
    assert 5 < sum(kept) < 60
    assert kept == sorted(kept)
    assert document["truncated"] is True
    assert document["timeBudget"]["threadNanoseconds"] == 60 * 10**12 + sum(range(60))


def test_calls_that_have_not_returned_leave_room_to_the_table() -> None:
    """50 with the longest arguments: some are left out, and it is said; all are counted."""
    merged = with_hung(*(hung("read", age, arguments="x" * 512) for age in range(50)))
    merged.syscalls = rows(100)

    document = builder.status(merged, STARTED, now=NOW)

    assert 5 < len(document["unreturned"]) < 50
    assert document["unreturned"][0]["ageNanoseconds"] == 49
    assert document["truncated"]
    assert document["trust"]["unreturnedCalls"] == 50
    assert len(document["summary"]["syscalls"]) > 50
