"""The last call that failed before a program ended: which one it is, and how it is told."""

from dataclasses import replace
from typing import Any

import pytest

from kubestrace_operator.findings.finding import Facts, Severity
from kubestrace_operator.findings.last_call import FailedCall
from kubestrace_operator.findings.rules import judge
from kubestrace_operator.results.rows import ContainerRow
from kubestrace_protos.v1 import agent_pb2

SECOND = 1_000_000_000
ENDED_NS = 1_767_225_605 * SECOND  # 2026-01-01T00:00:05Z
VIEWS = frozenset({"errors", "network", "processes"})
PLACE = {"pod": "shop-1", "container": "app"}
JUST_BEFORE, LONG_BEFORE = "04.900000", "03.900000"


def life(exit_code: int = 1, lived_s: int = 5, *, from_start: bool = True, container: str = "app") -> ContainerRow:
    """Return a life of a container that has ended."""
    state = agent_pb2.ContainerState(exit_code=exit_code, from_start=from_start)
    state.container.pod_name, state.container.container_name = "shop-1", container
    state.start_time_unix_nanoseconds = ENDED_NS - lived_s * SECOND
    state.finish_time_unix_nanoseconds = ENDED_NS
    return ContainerRow(state, "n1")


def error(syscall: str, errno: str, *calls: str, time: str = JUST_BEFORE, **changes: Any) -> dict[str, Any]:
    """Return a row of errors with its calls."""
    samples = [{**PLACE, "process": "app", "arguments": each, "time": f"2026-01-01T00:00:{time}Z"} for each in calls]
    return {"syscall": syscall, "errno": errno, "count": len(calls), "samples": samples, **changes}


def told(*errors: dict[str, Any], exit_code: int = 1, **status: Any) -> str:
    """Return why the container ended; empty: nobody knows."""
    whole = {"summary": {"errorCounts": list(errors)}, **status}
    found = judge(Facts(10, [], [life(exit_code)], whole, VIEWS)).findings
    return next((each.summary.partition(". ")[0] for each in found if each.id == "died-after-error"), "")


@pytest.mark.parametrize(
    ("syscall", "errno", "arguments", "words"),
    [
        ("execve", "ENOEXEC", '"/app/run", ...', 'execute "/app/run": it is no program for this machine (ENOEXEC)'),
        ("read", "EISDIR", "3</etc/app.yaml>, ..., 4096", "read /etc/app.yaml: it is a folder (EISDIR)"),
        ("openat", "ENOTDIR", '-100, "/a/b"', 'open "/a/b": a part of its path is no folder (ENOTDIR)'),
        ("listen", "EADDRINUSE", "3<[::]:80>, 9", "accept connections at [::]:80: the address is in use (EADDRINUSE)"),
        ("bind", "EADDRNOTAVAIL", "3, 10.0.0.5:80", "listen at 10.0.0.5:80: the address is none of this pod's"),
        ("fcntl", "EAGAIN", "3</data/db>, F_SETLK", "lock /data/db: another process holds it (EAGAIN)"),
        ("chown", "EPERM", '"/data", 0, 0', 'change the owner of "/data": not permitted (EPERM)'),
        ("chdir", "ENOENT", '"/srv"', 'enter the folder "/srv": no such file (ENOENT)'),
    ],
)
def test_what_a_program_cannot_go_on_without_is_told(syscall: str, errno: str, arguments: str, words: str) -> None:
    """By the call and its errno."""
    assert told(error(syscall, errno, arguments)).startswith(f"app could not {words}")


@pytest.mark.parametrize(
    ("syscall", "errno", "arguments"),
    [
        ("read", "EAGAIN", "3<pipe>, ..., 80"),
        ("read", "EPERM", "3</proc/kmsg>, ..., 80"),
        ("write", "EAGAIN", "3<pipe>, ..., 80"),
        ("newfstatat", "ENOENT", '-100, "/srv/templates/a.html", ..., 0'),
        ("newfstatat", "ENOENT", '-100, "/usr/bin/curl", ..., 0'),
        ("fcntl", "EBADF", "3, F_SETFD, FD_CLOEXEC"),
    ],
)
def test_what_programs_go_on_without_is_not(syscall: str, errno: str, arguments: str) -> None:
    """A search, a call that would have to wait, and a look whether something is there."""
    assert told(error(syscall, errno, arguments)) == ""


def test_a_command_that_is_in_no_folder_of_path_is_told_as_such() -> None:
    """As execvp looks for it; a shell looks whether it is there, and ends with 127."""
    folders = ('"/usr/local/bin/migrate", ...', '"/usr/bin/migrate", ...')
    looked = error("newfstatat", "ENOENT", 'AT_FDCWD, "/bin/migrate", ..., 0')
    words = "app could not find the command migrate in any folder of PATH (ENOENT)"

    assert told(error("execve", "ENOENT", *folders)) == words
    assert told(looked, exit_code=127) == words
    assert told(looked) == ""
    assert told(error("execve", "ENOENT", folders[0])).startswith('app could not execute "/usr/local/bin/migrate"')


