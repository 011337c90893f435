"""TraceSession as a real API server serves it: what it refuses, with which words, and what it shows."""

import json
import re
from typing import Any

import pytest
from apiserver import Cluster
from rendering import Chart

from kubestrace_operator.api import applied
from kubestrace_operator.api.spec import parse
from kubestrace_operator.views.files import Use
from kubestrace_operator.views.network_dns import NUMBERS, Dns, Question, QuestionKey
from kubestrace_operator.views.network_rows import Listener, ListenerKey, Peer, PeerKey, Times
from kubestrace_operator.views.network_sockets import Socket, SocketKey, others
from kubestrace_operator.views.pod_network import Pod, PodKey
from kubestrace_operator.views.registry import CHOOSABLE
from kubestrace_operator.views.view import PeerName, View
from kubestrace_protos.v1.network_counters import COUNTERS, LEVELS
from kubestrace_protos.v1.views.resources_names import GROWN_BY_BUCKET, LEVELS_BY_BUCKET

TARGET_KINDS: list[dict[str, Any]] = [
    {"podName": "checkout-0"},
    {"selector": {"matchLabels": {"app": "checkout"}}},
    {"selector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "api"]}]}},
    {"selector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}},
    {"selector": {}},
    {"workload": {"kind": "Deployment", "name": "checkout"}},
]
ONE_KIND = "target needs exactly one of podName, selector and workload"
VALUES_RULE = "operators In and NotIn need values, Exists and DoesNotExist take none"


def session(spec: dict[str, Any] | None = None, name: str = "slow-checkout") -> dict[str, Any]:
    """Return a TraceSession; without a spec, one of a pod that is nowhere."""
    spec = {"target": {"podName": "nowhere"}} if spec is None else spec
    return {"apiVersion": "kubestrace.io/v1alpha1", "kind": "TraceSession", "metadata": {"name": name}, "spec": spec}


def timeline(buckets: int, **spec: Any) -> dict[str, Any]:
    """Return a spec with a timeline."""
    return {"target": {"podName": "x"}, "views": {"timeline": {"buckets": buckets}}, **spec}


def created(cluster: Cluster, document: dict[str, Any], *options: str) -> dict[str, Any]:
    """Create a session and return it as the API server answered."""
    return json.loads(cluster.ask("create", "-o", "json", "--validate=strict", *options, "-f", "-", document=document))


def refused(cluster: Cluster, document: dict[str, Any]) -> str:
    """Return the complaint about a session that cannot be created."""
    return cluster.refusal("create", "--validate=strict", "--dry-run=server", "-f", "-", document=document)


def patch(spec: dict[str, Any]) -> list[str]:
    """Return kubectl's words for a change of the session's spec."""
    return ["patch", "tsess", "slow-checkout", "--type=merge", "--dry-run=server", "-p", json.dumps({"spec": spec})]


@pytest.mark.parametrize("target", TARGET_KINDS, ids=str)
def test_each_kind_of_target_is_taken(dry_cluster: Cluster, target: dict[str, Any]) -> None:
    """A pod, a selector in all its forms, and a workload, each alone."""
    given = created(
        dry_cluster, session({"target": {**target, "containers": ["app"], "maxPods": 5}}), "--dry-run=server"
    )

    assert given["spec"]["target"] == {**target, "containers": ["app"], "maxPods": 5}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"])
def test_each_kind_of_workload_is_taken(dry_cluster: Cluster, kind: str) -> None:
    """The five kinds that make pods by a selector."""
    created(dry_cluster, session({"target": {"workload": {"kind": kind, "name": "x"}}}), "--dry-run=server")


@pytest.mark.parametrize(
    "spec",
    [
        {"target": {}},
        {"target": {"containers": ["app"]}},
        {"target": {"podName": "x", "selector": {}}},
        {"target": {"podName": "x", "workload": {"kind": "Job", "name": "y"}}},
        {"target": {"podName": "x", "selector": {}, "workload": {"kind": "Job", "name": "y"}}},
    ],
    ids=str,
)
def test_a_target_is_one_thing(dry_cluster: Cluster, spec: dict[str, Any]) -> None:
    """No kind of target, two of them and three of them are refused in words."""
    assert ONE_KIND in refused(dry_cluster, session(spec))


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({}, "spec.target: Required value"),
        ({"target": {"podName": ""}}, "spec.target.podName"),
        ({"target": {"workload": {"kind": "CronJob", "name": "x"}}}, 'supported values: "Deployment", "StatefulSet"'),
        ({"target": {"workload": {"kind": "Job"}}}, "spec.target.workload.name: Required value"),
        ({"target": {"podName": "x", "maxPods": 0}}, "greater than or equal to 1"),
        ({"target": {"podName": "x", "maxPods": 501}}, "less than or equal to 500"),
        ({"target": {"podName": "x", "containers": []}}, "spec.target.containers"),
        ({"target": {"podName": "x", "containers": ["a", "a"]}}, "Duplicate value"),
        ({"target": {"podName": "x"}, "durationSeconds": 0}, "greater than or equal to 1"),
        ({"target": {"podName": "x"}, "durationSeconds": 3601}, "less than or equal to 3600"),
        ({"target": {"podName": "x"}, "durationSeconds": "30s"}, "must be of type integer"),
        ({"target": {"podName": "x"}, "syscalls": ["a"] * 129}, "must have at most 128 items"),
        ({"target": {"podName": "x"}, "syscalls": [""]}, "spec.syscalls[0]"),
        ({"target": {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}}, VALUES_RULE),
        (
            {"target": {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}},
            VALUES_RULE,
        ),
        ({"target": {"selector": {"matchExpressions": [{"key": "a", "operator": "Equals"}]}}}, '"NotIn"'),
        ({"target": {"podName": "x"}, "views": {"slowCalls": {"stacks": "all"}}}, "spec.views.slowCalls.stacks"),
        (
            {"target": {"podName": "x"}, "views": {"slowCalls": {"thresholdMilliseconds": 0}}},
            "greater than or equal to 1",
        ),
        (
            {"target": {"podName": "x"}, "views": {"slowCalls": {"thresholdMilliseconds": 60001}}},
            "less than or equal to 60000",
        ),
        ({"target": {"podName": "x"}, "views": {"slowCalls": {"limit": 201}}}, "less than or equal to 200"),
        ({"target": {"podName": "x"}, "views": {"processes": {"top": 101}}}, "less than or equal to 100"),
        ({"target": {"podName": "x"}, "views": {"processes": {"threads": 101}}}, "less than or equal to 100"),
        (
            {"target": {"podName": "x"}, "views": {"processes": {"groupBy": "name"}}},
            'supported values: "process", "program"',
        ),
        ({"target": {"podName": "x"}, "views": {"errors": {"samples": 11}}}, "less than or equal to 10"),
        ({"target": {"podName": "x"}, "views": {"cpuTime": {"each": 1}}}, 'unknown field "spec.views.cpuTime.each"'),
        ({"target": {"podName": "x"}, "views": {"weather": {}}}, 'unknown field "spec.views.weather"'),
        ({"target": {"podName": "x"}, "profile": "files"}, 'supported values: "Counts", "Overview", "Files"'),
        ({"target": {"podName": "x"}, "redact": ["*"] * 21}, "must have at most 20 items"),
        ({"target": {"podName": "x"}, "redact": ["x" * 257]}, "may not be more than 256"),
        ({"target": {"podName": "x"}, "redact": [""]}, "spec.redact[0]"),
        ({"target": {"podName": "x"}, "redact": ["a\nb"]}, "a pattern must be printable ASCII"),
        ({"target": {"podName": "x"}, "redact": ["\u00e9"]}, "a pattern must be printable ASCII"),
        (timeline(0), "greater than or equal to 1"),
        (timeline(241), "less than or equal to 240"),
        (timeline(11, durationSeconds=1), "a bucket is at least 100 ms long; at most durationSeconds x 10 buckets"),
        ({"target": {"podName": "x", "namespace": "y"}}, 'unknown field "spec.target.namespace"'),
        ({"target": {"podName": "x"}, "compareTo": "slow-checkout"}, "compareTo names the session itself"),
        ({"target": {"podName": "x"}, "compareTo": ""}, "spec.compareTo"),
        ({"target": {"podName": "x"}, "compareTo": "a" * 254}, "spec.compareTo"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_session_is_refused(dry_cluster: Cluster, spec: dict[str, Any], complaint: str) -> None:
    """Each wrong field is named, and nothing that is not served is accepted."""
    assert complaint in refused(dry_cluster, session(spec))


@pytest.mark.parametrize(
    "spec", [timeline(1), timeline(240), timeline(10, durationSeconds=1), {**timeline(1), "views": {"timeline": {}}}]
)
def test_a_timeline_is_taken_and_given_back_as_it_was(dry_cluster: Cluster, spec: dict[str, Any]) -> None:
    """All that its bounds allow; the buckets that are left out are no field that the API server fills in."""
    assert created(dry_cluster, session(spec), "--dry-run=server")["spec"]["views"] == spec["views"]


APPLYING = {
    "create": ["create"],
    "client-side": ["apply"],
    "server-side": ["apply", "--server-side"],
}


@pytest.mark.parametrize("view", CHOOSABLE, ids=lambda view: view.name)
@pytest.mark.parametrize("words", APPLYING.values(), ids=APPLYING)
def test_a_view_with_nothing_behind_it_is_on(cluster: Cluster, words: list[str], view: View[Any, Any, Any]) -> None:
    """`errors:` is null in YAML. However it comes, the operator has the view on; client-side apply drops the null."""
    document = session({"target": {"podName": "x"}, "views": {view.name: None}})
    cluster.ask(*words, "--validate=strict", "-f", "-", document=document)

    given = json.loads(cluster.ask("get", "tsess", "slow-checkout", "-o", "json"))

    assert given["spec"]["views"] == ({} if words == ["apply"] else {view.name: None})
    assert parse(applied.spec(given)).views.keys() == {view.name, "counters"}


def test_a_view_with_nothing_behind_it_may_be_applied_again(cluster: Cluster) -> None:
    """The rule that views cannot change does not stand in the way, for either way to apply."""
    document = session({"target": {"podName": "x"}, "views": {"processes": None, "cpuTime": {}}})

    for words in (["apply"], ["apply", "--server-side", "--force-conflicts"]):
        cluster.ask(*words, "-f", "-", document=document)
        cluster.ask(*words, "-f", "-", document=document)
        cluster.ask("delete", "tsess", "slow-checkout")


@pytest.mark.parametrize("view", CHOOSABLE, ids=lambda view: view.name)
def test_a_view_can_be_taken_out(dry_cluster: Cluster, view: View[Any, Any, Any]) -> None:
    """By a word that the operator understands as the schema does."""
    wanted = {"target": {"podName": "x"}, "views": {view.name: {"enabled": False}}}

    given = created(dry_cluster, session(wanted), "--dry-run=server")

    assert parse(given["spec"]).views.keys() == {"counters"} - {view.name}


def test_a_view_that_is_on_cannot_be_taken_out_later(cluster: Cluster) -> None:
    """Also not one that stands with null."""
    created(cluster, session({"target": {"podName": "x"}, "views": {"processes": None, "cpuTime": {}}}))

    for views in ({"processes": {"enabled": False}}, {"processes": {}}, {"cpuTime": None}):
        assert "views cannot change after creation" in cluster.refusal(*patch({"views": views}))


def test_a_new_session_says_that_nobody_has_seen_it(cluster: Cluster) -> None:
    """The default status keeps kstatus from taking a session as ready before the operator knows of it."""
    given = created(cluster, session())

    assert given["status"] == {"observedGeneration": -1}
    assert given["spec"]["durationSeconds"] == 30
    assert given["spec"]["cancel"] is False


def test_defaults_are_written_into_the_top_of_the_spec_only(cluster: Cluster) -> None:
    """A default inside target would show as a difference in GitOps tools for ever."""
    given = created(cluster, session())

    assert given["spec"]["target"] == {"podName": "nowhere"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"target": {"podName": "another"}}, "target cannot change after creation; create another TraceSession"),
        ({"target": {"maxPods": 3}}, "target cannot change after creation"),
        ({"target": {"containers": ["app"]}}, "target cannot change after creation"),
        ({"durationSeconds": 31}, "durationSeconds cannot change after creation; end the session early with cancel"),
        ({"syscalls": ["read"]}, "syscalls cannot change after creation; create another TraceSession"),
        ({"syscalls": None}, "syscalls cannot change after creation"),
        ({"views": {"timeline": {"buckets": 5}}}, "views cannot change after creation; create another TraceSession"),
        ({"compareTo": "another"}, "compareTo cannot change after creation; create another TraceSession"),
    ],
    ids=str,
)
def test_a_session_stays_what_it_is(cluster: Cluster, change: dict[str, Any], complaint: str) -> None:
    """What was traced cannot be changed afterwards, so that a result always fits its spec."""
    created(cluster, session({"target": {"podName": "nowhere"}, "syscalls": ["%file"]}))

    assert complaint in cluster.refusal(*patch(change))


