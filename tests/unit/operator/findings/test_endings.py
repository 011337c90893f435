"""How a program that ended is told: who, by what, how often, and the last call that failed before."""

from typing import Any

from kubestrace_operator.findings.finding import Facts, Finding, Severity
from kubestrace_operator.findings.rules import judge
from kubestrace_operator.results.rows import ContainerRow
from kubestrace_protos.v1 import agent_pb2

SECOND = 1_000_000_000
ENDED_NS = 1_767_225_605 * SECOND  # 2026-01-01T00:00:05Z
VIEWS = frozenset({"errors", "files", "network", "processes", "slowCalls"})
PLACE = {"pod": "shop-1", "container": "app"}


def life(exit_code: int, container: str = "app", restarts: int = 0, reason: str = "Error") -> ContainerRow:
    """Return a life of a container that has ended."""
    made = agent_pb2.Container(
        pod_name="shop-1", pod_uid="1", container_name=container, container_id=str(restarts), restart_count=restarts
    )
    state = agent_pb2.ContainerState(container=made, exit_code=exit_code, exit_reason=reason)
    state.finish_time_unix_nanoseconds = ENDED_NS
    return ContainerRow(state, "n1")


def process(**changes: Any) -> dict[str, Any]:
    """Return a process that lived for half a second."""
    names = {"executable": "/srv/worker", "command": "worker", "hostPid": 7, "node": "n1"}
    times = {"startTime": "2026-01-01T00:00:04.400000Z", "lifetimeNanoseconds": SECOND // 2}
    return {**PLACE, **names, **times, "calls": 5, "waitNanoseconds": 0, "threads": 1, **changes}


def sample(arguments: str, time: str = "04.850000", **changes: Any) -> dict[str, Any]:
    """Return a call that failed."""
    who = {"process": "worker", "hostPid": 7, **PLACE}
    return {**who, "time": f"2026-01-01T00:00:{time}Z", "arguments": arguments, **changes}


def error(syscall: str, errno: str, *samples: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a row of errors."""
    return {"syscall": syscall, "errno": errno, "count": len(samples), "samples": list(samples), **changes}


def judged(*lives: ContainerRow, errors: tuple[dict[str, Any], ...] = (), **status: Any) -> tuple[Finding, ...]:
    """Return the findings."""
    whole = {"summary": {"errorCounts": list(errors)}, **status}
    return judge(Facts(10, [], lives, whole, VIEWS)).findings


def test_a_crash_names_the_program_the_signal_and_the_last_call_that_failed() -> None:
    """A process that is not the container's first is known by the view."""
    missing = error("openat", "ENOENT", sample('AT_FDCWD, "/etc/app.yaml", O_RDONLY'))
    other = error("openat", "EACCES", sample('AT_FDCWD, "/etc/other.yaml", O_RDONLY', hostPid=8))
    (one,) = judged(errors=(missing, other), processes=[process(signal="SIGSEGV")])

    assert one.summary == (
        "worker in container app of pod shop-1 crashed with SIGSEGV: it used memory that it does not have. Just before "
        'that worker could not open "/etc/app.yaml": no such file (ENOENT).'
    )
    assert (one.id, one.severity, one.places[0].container) == ("crashed", Severity.WARNING, "app")


def test_crashes_of_one_program_are_one_finding() -> None:
    """Several times is critical; another program is another finding."""
    rows = [process(signal="SIGSEGV", hostPid=each) for each in range(3)]
    first, second = judged(processes=[*rows, process(signal="SIGABRT", executable="/srv/other (deleted)")])

    assert first.summary.startswith("worker in container app of pod shop-1 crashed 3 times with SIGSEGV: ")
    assert second.summary.startswith("other in container app of pod shop-1 crashed with SIGABRT: it gave up itself.")
    assert (first.severity, second.severity) == (Severity.CRITICAL, Severity.WARNING)


def test_a_container_that_crashed_is_told_once() -> None:
    """Its first process is one of those that were seen; lives beyond these are counted by their exit codes."""
    lives = [life(139, restarts=each) for each in range(3)]
    missing = error("openat", "ENOENT", sample('AT_FDCWD, "/etc/app.yaml", O_RDONLY'))
    (seen,) = judged(life(139), errors=(missing,), processes=[process(signal="SIGSEGV")])
    unseen, first = judged(*lives, errors=(missing,), processes=[process(signal="SIGSEGV")])

    assert (seen.severity, seen.evidence[0].value) == (Severity.CRITICAL, 1)
    assert (first.evidence[0].value, unseen.evidence[0].value) == (1, 2)
    assert unseen.summary == (
        "Container app of pod shop-1 crashed 2 times with SIGSEGV: it used memory that it does not have. Just before "
        'that worker could not open "/etc/app.yaml": no such file (ENOENT).'
    )


def test_a_crash_in_local_mode_has_no_pod() -> None:
    """A program is not told to be in itself."""
    (one,) = judged(processes=[process(signal="SIGFPE", executable="./worker", pod="", container="worker")])

    assert one.summary == "worker crashed with SIGFPE: it divided by zero."


def test_an_exit_code_is_told_with_what_it_usually_means() -> None:
    """Of a container: what could not be started serves nobody; what was told to end may be well."""
    (missing,) = judged(life(127))
    (failed,) = judged(life(3))
    (ended,) = judged(life(143))

    assert missing.summary == (
        "Container app of pod shop-1 ended with exit code 127. 127 usually means: a command or a library that was not "
        "found."
    )
    assert failed.summary == "Container app of pod shop-1 ended with exit code 3."
    assert ended.summary.endswith("ended with exit code 143. 143 usually means: it was told to end (SIGTERM).")
    severities = [Severity.CRITICAL, Severity.WARNING, Severity.INFO]
    assert [each.severity for each in (missing, failed, ended)] == severities
    assert "liveness probe" in ended.advice


def test_a_command_in_no_pod_may_answer_by_its_exit_code() -> None:
    """As grep does: information, as there is nobody to look after it."""
    row = life(1)
    row.state.container.pod_name = ""
    (one,) = judged(row)

    assert (one.severity, one.summary) == (
        Severity.INFO,
        "app ended with exit code 1.",
    )


def test_a_loop_tells_what_its_exit_code_means() -> None:
    """Once, and not for each life."""
    (one,) = judged(life(127), life(127, restarts=1))

    assert one.id == "crash-loop"
    assert one.summary.endswith("127 (Error) 2 times. 127 usually means: a command or a library that was not found.")


def test_a_program_that_ends_with_an_error_again_and_again_is_named() -> None:
    """With the last call that failed before one of these ends; the container's first process is told as a container."""
    refused = error("connect", "ECONNREFUSED", sample("3, 10.0.0.5:80", process="curl"))
    children = [process(executable="/usr/bin/curl", exitCode=7)] * 3
    first = process(hostPid=1, exitCode=1)
    containers = [{**PLACE, "node": "n1", "hostPid": 1}]
    (one,) = judged(errors=(refused,), processes=[first, *children], containers=containers)

    assert one.summary == (
        "curl in container app of pod shop-1 ended with exit code 7, 3 times. 7 usually means: a server that could not "
        "be reached. Just before one of them curl could not connect to 10.0.0.5:80: the connection was refused "
        "(ECONNREFUSED)."
    )
    assert one.severity == Severity.WARNING


def test_shells_and_builds_end_as_their_last_command_does() -> None:
    """Information, but for a command that was not found."""
    (shell,) = judged(processes=[process(executable="/bin/sh", exitCode=1)] * 3)
    (missing,) = judged(processes=[process(executable="/bin/sh", exitCode=127)] * 3)
    (build,) = judged(processes=[process(executable="/usr/bin/cc", exitCode=1)] * 3)

    assert [each.severity for each in (shell, missing, build)] == [Severity.INFO, Severity.WARNING, Severity.INFO]
