"""What sessions have seen, and the profile of it: nothing that was seen is missing, and what may be missing is told."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubestrace_operator.api import conditions
from kubestrace_operator.api.conditions import Outcome
from kubestrace_operator.results.merge import ContainerKey, ContainerRow, Merged, SyscallKey, SyscallRow, Trust
from kubestrace_operator.seccomp import profile
from kubestrace_operator.seccomp.runtime_calls import RUNTIME_CALLS
from kubestrace_operator.seccomp.seen import Seen, UnusableError, sessions, union
from kubestrace_operator.status import builder
from kubestrace_operator.status.progress import Progress
from kubestrace_protos.v1 import agent_pb2

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
NAMES = st.sampled_from(
    ["read", "write", "openat", "clone3", "clone", "mkdir", "mount", "ptrace", "i386:open", "x32:read"]
)


def document(status: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return a session of the cluster."""
    return {
        "kind": "TraceSession",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {},
        "status": status,
        **others,
    }


def with_names(*names: str, denied: tuple[str, ...] = (), **others: Any) -> dict[str, Any]:
    """Return a session that saw some calls."""
    summary = {"syscallNames": [*names, *denied], "deniedSyscalls": [*denied], "architectures": ["x86_64"]}
    return document({"summary": summary, "containers": [], **others})


def row(name: str, *, calls: int = 1, abi: str = "", **others: Any) -> dict[SyscallKey, SyscallRow]:
    """Return one row."""
    return {SyscallKey(name, abi): SyscallRow(name, abi, calls=calls, **{"timed": calls, **others})}


def built(merged: Merged, **progress: Any) -> dict[str, Any]:
    """Return a session with the status that the operator makes."""
    stands = Progress(
        Outcome(conditions.SUCCEEDED, "Completed", "done"),
        start=NOW - timedelta(seconds=30),
        completion=NOW,
        architectures=frozenset({"x86_64"}),
        **progress,
    )
    return document(json.loads(json.dumps(builder.status(merged, stands, now=NOW))))


def seen(*documents: dict[str, Any]) -> Seen:
    """Return the union."""
    return union(each for one in documents for each in sessions(one, "result.json"))


def allowed(made: dict[str, Any]) -> set[str]:
    """Return the calls that a profile allows."""
    return {name for group in made["syscalls"] if group["action"] == "SCMP_ACT_ALLOW" for name in group["names"]}


@given(st.lists(st.frozensets(NAMES), max_size=5))
def test_the_order_and_repetition_of_sessions_do_not_matter(parts: list[frozenset[str]]) -> None:
    """Union commutes, and the same session given twice counts once."""
    documents = [with_names(*sorted(part)) for part in parts]

    assert seen(*documents) == seen(*reversed(documents)) == seen(*documents, *documents)


@given(
    st.lists(st.tuples(st.frozensets(NAMES), st.frozensets(NAMES)), min_size=1, max_size=5),
    st.sampled_from(["errno", "log"]),
)
def test_every_call_that_was_seen_is_allowed(parts: list[tuple[frozenset[str], frozenset[str]]], action: str) -> None:
    """Whatever another session had denied; and a call has one action."""
    documents = [with_names(*sorted(calls - denied), denied=tuple(sorted(denied))) for calls, denied in parts]
    made = profile.oci(seen(*documents), action)

    names = {name.rpartition(":")[2] for calls, denied in parts for name in calls - denied}
    assert allowed(made) == names | RUNTIME_CALLS
    listed = [name for group in made["syscalls"] for name in group["names"]]
    assert len(listed) == len(set(listed))


def test_a_profile_has_its_architectures_and_what_others_calls_get() -> None:
    """Of the machine, and i386 only as it was seen; EPERM, and ENOSYS for clone3, which the C library does without."""
    made = profile.oci(seen(with_names("read", "i386:open")), "errno")

    assert made["defaultAction"] == "SCMP_ACT_ERRNO"
    assert made["defaultErrnoRet"] == 1
    assert made["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert [each for each in made["syscalls"] if each["action"] == "SCMP_ACT_ERRNO"] == [
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "comment": made["syscalls"][-1]["comment"]}
    ]
    assert profile.oci(seen(with_names("read", "clone3")), "errno")["architectures"] == ["SCMP_ARCH_X86_64"]


def test_clone3_that_was_seen_is_allowed_and_a_log_denies_nothing() -> None:
    """What is to be tried must not change the program."""
    with_clone3 = profile.oci(seen(with_names("clone3")), "errno")
    to_log = profile.oci(seen(with_names("read")), "log")

    assert {each["action"] for each in with_clone3["syscalls"]} == {"SCMP_ACT_ALLOW"}
    assert {each["action"] for each in to_log["syscalls"]} == {"SCMP_ACT_ALLOW"}
    assert "defaultErrnoRet" not in to_log


def test_what_the_runtime_needs_is_a_group_of_its_own() -> None:
    """So that a reader sees which calls the program made."""
    first, runtime, _ = profile.oci(seen(with_names("read", "mkdir")), "errno")["syscalls"]

    assert first["names"] == ["mkdir", "read"]
    assert set(runtime["names"]) == RUNTIME_CALLS - {"read"}
    assert "runtime" in runtime["comment"]


def test_the_resource_is_the_same_profile() -> None:
    """As YAML with comments; errnoRet is a string there."""
    found = seen(with_names("read", "i386:open"))

    made = yaml.safe_load(text := profile.resource(found, "errno", {"name": "123", "namespace": "shop"}))

    assert made["metadata"] == {"name": "123", "namespace": "shop"}
    assert made["apiVersion"] == "security-profiles-operator.x-k8s.io/v1beta1"
    of_oci = profile.oci(found, "errno")
    assert [each["names"] for each in made["spec"]["syscalls"]] == [each["names"] for each in of_oci["syscalls"]]
    assert made["spec"]["architectures"] == of_oci["architectures"]
    assert made["spec"]["syscalls"][-1]["errnoRet"] == "38"
    assert "# not seen: for the container runtime" in text