def test_syscalls_cannot_be_added_to_a_session_that_counts_all(cluster: Cluster) -> None:
    """A list where there was none is a change like any other."""
    created(cluster, session())

    assert "spec.syscalls" in cluster.refusal(*patch({"syscalls": ["read"]}))


def test_a_baseline_stays_what_it_is(cluster: Cluster) -> None:
    """A session that is compared cannot be compared with another one, nor with none."""
    given = created(cluster, session({"target": {"podName": "x"}, "compareTo": "healthy-checkout"}))

    assert given["spec"]["compareTo"] == "healthy-checkout"
    for change in ("other", None):
        assert "compareTo cannot change after creation" in cluster.refusal(*patch({"compareTo": change}))


def test_cancel_is_taken_and_cannot_be_taken_back(cluster: Cluster) -> None:
    """A session that was told to end cannot be told to go on, by false or by leaving cancel out."""
    created(cluster, session())
    cluster.ask("patch", "tsess", "slow-checkout", "--type=merge", "-p", '{"spec": {"cancel": true}}')

    for change in (False, None):
        complaint = cluster.refusal(*patch({"cancel": change}))
        assert "cancel cannot be taken back; create another TraceSession" in complaint


def test_labels_and_annotations_stay_free(cluster: Cluster) -> None:
    """Only the spec is fixed."""
    created(cluster, session())

    cluster.ask("label", "tsess", "slow-checkout", "reviewed=yes")


