"""A session from its object to its terminal status, over a fake cluster and fake agents."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from google.protobuf.message import Message
from operator_fakes import TRACING, Document, Stage, in_no_time, pod

from kubestrace_operator.agents.client import AgentFullError, AgentUnavailableError, CannotTraceError
from kubestrace_operator.api.spec import Selector, Workload
from kubestrace_operator.kube.errors import ClusterError, NotFoundError, RejectedError
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import slow_calls_pb2, timeline_pb2

_Request = TypeVar("_Request", bound=Message)


async def during(stage: Stage, act: Callable[[], Awaitable[None] | None], at: float = 3.0, **spec: object) -> None:
    """Run a session to its end and let something happen while it runs."""
    running = asyncio.create_task(stage.session(**spec).run())
    await asyncio.sleep(at)
    happened = act()
    if happened is not None:
        await happened
    await running


@in_no_time
async def test_two_nodes_are_added_up() -> None:
    """Calls and errors of pods on two nodes are summed, and shown for each container."""
    stage = Stage(pod("a"), pod("b", "n2"))

    status = await stage.run()

    assert status["phase"] == "Succeeded"
    assert stage.condition("Finished") == ("True", "Completed")
    assert stage.condition("Succeeded") == ("True", "Completed")
    assert stage.condition("DataComplete") == ("True", "Complete")
    assert status["summary"]["calls"] == 200
    assert status["summary"]["errors"] == 2
    assert [(row["pod"], row["node"], row["calls"]) for row in status["containers"]] == [
        ("a", "n1", 100),
        ("b", "n2", 100),
    ]
    assert status["targets"] == {"matched": 2, "tracing": 0, "finished": 2, "failed": 0, "skipped": 0}
    assert status["trust"]["cgroupMode"] == "unified"
    assert "getppid" in status["table"]
    assert stage.message() == "Traced 2 containers in 2 pods on 2 nodes for 10 s: 200 calls, 2 of them failed."


@in_no_time
async def test_tracing_is_said_at_once_and_the_end_in_time() -> None:
    """The first status says Tracing, live counts follow every few seconds, the last comes when the time is over."""
    stage = Stage(pod("a"))
    running = asyncio.create_task(stage.session(durationSeconds=9).run())
    await asyncio.sleep(0.1)
    first = list(stage.cluster.written)

    await running

    assert [each["phase"] for each in first] == ["Tracing"]
    assert first[0]["targets"]["tracing"] == 1
    assert [each["phase"] for each in stage.cluster.written] == ["Tracing", "Tracing", "Succeeded"]
    assert stage.cluster.written[1]["summary"]["calls"] > 0
    assert asyncio.get_running_loop().time() < 9.1


@in_no_time
async def test_no_pod_matches() -> None:
    """The session waits as long as it would have traced, says what for, and fails with that reason."""
    stage = Stage()
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(1)
    waiting = stage.condition("Finished"), stage.cluster.status["phase"]
    await running

    assert waiting == (("False", "NoMatchingPods"), "Pending")
    assert stage.cluster.status["phase"] == "Failed"
    assert stage.condition("Succeeded") == ("False", "NoMatchingPods")
    assert "app=shop" in stage.message()
    assert "startTime" not in stage.cluster.status


@in_no_time
async def test_a_pod_that_comes_late_is_traced() -> None:
    """The duration counts from the first container, not from the session's creation."""
    stage = Stage()

    await during(stage, lambda: stage.cluster.become(pod("a")), at=5.0)

    assert stage.condition("Finished") == ("True", "Completed")
    assert stage.cluster.status["summary"]["calls"] == 100
    assert asyncio.get_running_loop().time() > 14.9


@in_no_time
async def test_lives_of_a_crash_loop_that_only_the_agent_sees() -> None:
    """Nothing runs when the operator looks: each life is a row, and nothing says that the pod was not traced."""
    stage = Stage(pod("a", restarts=4, state={"waiting": {"reason": "CrashLoopBackOff"}}))
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(4)
    waiting = stage.condition("Finished")
    for restarts in (5, 6):
        stage.agents["n1"].live("u1", restarts)
        await asyncio.sleep(2)
    await running
    status = stage.cluster.status

    assert waiting == ("False", "NotRunning")
    assert stage.condition("Finished") == ("True", "Completed")
    assert [(row["restarts"], row["kind"], row["exitCode"], row["reason"]) for row in status["containers"]] == [
        (restarts, "container", 3, "Error") for restarts in (5, 6)
    ]
    assert "failures" not in status or status["failures"] == []
    assert status["targets"] == {"matched": 1, "tracing": 0, "finished": 1, "failed": 0, "skipped": 0}


@in_no_time
async def test_the_session_begins_with_the_first_container_that_an_agent_saw() -> None:
    """However late its report comes: so both end at the same time."""
    stage = Stage(pod("a", state={"waiting": {"reason": "CrashLoopBackOff"}}))
    running = asyncio.create_task(stage.session(durationSeconds=60).run())
    await asyncio.sleep(8.5)
    stage.agents["n1"].live("u1", 5)
    await running
    status = stage.cluster.status

    assert status["startTime"] == "2026-01-01T00:00:08.500000Z"
    assert asyncio.get_running_loop().time() < 68.6
    assert status["containers"][0]["calls"] == 600


