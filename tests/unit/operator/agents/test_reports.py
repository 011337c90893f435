"""What an agent sends is checked before it is used: whose it is, its bounds, and its text."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from google.protobuf import any_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from operator_fakes import Stage, in_no_time, pod

from kubestrace_operator.agents import reports
from kubestrace_operator.agents.reports import InvalidReportError
from kubestrace_operator.results.merge import Merged
from kubestrace_operator.sessions import usable_reports
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import slow_calls_pb2, timeline_pb2


def report() -> agent_pb2.Report:
    """Return a report that is right."""
    made = agent_pb2.Report(session_uid="u1", node="n1", agent_id="a")
    container = agent_pb2.Container(pod_namespace="shop", pod_name="a", container_name="app", container_id="c")
    each = made.containers.add(state=agent_pb2.ContainerState(container=container))
    row = each.syscalls.add(name="openat", calls=1)
    row.latency.buckets.extend([1, 2])
    row.latency.counts.extend([3, 4])
    return made


def check(given: agent_pb2.Report) -> None:
    """Check a report as one of the session u1 on the node n1."""
    reports.check(given, session_uid="u1", node="n1", namespace="shop")


def test_a_report_that_is_right() -> None:
    """Nothing is said."""
    check(report())


WRONG: dict[str, Callable[[agent_pb2.Report], object]] = {
    "another session": lambda each: setattr(each, "session_uid", "u2"),
    "another node": lambda each: setattr(each, "node", "n2"),
    "names no agent": lambda each: setattr(each, "agent_id", ""),
    "of the namespace other": lambda each: setattr(each.containers[0].state.container, "pod_namespace", "other"),
    "has the reason": lambda each: setattr(each.containers[0].state, "reason", "Not a reason"),
    "has the reason ": lambda each: each.trust.gaps.add(reason="\x1b[2J"),
    "has the reason '', ": lambda each: each.trust.gaps.add(),
    "more than 2048": lambda each: each.containers.extend([agent_pb2.ContainerReport()] * 2049),
    "rows of a container": lambda each: each.containers[0].syscalls.extend([agent_pb2.SyscallCounts()] * 2049),
    "gaps, more than": lambda each: each.trust.gaps.extend([agent_pb2.Gap()] * 1001),
    "a call with the name": lambda each: setattr(each.containers[0].syscalls[0], "name", "x\n100.00 9.9"),
    "an unreturned call with the name": lambda each: each.containers[0].unreturned_names.append("i386:x:\n"),
    "2 buckets that do not fit": lambda each: each.containers[0].syscalls[0].latency.counts.append(1),
    "with a bucket 4000": lambda each: each.containers[0].syscalls[0].latency.buckets.__setitem__(1, 4000),
}


@pytest.mark.parametrize(("words", "spoil"), WRONG.items())
def test_a_report_that_no_agent_would_send(words: str, spoil: Callable[[agent_pb2.Report], object]) -> None:
    """It is refused with what is wrong."""
    spoiled = report()
    spoiled.final = True
    spoil(spoiled)

    with pytest.raises(InvalidReportError, match=words.strip()):
        check(spoiled)


def test_text_is_shown_and_not_obeyed() -> None:
    """Controls, escapes and marks that turn the direction are written out, and long text is cut; the rest stays."""
    given = report()
    result = slow_calls_pb2.SlowCallsResult()
    sent = result.calls.add(arguments="\x1b]0;owned\x07", thread="caf\u00e9", process="x" * 5000)
    sent.kernel_stack.extend(["io_schedule", "a\nb\u202e"])
    given.containers[0].views["slowCalls"].Pack(result)

    reports.clean(given)

    result.Clear()
    assert given.containers[0].views["slowCalls"].Unpack(result)
    (call,) = result.calls
    assert call.arguments == "\\x1b]0;owned\\x07"
    assert call.thread == "caf\u00e9"
    assert len(call.process) == reports.MAX_TEXT
    assert list(call.kernel_stack) == ["io_schedule", "a\\nb\\u202e"]


@pytest.mark.parametrize("kind", [agent_pb2.Report, agent_pb2.StartTraceResponse, agent_pb2.DescribeResponse])
def test_no_field_of_an_answer_is_shown_as_it_came(kind: type[Message]) -> None:
    """Whatever fields the protocol has: of each kind of message, within each other, in lists and as keys."""
    given = kind()
    _fill(given)

    reports.clean(given)

    assert set(_texts(given)) == {r"\x1b"}


def _fill(message: Message) -> None:
    """Set every text of a message and of those within it to an escape; results of views have tests of their own."""
    for field in message.DESCRIPTOR.fields if not isinstance(message, any_pb2.Any) else ():
        value = getattr(message, field.name)
        within = field.message_type
        if within is not None and within.GetOptions().map_entry:
            _fill_map(value, within.fields_by_name["value"])
        elif within is not None:
            _fill(value.add() if field.is_repeated else value)
        elif field.type == field.TYPE_STRING and field.is_repeated:
            value.append("\x1b")
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, "\x1b")


def _fill_map(found: Any, of_values: FieldDescriptor) -> None:
    if of_values.message_type is not None:
        _fill(found["\x1b"])
    else:
        found["\x1b"] = "\x1b" if of_values.type == of_values.TYPE_STRING else 1


def _texts(value: Any) -> Iterator[str]:
    """Yield all text of a message, of a list or of a mapping."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Message):
        for _, each in value.ListFields():
            yield from _texts(each)
    elif isinstance(value, Iterable):
        for each in value:
            yield from _texts(each)
            yield from _texts(value[each]) if isinstance(value, Mapping) else ()