def full_comparison() -> dict[str, Any]:
    """Return status.comparison with every field."""
    rates = {"callsPerSecond": 211.5, "baselineCallsPerSecond": 216}
    ratios = {f"{name}Ratio": 0.98 for name in ("calls", "errors", "time")}
    change = {"changed": True, "change": "p99 3.1 times, calls 0.98 times"}
    of_waits = {"waitTimeRatio": 1.5}
    return {
        "reason": "Compared",
        "message": "Compared with healthy-checkout.",
        "baseline": {
            "name": "healthy-checkout",
            "startTime": "2026-11-22T14:00:00Z",
            "seconds": 30,
            "pods": 3,
            "complete": True,
        },
        "noise": {"known": True, **ratios, **of_waits, "message": "Noise: the halves differ."},
        "total": {**change, **rates, **ratios, **of_waits},
        "calls": [
            {
                "name": "fsync",
                "abi": "i386",
                "wait": False,
                "onlyIn": "session",
                **change,
                **rates,
                **ratios,
                "p50Ratio": 1.1,
                "p99Ratio": 3.1,
            }
        ],
        "findings": [
            {
                "id": "fsync-storm",
                "change": "syncsPerSecond 2.0 times",
                "evidence": [{"name": "syncsPerSecond", "value": 212.5, "baselineValue": 106, "ratio": 2}],
            }
        ],
        "rows": [
            {"view": "files", "row": "/data/wal", **change, "ratios": [{"name": "calls", "ratio": 0.98}]},
        ],
        "newSince": ["disk-slow"],
        "goneSince": ["fd-leak"],
        "remarks": ["Other views."],
    }