def test_a_truncated_status_has_all_names() -> None:
    """Rows are cut from the table, names never are."""
    merged = Merged(
        {key: each for number in range(450) for key, each in row(f"a_call_with_a_long_name_{number}").items()}
    )

    session = built(merged)

    assert session["status"]["truncated"] is True
    assert len(session["status"]["summary"]["syscalls"]) < 450
    assert len(seen(session).calls) == 450


def test_a_truncated_status_without_names_is_refused() -> None:
    """As an older version wrote it: the calls that are left out are not known."""
    session = document({"summary": {"syscalls": [{"name": "read", "calls": 1}]}, "truncated": True})

    with pytest.raises(UnusableError, match="shop/web: its status is truncated"):
        sessions(session, "result.json")


def test_rows_do_where_there_are_no_names_and_nothing_is_cut() -> None:
    """An older version's status that is whole, with its calls that have not returned."""
    summary = {"syscalls": [{"name": "read", "calls": 1}, {"name": "open", "abi": "i386", "calls": 2}]}
    unreturned = [{"syscall": "epoll_wait"}]
    found = seen(document({"summary": summary, "unreturned": unreturned, "truncated": False}))

    assert (found.calls, found.abis) == ({"read", "open", "epoll_wait"}, {"i386"})


def test_a_session_that_counted_only_some_calls_is_refused() -> None:
    """The others would be denied."""
    session = with_names("read") | {"spec": {"syscalls": ["%file"]}}

    with pytest.raises(UnusableError, match=r"spec\.syscalls: %file"):
        sessions(session, "result.json")


def test_calls_that_a_profile_denied_are_left_out_and_told() -> None:
    """All of its calls failed and none began; a call that began once is allowed."""
    rows = row("read") | row("mount", timed=0, errors=1, errnos={"EPERM": 1})
    rows |= row("ptrace", calls=2, timed=1, errors=2, errnos={"EPERM": 2})

    found = seen(built(Merged(rows)))

    assert (found.calls, found.denied) == ({"read", "ptrace"}, {"mount"})
    assert any("denied every call of them: mount" in each for each in profile.remarks(found, "errno"))


def test_a_failed_call_that_was_under_way_when_counting_began_is_no_denied_one() -> None:
    """It has no length either."""
    rows = row("read", timed=0, errors=1, errnos={"EIO": 1})

    found = seen(built(Merged(rows, trust=Trust(unmatched_calls=1))))

    assert (found.calls, found.denied) == ({"read"}, set())


def test_calls_that_have_not_returned_are_seen() -> None:
    """A server may sit in its one epoll_wait for the whole session."""
    state = agent_pb2.ContainerState(
        container=agent_pb2.Container(pod_name="web-0", container_name="app"), from_start=True
    )
    container = ContainerRow(state, "n1", unreturned_names=frozenset({"epoll_wait", "i386:poll"}))

    found = seen(built(Merged(row("read"), {ContainerKey("n1", "u", "app", "c"): container})))

    assert found.calls == {"read", "epoll_wait", "poll"}
    assert (found.abis, found.lives, found.from_start, found.pods) == ({"i386"}, 1, 1, {("shop", "web-0")})


def test_when_the_last_new_call_appeared_is_told() -> None:
    """By the first of its rows: the call that waits has another one."""
    early, late = ((NOW - timedelta(seconds=ago)).timestamp() * 1e9 for ago in (25, 10))
    rows = row("read", first_seen_ns=int(early)) | row("mkdir", first_seen_ns=int(late))
    rows[SyscallKey("read", "", True)] = SyscallRow(
        "read", wait=True, calls=1, timed=1, first_seen_ns=int(late) + 5 * 10**9
    )

    found = seen(built(Merged(rows)))

    assert found.last_new_call == NOW - timedelta(seconds=10)
    assert any("10 s before the last session ended" in each for each in profile.remarks(found, "errno"))


def test_what_may_be_missing_is_told() -> None:
    """Containers that ran before, sessions that go on, calls that were lost."""
    found = seen(
        with_names(
            "read",
            phase="Tracing",
            trust={"complete": False, "lostCalls": 3},
            containers=[{"pod": "web-0", "container": "app"}, {"pod": "web-1", "container": "app", "fromStart": True}],
        )
    )

    told = "\n".join(profile.remarks(found, "errno"))
    assert "1 of 2 containers ran already" in told
    assert "still running" in told
    assert "3 calls were lost" in told
    assert "2 pods, 1 session, 1 of 2 container starts" in told


def test_a_list_is_read_as_its_sessions() -> None:
    """As kubectl writes it; one that has counted nothing is told and does no harm."""
    pending = document({"phase": "Pending"}, metadata={"namespace": "shop", "name": "next"})
    found = seen({"kind": "List", "items": [with_names("read"), pending]})

    assert (found.calls, found.sessions) == ({"read"}, {"shop/web"})
    assert any("shop/next: it has counted nothing (phase Pending)" in each for each in found.doubts)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        "x",
        3,
        None,
        {},
        {"kind": "Pod"},
        {"kind": "List", "items": None},
        document({"summary": {"syscallNames": 3}}),
    ],
)
def test_what_is_no_session_is_refused_in_one_line(wrong: Any) -> None:
    """With the file's name, whatever it holds."""
    with pytest.raises(UnusableError, match=r"^result\.json: "):
        sessions(wrong, "result.json")