def test_a_result_that_is_none_of_a_view_is_left_alone() -> None:
    """Bytes that cannot be read, an unknown type, and results packed into each other without end end nothing."""
    given = report()
    views = given.containers[0].views
    views["slowCalls"].Pack(slow_calls_pb2.SlowCallsResult())
    views["slowCalls"].value = b"\xff"
    views["new"].type_url = "type.googleapis.com/kubestrace.v1.NewResult"
    for _ in range(2000):
        inner = any_pb2.Any()
        inner.CopyFrom(views["deep"])
        views["deep"].Pack(inner)
    sent = agent_pb2.Report()
    sent.CopyFrom(given)

    reports.clean(given)

    assert given == sent


@in_no_time
async def test_refused_reports_are_counted_and_shown() -> None:
    """A session whose agent answers for another node ends in time, with a failure that says so."""
    stage = Stage(pod("a"), pod("b", "n2"))
    answer = stage.agents["n1"].report

    def lying(uid: str) -> agent_pb2.Report:
        made = answer(uid)
        made.node = "n2"
        return made

    stage.agents["n1"].report = lying  # type: ignore[method-assign]

    status = await stage.run()

    (failure,) = (each for each in status["failures"] if each["reason"] == "InvalidReport")
    assert failure["node"] == "n1"
    assert "it is of another node, n2" in failure["message"]
    assert status["summary"]["calls"] == 100
    assert stage.condition("Finished") == ("True", "PartiallyCompleted")
    assert [event[1] for event in stage.events].count("InvalidReport") == 1


@in_no_time
async def test_the_status_holds_clean_text() -> None:
    """While the session goes on and at its end: whatever an agent sends is cleaned before it is written."""
    stage = Stage(pod("a"))
    answer = stage.agents["n1"].report

    def escaping(uid: str) -> agent_pb2.Report:
        made = answer(uid)
        made.trust.gaps.add(node="n1", reason="AgentRestarted", message="\x1b[2Jgone")
        made.containers[0].unreturned.add(name="read", tid=7, pid=7, thread="\x1b]0;owned\x07")
        return made

    stage.agents["n1"].report = escaping  # type: ignore[method-assign]

    status = await stage.run()

    messages = {gap["message"] for each in stage.cluster.written for gap in each.get("trust", {}).get("gaps", ())}
    assert messages == {"\\x1b[2Jgone"}
    assert [row["thread"] for row in status["unreturned"]] == ["\\x1b]0;owned\\x07"]