def full_status() -> dict[str, Any]:
    """Return a status in which every field of the contract between operator and schema is set."""
    time = "2026-11-23T14:00:00Z"
    condition = {"reason": "Completed", "message": "Traced.", "lastTransitionTime": time, "observedGeneration": 1}
    totals = {"calls": 9_000_000_000, "errors": 3, "totalNanoseconds": 2**53 + 1, "waitNanoseconds": 7}
    lengths = {f"{name}Nanoseconds": 5 for name in ("total", "cpu", "runnable", "avg", "p50", "p95", "p99", "max")}
    parts = ("thread", "user", "kernel", "waiting", "runnable", "blocked")
    call = {"syscall": "read", "abi": "i386", "nanoseconds": 2**53 + 1}
    budget = {f"{part}Nanoseconds": 2**53 + 1 for part in parts} | {
        "otherNanoseconds": -1,
        "kernel": [call],
        "waiting": [call],
        "blocked": [call],
    }
    request_times = {f"{name}Nanoseconds": 2**53 + 1 for name in ("total", "p50", "p99", "max")}
    failed = [{"errno": "ENOENT", "count": 2**53 + 1}]
    file_use = {name: value for name, value in Use(opens=2**53 + 1).document().items() if name != "failed"}
    life = {
        "kind": "container",
        "fromStart": True,
        "exitCode": 3,
        "reason": "Error",
        "finishTime": "2026-01-01T00:00:05Z",
    }
    place = {"node": "n1", "pod": "checkout-0", "container": "app"}
    of_all, of_container = full_numbers()
    why = {"reason": "AgentRestarted", "message": "The agent was restarted."}
    return {
        "observedGeneration": 1,
        "phase": "Succeeded",
        "suspensions": 1,
        "containerSeconds": 60,
        "startTime": time,
        "expectedCompletionTime": "2026-11-23T14:00:30Z",
        "completionTime": "2026-11-23T14:00:30.123456Z",
        "conditions": [
            {"type": name, "status": "True", **condition} for name in ("Finished", "Succeeded", "DataComplete")
        ],
        "targets": {"matched": 3, "tracing": 0, "finished": 2, "failed": 1, "skipped": 1},
        "failures": [{**place, **why}, why],
        "table": "% time     seconds\n 74.34   20.900112\n",
        "summary": {
            **totals,
            "interrupted": 1,
            "syscallNames": ["fsync", "i386:open"],
            "deniedSyscalls": ["mount"],
            "lastNewCallTime": time,
            "architectures": ["x86_64"],
            "syscalls": [
                {"name": "fsync", "abi": "i386", "calls": 1, "errors": 0, "interrupted": 0, **lengths, "wait": False},
                {"name": "read", "calls": 1, "bytes": 2**53 + 1, "zeroResults": 1},
            ],
            "errorCounts": [
                {
                    "syscall": "openat",
                    "abi": "x32",
                    "errno": "ENOENT",
                    "count": 3,
                    "firstTime": time,
                    "lastTime": time,
                    "expected": False,
                    "expectedCount": 2,
                    "expectedReason": "a later call of the same process succeeded with the same file name",
                    "samples": [
                        {
                            "time": time,
                            "arguments": 'AT_FDCWD, "/etc/a"',
                            "pid": 7,
                            "tid": 8,
                            "hostPid": 48213,
                            "process": "app",
                            "thread": "io",
                            **place,
                        }
                    ],
                }
            ],
        },
        "findings": [
            {
                "id": "fsync-storm",
                "severity": "critical",
                "confidence": "high",
                "summary": "212 syncs a second take 68 % of the time.",
                "evidence": [{"name": "syncsPerSecond", "value": 212.5, "threshold": 10}],
                "advice": "Commit in groups.",
                "clearedBy": "A bulk load.",
                "containers": [{"pod": "checkout-0", "container": "app"}],
                "pods": 1,
                "ofPods": 3,
            }
        ],
        "notJudged": [{"id": "disk-slow", "needs": "views.blockIO"}],
        "findingIds": "fsync-storm",
        "comparison": full_comparison(),
        "report": "1. CRITICAL fsync-storm",
        "containers": [
            {**place, **totals, **life, "restarts": 0, "pid": 1, "hostPid": 48213, "timeBudget": budget, **of_container}
        ],
        "timeBudget": budget,
        "trust": {
            "complete": False,
            "lostCalls": 1,
            "skippedCalls": 2,
            "runtimeCalls": 40,
            "unmatchedCalls": 3,
            "unreturnedCalls": 2,
            "gaps": [{**place, **why, "startTime": time, "endTime": time}],
            "differences": {"network": -1},
            "losses": {
                "slowCalls": 1,
                "stacks": 1,
                "processCalls": 1,
                "errorSamples": 1,
                "execs": 2,
                "cpuTime": 2**53 + 1,
                "blockIO": 1,
                "ioUring": 1,
                "filePaths": 1,
                "fileCalls": 1,
                "network": 1,
                "dns": 1,
                "counters": 1,
                "memory": 1,
                "locks": 1,
                "callers": 1,
                "security": 1,
            },
            "ioUring": {
                "used": True,
                "rings": 2,
                "processes": [
                    {
                        "process": "db",
                        "pid": 7,
                        "hostPid": 4711,
                        "rings": 2,
                        "polled": True,
                        "pod": "p",
                        "container": "c",
                        "node": "n",
                    }
                ],
                "otherProcesses": 0,
                "advice": "views.ioUring counts it.",
                "operations": 2**53 + 1,
            },
            "cgroupMode": "hybrid",
            "agentCpuMillicores": 4,
        },
        "processes": [
            {
                "pid": 7,
                "parentPid": 1,
                "hostPid": 48213,
                "image": 1,
                "command": "./app",
                "title": "app: idle",
                "name": "worker",
                "firstName": "app",
                "arguments": ["--port", "80"],
                "executable": "/srv/app",
                "fromOutside": True,
                "startTime": "2026-11-23T14:00:01.123456Z",
                "lifetimeNanoseconds": 2**53 + 1,
                "exitCode": 3,
                "signal": "SIGKILL",
                "end": "killed for memory (SIGKILL)",
                "processes": 3,
                "living": 1,
                "ends": [{"end": "exited with 3", "count": 2}],
                "denied": 1,
                **totals,
                "threads": 2,
                "syscalls": [
                    {
                        "name": "read",
                        "abi": "i386",
                        "calls": 3,
                        "errors": 1,
                        "totalNanoseconds": 7,
                        "wait": False,
                        "denied": 1,
                    }
                ],
                "busiestThreads": [{"tid": 8, "hostTid": 48214, "name": "io", "firstName": "app", **totals}],
                "otherThreads": {"threads": 1, **totals},
                "execs": [{"time": "2026-11-23T14:00:01.123456Z", "command": "app", "executable": "/srv/app"}],
                "execsSeen": 1,
                **place,
            }
        ],
        "otherProcesses": {"processes": 4, **totals},
        "slowCalls": [
            {
                "time": "2026-11-23T14:00:01.123456Z",
                "syscall": "openat",
                "abi": "i386",
                "nanoseconds": 2**53 + 1,
                "cpuNanoseconds": 2**53 - 1,
                "runnableNanoseconds": 2,
                "wait": False,
                "arguments": 'AT_FDCWD, "/etc/a"',
                "result": -2,
                "errno": "ENOENT",
                "pid": 7,
                "tid": 8,
                "hostPid": 48213,
                "process": "app",
                "thread": "io",
                "kernelStack": ["io_schedule", "ext4_sync_file"],
                "userStack": ["fsync+0x10 (libc.so.6)", "app+0x1139 (build id 5f0c)"],
                **place,
            }
        ],
        "unreturned": [
            {
                "syscall": "read",
                "abi": "i386",
                "wait": False,
                "ageNanoseconds": 2**53 + 1,
                "beganEarlier": True,
                "arguments": "0<pipe>, ..., 1",
                "pid": 7,
                "tid": 8,
                "hostPid": 48213,
                "hostTid": 48214,
                "process": "app",
                "thread": "io",
                **place,
            }
        ],
        "views": ["counters", "files"],
        "timeline": {
            **{name: [0, 2**53 + 1] for name in ("calls", "errors", "totalNanoseconds", "waitNanoseconds")},
            "startTime": time,
            "bucketNanoseconds": 500_000_000,
            "lateSnapshots": 1,
            "chart": " calls | \u2588| at most 3 in 500.0ms\n",
            "containers": [
                {"pod": "checkout-0", "container": "app", "restarts": 0, "calls": [0, 3], "errors": [0, 0]},
            ],
        },
        "blockIO": {
            "requests": 2**53 + 1,
            "errors": 1,
            "readBytes": 4096,
            "writtenBytes": 8192,
            "devices": [
                {
                    "node": "n1",
                    "device": "sda",
                    "operation": "write",
                    "sync": True,
                    "metadata": False,
                    "attribution": "pageOwner",
                    "count": 3,
                    "bytes": 8192,
                    "errors": 1,
                    "sequential": 2,
                    "queueTime": request_times,
                    "deviceTime": request_times,
                    "histogram": [{"belowNanoseconds": 1 << 20, "count": 3}],
                }
            ],
            "otherDevices": {"rows": 1, "count": 2, "bytes": 4096, "errors": 0},
        },
        "files": {
            **file_use,
            "paths": [{"path": "/data/x\\xff", "file": "/data/y", "failed": failed, **file_use}],
            "otherPaths": {"paths": 1, "failed": failed, **file_use},
            "withoutPath": [{"kind": "socket", "failed": failed, **file_use}],
        },
        "ioUring": {
            "submitted": 2**53 + 1,
            "completed": 3,
            "errors": 1,
            "furtherResults": 2,
            "furtherErrors": 1,
            "operations": [
                {
                    "operation": "read",
                    "submitted": 2,
                    "completed": 3,
                    "errors": 1,
                    "untimed": 1,
                    "silent": 1,
                    "bytes": 512,
                    "errorCounts": [{"errno": "EIO", "count": 1}],
                    "otherErrors": 0,
                    **{f"{name}Nanoseconds": 5 for name in ("total", "p50", "p99", "max")},
                }
            ],
            "otherOperations": {"rows": 1, "submitted": 2, "completed": 2, "errors": 0},
        },
        "locks": {
            "waits": 2**53 + 1,
            "totalNanoseconds": 5,
            "locks": [
                {
                    "address": "0x7f0000001000",
                    "process": "app",
                    "container": "c",
                    "pod": "p",
                    "node": "n",
                    **dict.fromkeys(("pid", "hostPid", "threads", "waits", "failed", "wakes", "handedOn", "holds"), 7),
                    **{f"{name}Nanoseconds": 5 for name in ("total", "p50", "p99", "max", "held", "longestHeld")},
                }
            ],
            "otherLocks": {"rows": 1, "waits": 2, "totalNanoseconds": 3},
        },
        "network": full_network(),
        "security": full_security(),
        **of_all,
        "callers": [
            {
                "syscall": "read",
                "abi": "i386",
                "errno": "EIO",
                "share": 0.5,
                "shareError": 0.0301,
                "samples": 1000,
                "calls": 2**53 + 1,
                "stack": ["read (libc.so.6)", "main (app)"],
            }
        ],
        "otherCallers": {"stacks": 3, "samples": 4, "calls": 5},
        "truncated": False,
    }