def test_a_script_that_node_looks_for_with_all_endings_is_told() -> None:
    """A look whether one file is there says nothing."""
    tried = [f'AT_FDCWD, "/srv/server.js{ending}", 0, ...' for ending in ("", ".js", ".json", ".node")]

    assert told(error("statx", "ENOENT", *tried)) == 'app could not look at "/srv/server.js": no such file (ENOENT)'
    assert told(error("statx", "ENOENT", tried[0])) == ""


def test_a_library_is_missed_where_a_program_did_not_start_and_a_translation_is_not() -> None:
    """The loader ends with 127, as a shell does that then looks for the words of its message."""
    looked = error("newfstatat", "ENOENT", 'AT_FDCWD, "/bin/migrate", ..., 0', time="04.800000")
    words = error("openat", "ENOENT", 'AT_FDCWD, "/usr/share/locale/C/LC_MESSAGES/bash.mo", O_RDONLY')
    library = error("openat", "ENOENT", 'AT_FDCWD, "/lib/libpq.so.5", O_RDONLY')

    assert told(looked, words, exit_code=127) == "app could not find the command migrate in any folder of PATH (ENOENT)"
    assert told(library, exit_code=127) == 'app could not open "/lib/libpq.so.5": no such file (ENOENT)'
    assert told(library) == ""


def test_a_connect_that_did_not_wait_fails_later() -> None:
    """What became of it is known of the peer alone: where none has reached it."""
    begun = error("connect", "EINPROGRESS", "5<10.0.0.5:80>, 10.0.0.5:80, 16", expected=True)
    peer = {"role": "client", "address": "10.0.0.5", "port": 80, "established": 0}
    refused = {**peer, "failed": [{"errno": "ECONNREFUSED", "count": 1}]}

    assert told(begun, network={"peers": [refused]}) == (
        "app could not connect to 10.0.0.5:80: the connection was refused (ECONNREFUSED)"
    )
    assert told(begun, network={"peers": [{**refused, "established": 1}]}) == ""
    assert told(begun, network={"peers": [{**refused, "port": 81}]}) == ""
    assert told(begun, network={"peers": [{**peer, "failed": [{"errno": "other", "count": 1}]}]}) == ""
    assert told(begun) == ""


def asked(name: str, **numbers: int) -> dict[str, Any]:
    """Return a question of DNS that was answered."""
    return {"name": name, "queries": 1, "answers": 1, "nxdomain": 0, "servfail": 0, "failed": 0, **numbers}


def facts(*names: dict[str, Any], lives: tuple[ContainerRow, ...], **status: Any) -> Facts:
    """Return a result with questions of DNS."""
    total = {"queries": 4, "answers": 4, "nxdomain": 4, "servfail": 0, "failed": 0, "unanswered": 0, "repeated": 0}
    search = {"queries": 0, "names": 0, "suffixes": []}
    network = {"dns": list(names), "dnsTotal": total, "dnsServers": [], "dnsSearch": search}
    return Facts(10, [], lives, {"network": network, **status}, VIEWS)


def test_a_name_that_nobody_knows_is_told_where_nothing_else_failed() -> None:
    """Of a container that did not live for long; without the suffixes of the search list."""
    names = [asked("db.test.shop.svc", nxdomain=1), asked("db.test", nxdomain=1), asked("api.test")]
    (one,) = judge(facts(*names, lives=(life(),))).findings

    assert one.summary == (
        "The address of db.test could not be found: no server knows the name (NXDOMAIN). Within a minute container app "
        "of pod shop-1 ended with exit code 1."
    )
    assert (one.id, one.severity) == ("died-after-error", Severity.WARNING)


def test_a_name_is_no_cause_where_more_is_known_or_less() -> None:
    """Another call failed, the name was found, the container lived for long, or there are several."""
    missing = asked("db.test", nxdomain=1)
    known = facts(missing, lives=(life(),), summary={"errorCounts": [error("openat", "EACCES", '-100, "/a"')]})
    others = [
        facts(missing, asked("db.shop.svc"), lives=(life(),)),
        facts(missing, lives=(life(lived_s=61),)),
        facts(missing, lives=(life(from_start=False),)),
        facts(missing, lives=(life(), life(0, container="proxy"))),
        facts(missing, lives=(life(143),)),
    ]

    assert judge(known).findings[0].summary.startswith('app could not open "/a"')
    assert [each for one in others for each in judge(one).findings if each.id == "died-after-error"] == []


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (FailedCall("EACCES", "bind", "3, 0.0.0.0:80", ""), "NET_BIND_SERVICE"),
        (FailedCall("EACCES", "execve", '"/app"', ""), "chmod +x"),
        (FailedCall("ENOENT", "execve", '"/app"', ""), "interpreter"),
        (FailedCall("EAGAIN", "flock", "3</a>", ""), "/proc/locks"),
        (FailedCall("EACCES", "openat", '"/a"', ""), "runAsUser"),
    ],
)
def test_the_advice_is_that_of_the_call(call: FailedCall, advice: str) -> None:
    """One errno has several reasons."""
    assert advice in call.advice()
    assert "PATH" in replace(call, command="app").advice()