@in_no_time
async def test_the_session_begins_then_also_where_the_pod_is_seen_first() -> None:
    """The operator sends the running container before it has a report: that has the time."""
    stage = Stage(pod("a", state={"waiting": {"reason": "ContainerCreating"}}))
    running = asyncio.create_task(stage.session(durationSeconds=60).run())
    await asyncio.sleep(8.5)
    stage.agents["n1"].live("u1", 0)
    await asyncio.sleep(0.2)
    stage.cluster.become(pod("a"))
    await running

    assert stage.cluster.status["startTime"] == "2026-01-01T00:00:08.500000Z"


@in_no_time
async def test_an_agent_that_waits_hears_that_the_session_runs() -> None:
    """Its first container comes later than another node's: it ends with the session, not after its whole duration."""
    stage = Stage(pod("a"), pod("b", "n2", state={"waiting": {"reason": "ContainerCreating"}}))
    running = asyncio.create_task(stage.session(durationSeconds=20).run())
    await asyncio.sleep(10)
    requests = stage.agents["n2"].requests
    asked = [(each.elapsed_milliseconds > 0, len(each.pods)) for each in requests]
    first, again = requests
    await running

    assert asked == [(False, 1), (True, 1)]
    assert again.elapsed_milliseconds + again.duration_milliseconds == first.duration_milliseconds == 20_000


@in_no_time
async def test_a_container_that_agent_and_operator_name_differently_is_one_row() -> None:
    """The agent may not know the name of the runtime."""
    stage = Stage(pod("a", restarts=1, state={"waiting": {"reason": "ContainerCreating"}}))
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(2)
    stage.agents["n1"].live("u1", 1)
    await asyncio.sleep(2)
    stage.cluster.become(pod("a", restarts=1))
    await running

    assert [row["restarts"] for row in stage.cluster.status["containers"]] == [1]
    assert stage.message().startswith("Traced 1 container in 1 pod on 1 node for 10 s")


def gap_reasons(status: Document) -> list[str]:
    """Return why something was not counted."""
    return [each["reason"] for each in status["trust"]["gaps"]]


@in_no_time
async def test_an_agent_of_an_earlier_version_traces_what_runs() -> None:
    """It is told no pods, which it would refuse; that containers are counted late there is a gap of the node."""
    stage = Stage(pod("a"), pod("b", "n2"))
    stage.agents["n1"].become_older_than_pods()

    status = await stage.run()

    assert [len(each.pods) for each in stage.agents["n1"].requests] == [0]
    assert [len(each.pods) for each in stage.agents["n2"].requests] == [1]
    assert [(row["pod"], row["calls"]) for row in status["containers"]] == [("a", 100), ("b", 100)]
    assert [(each["node"], each["reason"]) for each in status["trust"]["gaps"]] == [("n1", "FirstCallsNotCounted")]
    assert "update it" in status["trust"]["gaps"][0]["message"]
    assert status.get("failures", []) == []


@in_no_time
async def test_an_agent_of_an_earlier_version_is_asked_for_nothing_while_nothing_runs() -> None:
    """Its trace would begin, and end, without containers."""
    stage = Stage(pod("a", state={"waiting": {"reason": "ContainerCreating"}}))
    stage.agents["n1"].become_older_than_pods()
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(5)
    before = list(stage.agents["n1"].requests)
    stage.cluster.become(pod("a"))
    await running

    assert before == []
    assert stage.cluster.status["summary"]["calls"] == 100
    assert gap_reasons(stage.cluster.status) == ["FirstCallsNotCounted"]


@in_no_time
async def test_an_agent_is_updated_while_a_session_runs() -> None:
    """The new one is told the pods."""
    stage = Stage(pod("a"))
    agent = stage.agents["n1"]
    agent.become_older_than_pods()

    def update() -> None:
        agent.described.watches_pods = True
        agent.restart()

    await during(stage, update)

    assert [len(each.pods) for each in agent.requests] == [0, 1]
    assert gap_reasons(stage.cluster.status) == ["FirstCallsNotCounted", "AgentRestarted"]


@in_no_time
async def test_a_node_whose_pod_never_starts_does_not_delay_the_end() -> None:
    """Its agent waits for the pod's containers, and is told to end."""
    stage = Stage(pod("a"), pod("b", "n2", state={"waiting": {"reason": "ImagePullBackOff"}}))

    status = await stage.run()

    assert asyncio.get_running_loop().time() < 11
    assert stage.agents["n2"].stops == ["u1"]
    assert [(each["pod"], each["reason"]) for each in status["failures"]] == [("b", "NotRunning")]