def full_numbers() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the kernel counts anyway, of all and of one container, with every field set."""
    some = 2**53 + 1

    def of(names: str) -> dict[str, int]:
        return dict.fromkeys(names.split(), some)

    cpu = of("usageNanoseconds userNanoseconds systemNanoseconds periods throttledPeriods throttledNanoseconds")
    memory = of("faults majorFaults refaults highEvents maxEvents ooms oomKills")
    levels = of("limitBytes currentBytes peakBytes workingSetBytes anonBytes fileBytes")
    pressure = {f"{of_what}{how}Nanoseconds": 5 for of_what in ("cpu", "memory", "io") for how in ("Some", "Full")}
    by_bucket = (*GROWN_BY_BUCKET, *LEVELS_BY_BUCKET)
    buckets = {name.partition(".")[2]: [some, 0] for name in by_bucket}
    missing = {"name": "memory.peakBytes", "reason": "Linux 5.19 and later have it"}
    software = of("minorFaults majorFaults voluntarySwitches involuntarySwitches migrations")
    software |= {"runQueueNanoseconds": some, "cpuNanoseconds": some}
    hardware = [
        {"name": "cycles", "count": some, "enabledNanoseconds": 5, "runningNanoseconds": 4},
        {"name": "cache-misses", "unavailable": "the machine has no such counter"},
    ]
    flows = {"flows": [{"kind": "munmap", **of("calls failed bytes totalNanoseconds")}], "unsizedCalls": 1}
    grown = {"kind": "brk up", **of("calls bytes"), "stack": ["leak (app)", "main (app)"]}
    level = of("anonBytes fileBytes sharedBytes swapBytes virtualBytes pageTableBytes")
    level |= {"sinceStartNanoseconds": 5, "processes": 2, "unreadProcesses": 1}
    of_all = {
        "resources": {
            "cpu": cpu,
            "memory": memory,
            "unavailable": [{**missing, "containers": 1}],
            "pods": [full_pod()],
            "buckets": buckets,
        },
        "counters": {"software": software, "hardware": hardware},
        "memory": {**flows, "growth": [grown], "otherGrowth": of("calls bytes")},
    }
    own = {
        "cpu": {**cpu, "limitMillicores": 300},
        "memory": {**memory, **levels},
        "pressure": pressure,
        "pids": of("maxEvents current limit underLimit"),
        "limits": {"openFiles": 2**63 - 1},
        "buckets": buckets,
        "coveredNanoseconds": 5,
        "endedUnread": True,
        "unavailable": [missing],
    }
    return of_all, {**of_all, "resources": own, "memory": {**flows, "levels": [level]}}


NAMES = {address: PeerName("db-0", "StatefulSet/db", "db") for address in ("10.0.0.7", "10.0.0.8")}


def full_pod() -> dict[str, Any]:
    """Return the network of a pod with every field set."""
    counters, levels = dict.fromkeys(COUNTERS.values(), 2**53 + 1), dict.fromkeys(LEVELS, 3)
    return dict(Pod(True, counters, levels).document(PodKey("n1", "checkout-0")))


def full_network() -> dict[str, Any]:
    """Return the view network with every field set."""
    times = {f"{name}Nanoseconds": 2**53 + 1 for name in ("p50", "p99", "max")}
    counts = dict.fromkeys(("attempts", "established", "abandoned", "bytesSent", "bytesReceived"), 2**53 + 1)
    more = dict.fromkeys(("closed", "open", "retransmits"), 1)
    calls = ("connectAttempts", "connectAgain", "connectOtherSockets", "accepted", "acceptFailed", "acceptOtherSockets")
    calls += ("messageCalls", "tcpMessageCalls", "otherMessageCalls", "readWriteCalls")
    udp, unix = SocketKey("udp", "client", "10.0.0.8", 53, ""), SocketKey("unix", "client", "", 0, "/run/a.sock")
    peer = PeerKey("client", "10.0.0.7", 5432)
    rows = Peer(failed={"ECONNREFUSED": 3}, abandoned=1, rtt_count=1).document(peer, NAMES)
    lengths = Times({100: 1}, 1, 1)
    question, other = QuestionKey("db.shop", "A", "10.96.0.10"), QuestionKey("", "", "", other=True)
    missing = QuestionKey("db.shop.shop.svc.cluster.local", "A", "10.96.0.10")
    found, gone = (
        Question(dict.fromkeys(NUMBERS, 0) | {"answers": 1}, lengths),
        dict.fromkeys(NUMBERS, 0) | {"nxdomain": 1},
    )
    dns = Dns({question: found, missing: Question(gone), other: Question(gone)}, names=dict.fromkeys(NAMES, "db.shop"))
    return {
        **counts,
        "failed": 3,
        "passedSockets": 1,
        "calls": dict.fromkeys(calls, 7) | {"attemptsWithoutCall": -1},
        "peers": [dns.named(rows) | {"connect": times, "lifetime": times}],
        "sockets": [dns.named(Socket(failed={"ECONNREFUSED": 3}).document(each, NAMES)) for each in (udp, unix)],
        **dns.document(),
        **dns.section(3, 1).document(2)["network"],
        "otherSockets": others([(udp, Socket(failed={"EPERM": 1}))]),
        "otherPeers": {**counts, **more, "rows": 1, "failed": 1},
        "listeners": [Listener().document(ListenerKey("n1", "checkout-0", "::", 8080)) | {"acceptDelay": times}],
        "pods": [full_pod()],
    }


def full_security() -> dict[str, Any]:
    """Return the view security with every field set."""
    where = {"count": 2**53 + 1, "containers": [{"pod": "p", "container": "c"}], "containerCount": 1}
    of_both = {"fromOutside": True, "runtime": True, **where}
    words = ("abi", "process", "object", "named", "pattern", "access", "errno", "pod", "workload", "service")
    match = {"kind": "peer", "syscall": "connect", "program": "app", "expected": False, **dict.fromkeys(words, "x")}
    execution = {"path": "/bin/sh", "program": "dash", "place": "image", "signs": ["socket"], "shell": True}
    execution |= {"interactive": True, **dict.fromkeys(("argument", "parent", "peer", "rights"), "x")}
    return {
        "executions": 2**53 + 1,
        "expectedPeersGiven": True,
        "counts": [{"kind": "peer", "count": 1}],
        "matches": [match | of_both],
        "otherMatches": 1,
        "execs": [execution | of_both],
        "otherExecs": 1,
    }


def write_status(cluster: Cluster, status: dict[str, Any], *options: str) -> str:
    """Write a status as the operator does, without keeping it, and return what the API server answered."""
    words = ["patch", "tsess", "slow-checkout", "--subresource=status", "--type=merge", "--dry-run=server"]
    return cluster.ask(*words, "-p", json.dumps({"status": status}), *options)


def test_the_schema_holds_all_that_the_operator_writes(cluster: Cluster) -> None:
    """A whole status comes back as it was written: no field pruned, no large number rounded."""
    created(cluster, session())

    answered = json.loads(write_status(cluster, full_status(), "-o", "json"))["status"]

    assert answered == full_status()


def test_the_full_status_above_names_every_field_of_the_schema(chart: Chart) -> None:
    """A field that is added to the schema is added to the test above."""
    (version,) = chart.one("CustomResourceDefinition", "tracesessions.kubestrace.io")["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["status"]

    assert _paths_of_schema(schema) == _paths_of_value(full_status())


def test_status_cannot_be_written_with_the_spec(cluster: Cluster) -> None:
    """Who may only create sessions cannot forge a result."""
    given = created(cluster, {**session(), "status": full_status()})

    assert given["status"] == {"observedGeneration": -1}


@pytest.fixture
def shown(cluster: Cluster) -> dict[str, Any]:
    """Return kubectl get's columns and cells for a finished session, as {name: (cell, priority)}."""
    created(cluster, session())
    answer = cluster.table_of_status("tracesessions", "slow-checkout", full_status())
    (row,) = answer["rows"]
    return {
        column["name"]: (cell, column["priority"])
        for column, cell in zip(answer["columnDefinitions"], row["cells"], strict=True)
    }