def _stage_with(spoil: Callable[[agent_pb2.Report], object]) -> Stage:
    """Return two pods on two nodes, of which the agent of n2 spoils its reports."""
    stage = Stage(pod("a"), pod("b", "n2"))
    honest = stage.agents["n2"].report

    def lying(uid: str) -> agent_pb2.Report:
        made = honest(uid)
        spoil(made)
        return made

    stage.agents["n2"].report = lying  # type: ignore[method-assign]
    return stage


@in_no_time
async def test_a_report_that_cannot_be_summed_costs_no_other_nodes_result() -> None:
    """It passes every check and makes no sense; what the other nodes counted is the result, with a gap that says so."""

    def spoil(made: agent_pb2.Report) -> None:
        made.containers[0].views["timeline"].Pack(timeline_pb2.TimelineResult(buckets=[1, 2], calls=[1]))

    stage = _stage_with(spoil)
    status = await stage.run(views={"timeline": {}})

    (gap,) = status["trust"]["gaps"]
    assert (gap["node"], gap["reason"]) == ("n2", "InvalidReport")
    assert status["summary"]["calls"] == 100
    assert status["phase"] == "Succeeded"
    assert stage.condition("DataComplete") == ("False", "TimeMissing")


@in_no_time
async def test_wrong_rows_of_an_agent_that_gives_no_final_report_are_left_out() -> None:
    """They are looked at when they are to be shown; what the other nodes counted is the result."""

    def spoil(made: agent_pb2.Report) -> None:
        made.final = False
        made.containers[0].syscalls[0].name = "\x1b[2J"

    stage = _stage_with(spoil)
    running = asyncio.create_task(stage.session().run())
    await asyncio.sleep(5)
    stage.agents["n2"].answers = stage.agents["n2"].ready = False
    await running
    status = stage.cluster.status

    assert {(gap["node"], gap["reason"]) for gap in status["trust"]["gaps"]} >= {("n2", "InvalidReport")}
    assert status["summary"]["calls"] == 100
    assert [row["name"] for row in status["summary"]["syscalls"]] == ["getppid"]


def test_a_report_that_leaves_no_room_costs_no_other_nodes_result() -> None:
    """It passes every check; with it a status would only say where the session stands."""
    honest, greedy = agent_pb2.Report(node="n1"), agent_pb2.Report(node="n2")

    def make(of: Sequence[agent_pb2.Report], beside: Merged) -> dict[str, Any]:
        whole = {"summary": {"reports": len(of)}, "gaps": [gap.node for gap in beside.trust.gaps]}
        return {"phase": "Succeeded"} | ({} if greedy in of else whole)

    document = usable_reports.status([honest, greedy], Merged(), make)

    assert document == {"phase": "Succeeded", "summary": {"reports": 1}, "gaps": ["n2"]}


@in_no_time
async def test_numbers_that_the_api_does_not_hold_become_the_largest_that_it_does() -> None:
    """The API server would refuse the whole status for one of them."""
    stage = _stage_with(lambda made: setattr(made.containers[0].syscalls[0], "calls", 2**64 - 1))
    status = await stage.run()

    assert status["summary"]["calls"] == 2**63 - 1
    assert {row["pod"]: row["calls"] for row in status["containers"]} == {"a": 100, "b": 2**63 - 1}


def test_keys_are_text_too() -> None:
    """Of a map an agent chooses them like any other text."""
    given = report()
    given.trust.losses["\x1b[2J"] = 7

    reports.clean(given)

    assert dict(given.trust.losses) == {"\\x1b[2J": 7}