@in_no_time
async def test_more_pods_than_wanted() -> None:
    """Only the oldest maxPods are traced; the others are named, and the result counts as complete."""
    stage = Stage(
        pod("young", created="2026-01-03"), pod("old", created="2026-01-01"), pod("mid", created="2026-01-02")
    )

    status = await stage.run(target={"selector": {"matchLabels": {"app": "shop"}}, "maxPods": 2})

    assert {row["pod"] for row in status["containers"]} == {"old", "mid"}
    assert status["targets"]["matched"] == 3
    assert status["targets"]["skipped"] == 1
    assert [(each["pod"], each["reason"]) for each in status["failures"]] == [("young", "MaxPodsReached")]
    assert "young" in stage.message()
    assert stage.condition("DataComplete")[0] == "True"


@in_no_time
async def test_a_container_name_that_no_pod_has() -> None:
    """The failure says which names there are."""
    stage = Stage(pod("a", containers=["app", "proxy"]))

    status = await stage.run(target={"podName": "a", "containers": ["ap"]})

    assert status["phase"] == "Failed"
    assert stage.message().startswith("Nothing was traced. 1 pod matches, but no matching pod has a container 'ap'")
    assert "app, proxy" in stage.message()
    assert status["failures"][0]["reason"] == "ContainerNotFound"


@in_no_time
async def test_syscalls_that_no_agent_can_check() -> None:
    """Without an agent nobody knows the calls; the pods that wait for it are named."""
    stage = Stage(pod("a"), nodes=())

    status = await stage.run(syscalls=["openat"])

    assert stage.condition("Finished") == ("True", "AgentUnavailable")
    assert [(each["pod"], each["reason"]) for each in status["failures"]] == [("a", "AgentUnavailable")]