def test_kubectl_get_shows_how_a_session_stands(shown: dict[str, Any]) -> None:
    """Phase, pods, calls, errors, completeness and the end at a glance."""
    age = shown.pop("Age")
    glance = {name: cell for name, (cell, priority) in shown.items() if priority == 0}

    assert age[1] == 0
    assert glance == {
        "Name": "slow-checkout",
        "Phase": "Succeeded",
        "Pods": 3,
        "Calls": 9_000_000_000,
        "Errors": 3,
        "Complete": False,
        "Findings": "fsync-storm",
        "Ends": "2026-11-23T14:00:30Z",
    }


def test_kubectl_get_wide_says_why(shown: dict[str, Any]) -> None:
    """-o wide adds the reason and the message, and what the operator reads of a row."""
    wide = {name: cell for name, (cell, priority) in shown.items() if priority == 1}

    assert wide == {
        "Reason": "Completed",
        "Message": "Traced.",
        "Completed": "2026-11-23T14:00:30.123456Z",
        "TTL": None,
        "Container-Seconds": 60,
    }


def test_the_short_name_and_the_category_work(cluster: Cluster) -> None:
    """`kubectl get tsess` and `kubectl get tracing` find the sessions."""
    created(cluster, session())

    assert cluster.ask("get", "tsess", "-o", "name") == "tracesession.kubestrace.io/slow-checkout\n"
    assert "slow-checkout" in cluster.ask("get", "tracing", "-o", "name")


def test_kubectl_explain_tells_what_a_field_means(dry_cluster: Cluster) -> None:
    """The descriptions reach the person who asks."""
    printed = dry_cluster.ask("explain", "tsess.status.trust.lostCalls")

    assert "Calls that could not be counted" in printed


def test_every_field_has_a_description(chart: Chart) -> None:
    """The reference is made from the schema, so nothing in it may go without words."""
    (version,) = chart.one("CustomResourceDefinition", "tracesessions.kubestrace.io")["spec"]["versions"]

    silent = [path for path, node in _fields(version["schema"]["openAPIV3Schema"]) if "description" not in node]

    assert silent == ["metadata"]


@pytest.mark.parametrize("unit", ["Nanoseconds", "Milliseconds", "Seconds"])
def test_a_field_with_a_unit_says_it(chart: Chart, unit: str) -> None:
    """In words, beside its name: in its own description, or in that of the whole for parts of one."""
    (version,) = chart.one("CustomResourceDefinition", "tracesessions.kubestrace.io")["spec"]["versions"]
    fields = _fields(version["schema"]["openAPIV3Schema"])

    silent = [
        path
        for path, node in fields
        if re.search(rf"(?<!Nano)(?<!Milli){unit}\b|^{unit.lower()}$", path.rpartition(".")[2])
        and unit.lower() not in node["description"]
    ]

    assert silent == []


def _fields(node: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, child in node.get("properties", {}).items():
        found += [(prefix + name, child), *_fields(child.get("items", child), f"{prefix}{name}.")]
    return found


def _paths_of_schema(node: dict[str, Any]) -> set[str]:
    return {path for path, _ in _fields(node)}


def _paths_of_value(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, list):
        return set().union(*(_paths_of_value(item, prefix) for item in value))
    if not isinstance(value, dict):
        return set()
    return {prefix + name for name in value}.union(
        *(_paths_of_value(child, f"{prefix}{name}.") for name, child in value.items())
    )