@in_no_time
async def test_a_static_pod_is_one_pod() -> None:
    """Agents know it by its hash, the API server by the UID of its mirror."""
    static = pod("a")
    static["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "0123456789abcdef" * 2}
    stage = Stage(static)

    status = await stage.run()

    assert status["targets"] == {"matched": 1, "tracing": 0, "finished": 1, "failed": 0, "skipped": 0}


@in_no_time
async def test_an_unknown_syscall_fails_at_once() -> None:
    """Patterns are checked by an agent; its suggestions reach the person, and nothing is traced."""
    stage = Stage(pod("a"))

    await stage.run(syscalls=["opennat"], durationSeconds=3600)

    assert stage.condition("Finished") == ("True", "InvalidSpec")
    assert stage.message() == "The spec cannot be served: spec.syscalls: opennat: did you mean openat."
    # The agent was ready: what is wrong is the spec alone.
    assert stage.cluster.status["failures"] == []
    assert stage.agents["n1"].requests == []
    assert asyncio.get_running_loop().time() < 1


@in_no_time
async def test_an_expression_that_is_none_needs_no_agent() -> None:
    """The operator says what is wrong with all of them, in the agents' words, whether or not an agent is there."""
    stage = Stage(pod("a"), nodes=())

    await stage.run(syscalls=["/^open", "!?/(a", "/a{9999}"])

    assert stage.condition("Finished") == ("True", "InvalidSpec")
    assert 'spec.syscalls: "!?/(a" is not a usable regular expression: it lacks a ")"' in stage.message()
    assert '"/a{9999}" is not a usable regular expression: it is too large' in stage.message()
    assert asyncio.get_running_loop().time() < 1


@in_no_time
async def test_an_invalid_spec_names_every_problem() -> None:
    """What the schema should have refused is refused here too, all of it at once."""
    stage = Stage()

    await stage.run(target={"podName": "a", "selector": {}}, durationSeconds=0)

    assert stage.condition("Finished") == ("True", "InvalidSpec")
    assert "exactly one of" in stage.message()
    assert "durationSeconds" in stage.message()


@in_no_time
async def test_a_target_that_the_api_server_does_not_understand() -> None:
    """However it came through the checks: the session fails with the server's words."""
    stage = Stage(pod("a"))

    async def refuse(*_: object, **__: object) -> AsyncIterator[list[Document]]:
        raise RejectedError("unable to parse requirement")
        yield []

    stage.cluster.pods = refuse  # type: ignore[method-assign, assignment]

    await stage.run()

    assert stage.condition("Finished") == ("True", "InvalidSpec")
    assert "unable to parse requirement" in stage.message()


@in_no_time
async def test_cancel_keeps_the_counts() -> None:
    """A cancelled session ends its traces and keeps what was counted."""
    stage = Stage(pod("a"), pod("b", "n2"))
    session = stage.session(durationSeconds=3600)
    running = asyncio.create_task(session.run())
    await asyncio.sleep(5)
    session.change({"cancel": True}, 2)
    await running

    status = stage.cluster.status
    assert status["phase"] == "Cancelled"
    assert stage.condition("Succeeded") == ("False", "Cancelled")
    assert status["summary"]["calls"] == 100
    assert status["observedGeneration"] == 2
    assert stage.agents["n1"].stops == stage.agents["n2"].stops == ["u1"]


@in_no_time
async def test_cancel_before_anything_was_traced() -> None:
    """A session that only waited says so."""
    stage = Stage()

    await stage.run(cancel=True)

    assert stage.condition("Finished") == ("True", "Cancelled")
    assert "before anything" in stage.message()


@in_no_time
async def test_a_node_without_an_agent() -> None:
    """The other node is traced; the failure names the node and its pods, and nobody waits for it at the end."""
    stage = Stage(pod("a"), pod("b", "n3"))

    status = await stage.run()

    assert stage.condition("Finished") == ("True", "PartiallyCompleted")
    assert stage.condition("DataComplete") == ("False", "TargetsFailed")
    assert [(each["node"], each["reason"]) for each in status["failures"]] == [("n3", "AgentUnavailable")]
    assert "b" in status["failures"][0]["message"]
    assert status["targets"] == {"matched": 2, "tracing": 0, "finished": 1, "failed": 1, "skipped": 0}
    assert asyncio.get_running_loop().time() < 10.5


@in_no_time
async def test_no_agent_at_all() -> None:
    """The session waits for agents, says so, and fails with AgentUnavailable."""
    stage = Stage(pod("a"), nodes=())
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(1)
    waiting = stage.condition("Finished")
    await running

    assert waiting == ("False", "AgentsNotReady")
    assert stage.condition("Finished") == ("True", "AgentUnavailable")
    assert "n1" in stage.message()


@in_no_time
async def test_an_agent_that_becomes_ready_late() -> None:
    """A waiting session starts as soon as the agent is there."""
    stage = Stage(pod("a"))
    stage.agents["n1"].ready = False

    def ready() -> None:
        stage.agents["n1"].ready = True
        stage.agents.changed()

    await during(stage, ready, at=4.0)

    assert stage.condition("Finished") == ("True", "Completed")
    assert asyncio.get_running_loop().time() < 14.2


@in_no_time
async def test_a_node_that_starts_late_is_seen_soon() -> None:
    """Who waits for its pods does not wait for the next totals; many late nodes do not make as many writes."""
    late = [f"late{number}" for number in range(6)]
    stage = Stage(pod("a"), *(pod(f"b-{name}", name) for name in late), nodes=("n1", *late))
    seen: list[int] = []
    for name in late:
        stage.agents[name].ready = False
    running = asyncio.create_task(stage.session(durationSeconds=60).run())
    await asyncio.sleep(10)
    for name in late:
        stage.agents[name].ready = True
        stage.agents.changed()
        await asyncio.sleep(1.5)
        seen.append(stage.cluster.status["targets"]["tracing"])
    writes = len(stage.cluster.written)
    await running

    assert seen[:3] == [2, 3, 4]
    assert stage.cluster.status["targets"]["finished"] == 7
    assert writes <= 7


@in_no_time
async def test_a_node_that_cannot_trace() -> None:
    """Its failure carries the agent's reason and words; other nodes go on."""
    stage = Stage(pod("a"), pod("b", "n2"))
    stage.agents["n2"].refuses = CannotTraceError("this node has cgroup v1 only", "UnsupportedCgroups")

    status = await stage.run()

    assert stage.condition("Finished") == ("True", "PartiallyCompleted")
    assert status["failures"][0]["reason"] == "UnsupportedCgroups"
    assert "cgroup v1 only" in status["failures"][0]["message"]
    assert status["summary"]["calls"] == 100


@in_no_time
async def test_no_node_can_trace() -> None:
    """When every node refuses, the session fails at once with their reason."""
    stage = Stage(pod("a"))
    stage.agents["n1"].refuses = CannotTraceError("no BPF here", "UnsupportedKernel")

    await stage.run(durationSeconds=3600)

    assert stage.condition("Finished") == ("True", "UnsupportedKernel")
    assert "No BPF here." in stage.message()
    assert asyncio.get_running_loop().time() < 2


@in_no_time
async def test_a_full_agent_is_asked_again() -> None:
    """A cap that is reached is a failure as long as it lasts."""
    stage = Stage(pod("a"))
    stage.agents["n1"].refuses = AgentFullError("64 traces run already")

    def room() -> None:
        stage.agents["n1"].refuses = None

    await during(stage, room, at=2.0)

    assert stage.condition("Finished") == ("True", "Completed")


@in_no_time
async def test_an_agent_that_is_restarted() -> None:
    """Counts from before are kept, the next agent goes on with the rest of the time, and trust shows the gap."""
    stage = Stage(pod("a"))

    async def killed() -> None:
        stage.agents["n1"].answers = False
        await asyncio.sleep(2)
        stage.agents["n1"].restart()

    await during(stage, killed, at=4.5)

    status = stage.cluster.status
    assert 60 <= status["summary"]["calls"] <= 80
    (gap,) = status["trust"]["gaps"]
    assert (gap["node"], gap["reason"]) == ("n1", "AgentRestarted")
    assert gap["startTime"] < gap["endTime"]
    assert status["trust"]["complete"] is False
    assert stage.condition("Finished") == ("True", "PartiallyCompleted")
    assert stage.condition("DataComplete") == ("False", "TimeMissing")
    assert len(status["containers"]) == 1
    assert stage.agents["n1"].requests[-1].duration_milliseconds < 5000
    assert ("Warning", "AgentLost") in [event[:2] for event in stage.events]


@in_no_time
async def test_a_connection_that_breaks_costs_nothing() -> None:
    """The same agent is found again with all its counts: there is no gap."""
    stage = Stage(pod("a"))

    async def broken() -> None:
        stage.agents["n1"].answers = False
        await asyncio.sleep(2)
        stage.agents["n1"].answers = True

    await during(stage, broken)

    assert stage.cluster.status["summary"]["calls"] == 100
    assert stage.cluster.status["trust"]["gaps"] == []
    assert stage.condition("Finished") == ("True", "Completed")


@in_no_time
async def test_an_agent_that_never_comes_back() -> None:
    """The session ends soon after its time with what is known, a failure and an open gap."""
    stage = Stage(pod("a"), pod("b", "n2"))

    def gone() -> None:
        stage.agents["n2"].ready = stage.agents["n2"].answers = False
        stage.agents.changed()

    await during(stage, gone, at=5.5)

    status = stage.cluster.status
    assert stage.condition("Finished") == ("True", "PartiallyCompleted")
    assert 140 <= status["summary"]["calls"] <= 160
    assert [each["node"] for each in status["failures"]] == ["n2"]
    assert [(gap["node"], "endTime" in gap) for gap in status["trust"]["gaps"]] == [("n2", False)]
    assert asyncio.get_running_loop().time() < 13


@in_no_time
async def test_an_agent_that_hangs_is_not_waited_for() -> None:
    """A final report that never comes ends the session after a grace, not never."""
    stage = Stage(pod("a"))
    session = stage.session()
    running = asyncio.create_task(session.run())
    await asyncio.sleep(5.5)
    stage.agents["n1"].traces["u1"].end = 10**6

    async def hang(*_: object) -> agent_pb2.Report:
        await asyncio.sleep(10**6)
        raise AssertionError

    stage.agents.stop = hang  # type: ignore[method-assign, assignment]
    await running

    assert stage.condition("Finished") == ("True", "PartiallyCompleted")
    assert asyncio.get_running_loop().time() < 20
    # What it counted since its last report is missing.
    (gap,) = stage.cluster.status["trust"]["gaps"]
    assert (gap["node"], gap["reason"], "endTime" in gap) == ("n1", "AgentUnavailable", False)
    assert stage.condition("DataComplete") == ("False", "TimeMissing")


@in_no_time
async def test_a_node_that_is_only_late_is_not_asked_for_its_final_report() -> None:
    """Its stream is open: to be asked as well would make a busy node later."""
    stage = Stage(pod("a"))
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(5)
    trace = stage.agents["n1"].traces["u1"]
    trace.end += 4
    await running

    assert stage.agents["n1"].stops == []
    assert stage.condition("Finished") == ("True", "Completed")


@in_no_time
async def test_a_node_whose_stream_brings_no_final_report_is_asked_for_it() -> None:
    """It is there, and its stream is open, but it goes on."""
    stage = Stage(pod("a"))
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(5)
    stage.agents["n1"].traces["u1"].end = 10**6
    await asyncio.sleep(9.5)
    before = list(stage.agents["n1"].stops)
    await running

    assert (before, stage.agents["n1"].stops) == ([], ["u1"])
    assert stage.condition("Finished") == ("True", "Completed")


@in_no_time
async def test_totals_meanwhile_wait_behind_what_somebody_waits_for() -> None:
    """That a session traces is told at once; where it stands later is not so pressing."""
    stage = Stage(pod("a"))

    await stage.run(durationSeconds=60)

    assert stage.cluster.awaited[0] == ("Tracing", True)
    assert set(stage.cluster.awaited[1:-1]) == {("Tracing", False)}
    assert stage.cluster.awaited[-1] == ("Succeeded", True)


@in_no_time
async def test_a_restarted_container_is_traced_again() -> None:
    """Both lives of the container are shown."""
    stage = Stage(pod("a"))

    await during(stage, lambda: stage.cluster.become(pod("a", restarts=1)), at=5.0)

    rows = stage.cluster.status["containers"]
    assert [(row["restarts"], row["calls"]) for row in rows] == [(0, 100), (1, 50)]
    assert stage.cluster.status["targets"]["matched"] == 1


@in_no_time
async def test_new_pods_are_traced_too() -> None:
    """A pod that is replaced on another node is followed there, with the time that is left."""
    stage = Stage(pod("a"))

    await during(stage, lambda: stage.cluster.become(pod("b", "n2")), at=5.0)

    assert {row["pod"] for row in stage.cluster.status["containers"]} == {"a", "b"}
    assert stage.agents["n2"].requests[0].duration_milliseconds == 5000
    assert stage.condition("Finished") == ("True", "Completed")


@in_no_time
async def test_a_container_that_cannot_be_found() -> None:
    """It is a failure with the agent's reason; the rest is traced."""
    stage = Stage(pod("a", containers=["app", "odd"]))
    stage.agents["n1"].unknown.add("containerd://a-odd-0")

    status = await stage.run()

    (failure,) = status["failures"]
    assert (failure["pod"], failure["container"], failure["reason"]) == ("a", "odd", "CgroupNotFound")
    assert [row["container"] for row in status["containers"]] == ["app"]
    assert stage.condition("Finished") == ("True", "PartiallyCompleted")


@in_no_time
async def test_no_container_can_be_found() -> None:
    """The session fails with the agent's reason, and leaves no empty trace behind."""
    stage = Stage(pod("a"))
    stage.agents["n1"].unknown.add("containerd://a-app-0")

    await stage.run()

    assert stage.condition("Finished") == ("True", "CgroupNotFound")
    assert stage.agents["n1"].traces["u1"].reason != agent_pb2.END_REASON_UNSPECIFIED


@in_no_time
async def test_a_container_that_is_found_at_the_second_try() -> None:
    """What an agent could not trace is asked for again; the failure goes when it succeeds."""
    stage = Stage(pod("a", containers=["app", "odd"]))
    stage.agents["n1"].unknown.add("containerd://a-odd-0")

    await during(stage, stage.agents["n1"].unknown.clear)

    assert stage.cluster.status["failures"] == []
    assert len(stage.cluster.status["containers"]) == 2


@in_no_time
async def test_an_agent_that_dies_before_its_first_report() -> None:
    """Even then the time that nobody counted is shown."""
    stage = Stage(pod("a"))
    answer = stage.agents.watch

    async def dies(*_: object) -> AsyncIterator[agent_pb2.Report]:
        stage.agents.watch = answer  # type: ignore[method-assign]
        await asyncio.sleep(2)
        stage.agents["n1"].restart()
        raise AgentUnavailableError("gone")
        yield agent_pb2.Report()

    stage.agents.watch = dies  # type: ignore[method-assign, assignment]

    await stage.run()

    assert [gap["reason"] for gap in stage.cluster.status["trust"]["gaps"]] == ["AgentRestarted"]
    assert stage.condition("Finished") == ("True", "PartiallyCompleted")


@in_no_time
async def test_a_pod_that_never_ran_is_named() -> None:
    """A matching pod whose container waits is no silent zero."""
    stage = Stage(pod("a"), pod("b", state={"waiting": {"reason": "CrashLoopBackOff"}}))

    status = await stage.run()

    (failure,) = status["failures"]
    assert failure["pod"] == "b"
    assert "CrashLoopBackOff" in failure["message"]
    assert status["targets"]["failed"] == 1


@in_no_time
async def test_a_container_that_crashes_again_and_again() -> None:
    """A pod matches, so the reason is not that none does; the message says how the container last ended."""
    crashing = pod("a", state={"waiting": {"reason": "CrashLoopBackOff"}})
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    crashing["status"]["containerStatuses"][0]["lastState"] = last
    stage = Stage(crashing)
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(1)
    waiting = stage.condition("Finished")
    await running

    assert waiting == ("False", "NotRunning")
    assert stage.condition("Succeeded") == ("False", "NotRunning")
    ended = "it last ended with OOMKilled, exit code 137"
    assert f"container app of pod a is waiting (CrashLoopBackOff; {ended})" in stage.message()


@in_no_time
async def test_a_workload_is_found_by_its_owner() -> None:
    """Pods of a Deployment are those of its ReplicaSets; a neighbour with the same labels is not one of them."""
    labels = {"app": "shop", "pod-template-hash": "5d"}
    owner = {"kind": "ReplicaSet", "name": "shop-5d", "controller": True}
    stage = Stage(pod("mine", labels=labels, owners=[owner]), pod("other", labels=labels))
    stage.cluster.workloads[Workload("Deployment", "shop")] = Selector((("app", "shop"),))

    status = await stage.run(target={"workload": {"kind": "Deployment", "name": "shop"}})

    assert [row["pod"] for row in status["containers"]] == ["mine"]
    assert stage.cluster.asked == ["shop"]


@in_no_time
async def test_a_workload_that_is_not_there() -> None:
    """It is looked for until the session's time is over."""
    stage = Stage(pod("a"))

    await stage.run(target={"workload": {"kind": "Job", "name": "night"}})

    assert stage.condition("Finished") == ("True", "NoMatchingPods")
    assert "no Job named night" in stage.message()


@in_no_time
async def test_the_api_server_is_away_at_the_end() -> None:
    """The final status is written when the API server is back; nothing is lost."""
    stage = Stage(pod("a"))
    clock = asyncio.get_running_loop().time
    stage.cluster.failing = lambda _: ClusterError("away") if 2 < clock() < 30 else None

    status = await stage.run()

    assert stage.condition("Finished") == ("True", "Completed")
    assert status["summary"]["calls"] == 100
    assert clock() > 30


@in_no_time
async def test_a_status_that_is_refused() -> None:
    """A minimal terminal status replaces it when the full one is not taken: no session stays running for ever."""
    stage = Stage(pod("a"))
    stage.cluster.failing = lambda status: (
        RejectedError("too large") if status["phase"] == "Succeeded" and "summary" in status else None
    )

    status = await stage.run()

    assert stage.condition("Finished") == ("True", "Completed")
    assert stage.condition("DataComplete") == ("False", "NotWritten")
    assert "summary" not in status


@in_no_time
async def test_a_status_of_which_everything_is_refused() -> None:
    """It is tried again until the API server takes the end; nothing of an earlier status stays."""
    stage = Stage(pod("a"))
    clock = asyncio.get_running_loop().time
    stage.cluster.failing = lambda status: (
        RejectedError("no") if status["phase"] == "Succeeded" and ("targets" in status or clock() < 200) else None
    )

    status = await stage.run()

    assert clock() > 200
    assert set(status) <= {"observedGeneration", "phase", "conditions", "startTime", "completionTime"}
    assert "completionTime" in status
    assert stage.condition("Finished") == ("True", "Completed")


@in_no_time
async def test_a_session_that_vanishes() -> None:
    """When the object is gone the traces are stopped, and nothing more is written."""
    stage = Stage(pod("a"))
    clock = asyncio.get_running_loop().time
    stage.cluster.failing = lambda _: NotFoundError("gone") if clock() > 2 else None

    await stage.run(durationSeconds=3600)

    assert stage.agents["n1"].stops == ["u1"]
    assert clock() < 10


@in_no_time
async def test_an_operator_that_is_told_to_end_leaves_the_traces() -> None:
    """Cancelling the task stops no trace: another operator takes the session up."""
    stage = Stage(pod("a"))
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert stage.agents["n1"].stops == []
    assert stage.agents["n1"].traces["u1"].reason == agent_pb2.END_REASON_UNSPECIFIED


async def interrupted(stage: Stage, at: float) -> None:
    """Run a session's first operator and let it die."""
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(at)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@in_no_time
async def test_a_new_operator_takes_a_session_up() -> None:
    """It goes on from the agents' counts, with the same start, and ends when the first would have."""
    stage = Stage(pod("a"), pod("b", "n2"))
    await interrupted(stage, 4.0)
    before = stage.cluster.status
    await asyncio.sleep(2)

    await stage.session(before).run()

    status = stage.cluster.status
    assert status["startTime"] == before["startTime"]
    assert status["summary"]["calls"] == 200
    assert status["trust"]["gaps"] == []
    assert stage.condition("Finished") == ("True", "Completed")
    assert asyncio.get_running_loop().time() < 10.5


@in_no_time
async def test_a_new_operator_finds_the_agents_before_the_pods() -> None:
    """It knows what they can do all the same: nothing is said to be missing."""
    stage = Stage(pod("a"), pod("b", "n2"))
    await interrupted(stage, 4.0)
    stage.cluster.slow = 0.5
    for agent in stage.agents.by_node.values():
        agent.report_seconds = 1.0

    await stage.session(stage.cluster.status).run()

    assert stage.cluster.status["trust"]["gaps"] == []
    assert stage.condition("Finished") == ("True", "Completed")


@in_no_time
async def test_a_new_operator_comes_after_the_end() -> None:
    """The agents kept their final reports, even of pods that have gone."""
    stage = Stage(pod("a"), pod("b", "n2"))
    await interrupted(stage, 4.0)
    stage.cluster.become()
    await asyncio.sleep(30)

    await stage.session(stage.cluster.status).run()

    assert stage.cluster.status["summary"]["calls"] == 200
    assert stage.condition("Finished") == ("True", "Completed")
    assert asyncio.get_running_loop().time() < 36


@in_no_time
async def test_operator_and_agents_are_both_restarted() -> None:
    """Counts that nobody has any more are not shown as zero: the status keeps what was written, and says it."""
    stage = Stage(pod("a"))
    await interrupted(stage, 7.0)
    written = stage.cluster.status["summary"]["calls"]
    stage.agents["n1"].restart()
    await asyncio.sleep(30)

    await stage.session(stage.cluster.status).run()

    assert stage.cluster.status["summary"]["calls"] == written > 0
    assert stage.condition("Finished") == ("True", "DeadlineExceeded")


@in_no_time
async def test_an_agent_is_lost_just_before_the_operator() -> None:
    """The new one has counted ever since, and nobody knows what the first one had: that was written at once."""
    stage = Stage(pod("a"))
    asyncio.get_running_loop().call_later(5.5, stage.agents["n1"].restart)
    await interrupted(stage, 8.5)

    await stage.session(stage.cluster.status).run()

    status = stage.cluster.status
    (gap,) = status["trust"]["gaps"]
    assert (gap["reason"], gap["startTime"]) == ("AgentRestarted", status["startTime"])
    assert stage.condition("Finished") == ("True", "PartiallyCompleted")


@in_no_time
async def test_both_restarted_while_there_is_time() -> None:
    """The new operator has the new agent count on, and the gap reaches back to the session's start."""
    stage = Stage(pod("a"))
    await interrupted(stage, 6.0)
    start = stage.cluster.status["startTime"]
    stage.agents["n1"].restart()

    await stage.session(stage.cluster.status).run()

    (gap,) = stage.cluster.status["trust"]["gaps"]
    assert (gap["reason"], gap["startTime"]) == ("AgentRestarted", start)
    assert 30 <= stage.cluster.status["summary"]["calls"] <= 40
    assert stage.condition("Finished") == ("True", "PartiallyCompleted")


@in_no_time
async def test_a_session_in_which_nothing_was_called() -> None:
    """Zero calls are no silent zero."""
    stage = Stage(pod("a"))
    answer = stage.agents["n1"].report

    def silent(uid: str) -> agent_pb2.Report:
        report = answer(uid)
        for each in report.containers:
            assert each.state.phase == TRACING
            del each.syscalls[:]
        return report

    stage.agents["n1"].report = silent  # type: ignore[method-assign]

    status = await stage.run()

    assert stage.condition("Finished") == ("True", "Completed")
    assert "no system call was made" in stage.message()
    assert status["table"] == "No system call was made.\n"


def asked(request: agent_pb2.StartTraceRequest, message: _Request) -> _Request:
    """Return what a request asks of its one view."""
    (packed,) = (each for each in request.views.values() if each.Is(message.DESCRIPTOR))
    assert packed.Unpack(message)
    return message


@in_no_time
async def test_slow_calls_are_asked_of_the_agents_and_shown() -> None:
    """Each node gets threshold and limit; the status has the list, empty as long as nothing is slow."""
    stage = Stage(pod("a"), pod("b", "n2"))

    status = await stage.run(views={"slowCalls": {"thresholdMilliseconds": 5}})
    views = [asked(stage.agents[node].requests[0], slow_calls_pb2.SlowCallsRequest()) for node in ("n1", "n2")]

    assert [(view.threshold_nanoseconds, view.limit) for view in views] == [(5_000_000, 50)] * 2
    assert status["slowCalls"] == []
    assert status["trust"]["losses"] == {"slowCalls": 0}


@in_no_time
async def test_stacks_are_asked_of_the_agents() -> None:
    """And what was lost of them is shown, which it is not in a session that did not ask."""
    stage = Stage(pod("a"))

    status = await stage.run(views={"slowCalls": {"stacks": True}})

    assert asked(stage.agents["n1"].requests[0], slow_calls_pb2.SlowCallsRequest()).stacks
    assert status["trust"]["losses"] == {"slowCalls": 0, "stacks": 0}


@in_no_time
async def test_a_session_without_views_asks_for_none() -> None:
    """What is not asked for is off."""
    stage = Stage(pod("a"))

    status = await stage.run()

    assert set(stage.agents["n1"].requests[0].views) == {"resources"}
    assert "slowCalls" not in status


@in_no_time
async def test_what_is_not_shown_is_asked_of_the_agents() -> None:
    """Of each, with each request; one that would drop it is asked nothing, and the status says why."""
    stage = Stage(pod("a"), pod("b", "n2"))
    stage.agents["n2"].described.redacts = False
    stage.agents["n2"].described.agent_version = "0.0.9"

    status = await stage.run(redact=["*/secrets/*"])

    assert {tuple(each.redact) for each in stage.agents["n1"].requests} == {("*/secrets/*",)}
    assert stage.agents["n2"].requests == []
    (failure,) = status["failures"]
    assert (failure["node"], failure["reason"]) == ("n2", "CannotRedact")
    assert failure["message"] == "the agent on node n2 (0.0.9) does not know spec.redact: update it"


@in_no_time
async def test_an_older_agent_serves_sessions_that_show_everything() -> None:
    """Nothing of it is lost."""
    stage = Stage(pod("a"))
    stage.agents["n1"].described.redacts = False

    await stage.run()

    assert stage.condition("Finished") == ("True", "Completed")
    assert stage.agents["n1"].requests


@in_no_time
async def test_a_session_without_a_profile_has_the_overview() -> None:
    """And its status names the views that were on."""
    stage = Stage(pod("a"))

    status = await stage.run(profile=None, views={"files": {}})

    assert status["views"] == ["files", "counters"]
    assert set(stage.agents["n1"].requests[0].views) == {"resources", "counters", "files"}


@in_no_time
async def test_an_agent_that_comes_late_is_told_how_much_has_gone() -> None:
    """Views go to every node; an agent that takes over in the middle counts in the session's buckets."""
    stage = Stage(pod("a"), pod("b", "n2"))

    def restart() -> None:
        stage.agents["n1"].restart()

    await during(stage, restart, at=4.0, views={"timeline": {"buckets": 10}})
    first, *_, again = (asked(each, timeline_pb2.TimelineRequest()) for each in stage.agents["n1"].requests)
    (other,) = {
        asked(each, timeline_pb2.TimelineRequest()).elapsed_milliseconds for each in stage.agents["n2"].requests
    }

    assert (first.buckets, first.duration_milliseconds, first.elapsed_milliseconds) == (10, 10_000, 0)
    assert (again.buckets, again.duration_milliseconds) == (10, 10_000)
    assert 4000 <= again.elapsed_milliseconds < 6000
    assert other < 100
    assert len(stage.cluster.status["timeline"]["calls"]) == 10
