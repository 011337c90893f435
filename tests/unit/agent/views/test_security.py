"""What the view of security says of calls and programs, each beside its innocent twin."""

import socket
import stat
from dataclasses import replace
from typing import Any

import pytest
from view_messages import asking, security

from kubestrace_agent.syscalls import SyscallKey, names
from kubestrace_agent.views import registry
from kubestrace_agent.views.security import judging, shapes
from kubestrace_agent.views.security.collector import Origins, Seen
from kubestrace_agent.views.security.judging import Patterns, exec_judged, fits, is_runtime, is_shell, judged
from kubestrace_agent.views.security.values import MatchKey, RawDescriptor, RawMatch, RawSecurity, RawSecurityExec
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import security_pb2

NUMBERS = {name: number for number, name in names("x86_64").items()}
FOLDER = stat.S_IFDIR
SOME_PATTERNS = Patterns.of(())


def walk(path: str) -> bytes:
    """Give a path as the kernel tells it: its names, the last first."""
    return b"".join(name.encode() + b"\0" for name in reversed(path.strip("/").split("/")))


def match(call: str, **changes: Any) -> RawMatch:
    """Give what was told of a call that succeeded."""
    raw = RawMatch(SyscallKey("x86_64", NUMBERS[call]), 0, 0, 0, b"app", False, b"app", 100, 7, False, False)
    return replace(raw, **changes)


def opened(path: str, **changes: Any) -> RawMatch:
    """Give a file that was opened by its own name."""
    return match("openat", text=path.encode() + b"\0", names=walk(path), mode=FOLDER, **changes)


def executed(path: str = "/usr/bin/app", **changes: Any) -> RawSecurityExec:
    """Give a program of the image that was executed with nothing of interest."""
    raw = RawSecurityExec(
        time_ns=5,
        pid=100,
        inner_pid=7,
        parent=1,
        outside=False,
        entered=False,
        parent_name=b"parent",
        parent_listens=False,
        path=path.encode(),
        argument=path.encode(),
        second=None,
        names=walk(path),
        names_mode=FOLDER,
        deleted=False,
        detached=False,
        is_overlay=True,
        is_upper=False,
        is_of_root=True,
        file_mode=0o100755,
        users=(1000, 1000),
        groups=(1000, 1000),
        granted=0,
        has_terminal=False,
        descriptors=(RawDescriptor(stat.S_IFIFO, 0),) * 2,
    )
    return replace(raw, **changes)


def address(text: str, port: int) -> bytes:
    """Give a socket's address as programs write it."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    head = int(family).to_bytes(2, "little") + port.to_bytes(2, "big")
    packed = socket.inet_pton(family, text)
    return head + (packed if family == socket.AF_INET else bytes(4) + packed + bytes(4))


def kind_of(raw: RawMatch, *patterns: str) -> tuple[str, str] | None:
    """Give the kind of a call and what it is about."""
    found = judged(raw, Patterns.of(patterns))
    return (found.kind, found.object.decode()) if found else None


@pytest.mark.parametrize(
    ("pattern", "path", "fit"),
    [
        ("/etc/shadow", "/etc/shadow", True),
        ("/etc/shadow", "/etc/shadow-", False),
        ("/etc/shadow*", "/etc/shadow-", True),
        ("*/.ssh/*", "/root/.ssh/id_rsa", True),
        ("*/.ssh/*", "/root/.sshd/id_rsa", False),
        ("/proc/*/environ", "/proc/1/environ", True),
        ("/proc/*/environ", "/proc/environ", False),
        ("*a*a*b", "aaaaaaaaaaaaaaab", True),
        ("*ab*ba", "xaba", False),
        ("*", "/", True),
        ("/a*/b", "/a/b", True),
        ("/a/*/b", "/a/b", False),
    ],
)
def test_patterns_fit_whole_paths(pattern: str, path: str, fit: bool) -> None:
    """A star stands for any characters, none among them, and no part of a path counts twice."""
    assert fits(pattern, path.encode()) == fit


@pytest.mark.parametrize(
    ("evil", "innocent"),
    [
        (opened("/etc/shadow"), opened("/etc/passwd")),
        (opened("/home/a/.ssh/id_ed25519"), opened("/home/a/.config/id_ed25519")),
        (opened("/proc/1/environ"), opened("/proc/7/environ")),
        (match("open", error=13, text=b"/etc/shadow\0"), match("open", error=2, text=b"/etc/app\0")),
        (match("open", error=13, text=b"shadow\0", names=walk("/etc"), mode=FOLDER), match("open", text=b"shadow\0")),
        (match("rename", text=b"/etc/shadow\0"), match("rename", text=b"/tmp/shadow\0")),
        (match("linkat", text=b"/etc/shadow\0"), match("symlinkat", text=b"/etc/shadow\0")),
        (opened("/usr/bin/ls", detail=1), opened("/usr/bin/ls")),
        (opened("/etc/ld.so.preload", detail=2), opened("/etc/ld.so.cache", detail=2)),
        (match("rename", side=1, text=b"/bin/sh\0"), match("rename", side=1, error=13, text=b"/bin/sh\0")),
        (match("truncate", text=b"/usr/sbin/init\0"), match("truncate", error=13, text=b"/usr/sbin/init\0")),
        (match("socket", detail=17 << 4 | 3), match("socket", detail=16 << 4 | 3)),
        (match("socket", detail=2 << 4 | 3), match("socket", detail=2 << 4 | 2)),
        (match("process_vm_writev", detail=1), match("process_vm_writev", detail=0)),
        (match("connect", text=address("10.0.0.1", 80)), match("connect", text=address("127.0.0.1", 80))),
        (match("connect", text=address("fd00::1", 80)), match("connect", text=address("::1", 80))),
        (match("connect", text=address("::ffff:10.0.0.1", 80)), match("connect", text=address("::ffff:127.0.0.1", 80))),
        (match("sendto", text=address("10.0.0.1", 53)), match("sendto", text=b"\0\0")),
        (match("connect", text=b"\1\0/run/docker.sock\0"), match("connect", text=b"\1\0/run/mysqld.sock\0")),
        (match("connect", text=b"\1\0/run/containerd/containerd.sock"), match("connect", text=b"\1\0\0docker.sock")),
    ],
)
def test_calls_of_interest_are_told_from_their_twins(evil: RawMatch, innocent: RawMatch) -> None:
    """By what they name, ask for, or reach."""
    assert judged(evil, SOME_PATTERNS) is not None
    assert judged(innocent, SOME_PATTERNS) is None


@pytest.mark.parametrize(
    ("raw", "kind", "about"),
    [
        (match("unshare", detail=0x10020000), "namespace", "CLONE_NEWNS|CLONE_NEWUSER"),
        (match("setns"), "namespace", ""),
        (match("mount", text=b"/mnt\0"), "namespace", "/mnt"),
        (match("ptrace", detail=16), "tracing", "PTRACE_ATTACH"),
        (match("ptrace", detail=0x7777), "tracing", "PTRACE_0x7777"),
        (match("bpf", detail=5), "kernelSurface", "BPF_PROG_LOAD"),
        (match("finit_module"), "kernelSurface", ""),
        (match("connect", text=address("fd00::1", 443)), "peer", "[fd00::1]:443"),
        (match("connect", text=address("::ffff:10.0.0.1", 80)), "peer", "10.0.0.1:80"),
        (opened("/root/.ssh/authorized_keys", detail=1), "codeWrite", "/root/.ssh/authorized_keys"),
        (match("open", error=2, text=b"/etc/shadow\0"), "sensitivePath", "/etc/shadow"),
    ],
)
def test_what_is_said_of_calls(raw: RawMatch, kind: str, about: str) -> None:
    """Its kind, and what it was about."""
    assert kind_of(raw) == (kind, about)


def test_a_file_counts_by_its_real_path_and_a_deleted_one_by_its_last() -> None:
    """What the program said stands beside it."""
    link = match("openat", text=b"/tmp/x\0", names=walk("/etc/shadow"), mode=FOLDER | 1 << 18)

    found = judged(link, SOME_PATTERNS)

    assert found is not None
    assert (found.object, found.named, found.access) == (b"/etc/shadow", b"/tmp/x", "read")


def test_patterns_of_ones_own_come_first() -> None:
    """So a finding can tell that the path is one that the session asked for."""
    found = judged(opened("/etc/shadow"), Patterns.of(["/etc/sh*"]))

    assert found is not None
    assert found.pattern == "/etc/sh*"


def test_a_connect_that_goes_on_is_no_failure() -> None:
    """A refused one is."""
    assert judging.error_of(match("connect", error=115)) == 0
    assert judging.error_of(match("connect", error=111)) == 111
    assert judging.error_of(match("open", error=115)) == 115


PEER = RawDescriptor(stat.S_IFSOCK, 0, address("10.0.0.1", 4444))
TERMINAL = RawDescriptor(stat.S_IFCHR, 136 << 20)
OTHERS = (RawDescriptor(stat.S_IFIFO, 0),)
SHELL = "/usr/bin/bash"
SHARED = "/dev/shm/x"  # noqa: S108 - nothing is written


@pytest.mark.parametrize(
    ("evil", "sign", "innocent"),
    [
        (executed(detached=True, names=b"memfd:x\0", names_mode=1 << 17), "memory", executed()),
        (executed(deleted=True), "memory", executed()),
        (executed(SHARED, is_overlay=False, is_of_root=False), "memory", executed(f"/srv{SHARED}")),
        (executed(is_upper=True), "notInImage", executed()),
        (executed(is_overlay=False, is_of_root=False), "notInImage", executed(is_overlay=False)),
        (
            executed(descriptors=(PEER, *OTHERS)),
            "socket",
            executed(descriptors=(*OTHERS, RawDescriptor(stat.S_IFSOCK, 0))),
        ),
        (
            executed(SHELL, has_terminal=True, descriptors=(TERMINAL, *OTHERS)),
            "terminal",
            executed("/bin/ls", has_terminal=True, descriptors=(TERMINAL, *OTHERS)),
        ),
        (
            executed(SHELL, has_terminal=True, descriptors=(TERMINAL, *OTHERS)),
            "terminal",
            executed(SHELL, has_terminal=True),
        ),
        (executed(SHELL, parent_listens=True), "listeningParent", executed("/bin/ls", parent_listens=True)),
        (executed(file_mode=0o104755, users=(1000, 0)), "rights", executed(file_mode=0o104755, users=(0, 0))),
        (executed(file_mode=0o104755, users=(1000, 0)), "rights", executed(file_mode=0o100755, users=(1000, 0))),
        (executed(file_mode=0o102755, groups=(1000, 42)), "rights", executed(groups=(1000, 42))),
        (executed(granted=1 << 13), "rights", executed(users=(0, 0))),
    ],
)
def test_executions_of_interest_are_told_from_their_twins(
    evil: RawSecurityExec, sign: str, innocent: RawSecurityExec
) -> None:
    """By their file, their descriptors, their parent and their rights."""
    assert exec_judged(evil).signs == (sign,)
    assert exec_judged(innocent).signs == ()


@pytest.mark.parametrize(("second", "interactive"), [(None, True), (b"-i", True), (b"-c", False), (b"x.sh", False)])
def test_a_shell_with_a_command_is_not_interactive(second: bytes | None, interactive: bool) -> None:
    """Nor is one with a script, and what is no shell never is."""
    assert exec_judged(executed(SHELL, second=second)).interactive == interactive
    assert not exec_judged(executed(second=second)).interactive


@pytest.mark.parametrize(
    ("program", "argument", "shell"),
    [
        (b"bash", b"-bash", True),
        (b"busybox", b"/bin/sh", True),
        (b"busybox", b"ls", False),
        (b"busybox.static", b"ash", True),
        (b"python3.11", b"sh", False),
        (b"sshd", b"sh", False),
    ],
)
def test_shells_are_known_by_their_file(program: bytes, argument: bytes, shell: bool) -> None:
    """And busybox by what it is called."""
    assert is_shell(program, argument) == shell


@pytest.mark.parametrize(
    ("program", "process", "pid", "entered", "runtime"),
    [
        (b"memfd:runc_cloned:/proc/self/exe", b"runc", 1, False, True),
        (b"memfd:runc_cloned:/proc/self/exe", b"runc", 31, True, True),
        (b"memfd:runc_cloned:/proc/self/exe", b"runc", 31, False, False),
        (b"app", b"runc:[2:INIT]", 1, False, True),
        (b"app", b"app", 1, False, False),
        (b"memfd:payload", b"app", 31, True, False),
    ],
)
def test_the_runtime_is_the_first_process_or_from_outside(
    program: bytes, process: bytes, pid: int, entered: bool, runtime: bool
) -> None:
    """A program in the container that takes its name is not."""
    assert is_runtime(program, process, pid, entered=entered) == runtime


def test_what_one_from_outside_starts_is_from_outside() -> None:
    """Down to the last of them; another's children are not."""
    origins = Origins()

    assert origins.take(executed(pid=50, outside=True, entered=True))
    assert origins.take(executed(pid=51, parent=50))
    assert origins.take(executed(pid=52, parent=51))
    assert not origins.take(executed(pid=60, parent=1))
    assert origins.is_outside(51)
    assert not origins.is_outside(60)


def test_the_first_process_of_a_container_is_not_from_outside() -> None:
    """Its parent is. Where the start was seen, and PIDs are shared with others, the first such process is its own."""
    origins, late = Origins(from_start=True), Origins()

    assert [origins.take(executed(pid=pid, entered=True)) for pid in (40, 40, 41)] == [False, False, True]
    assert not origins.take(executed(pid=42, parent=40))
    assert late.take(executed(pid=40, entered=True))


def key(number: int, call: str = "openat") -> MatchKey:
    """Give the key of a row."""
    return MatchKey(1, 0, NUMBERS[call], 0, 0, 0, 5, 6, number, 0)


def written(seen: Seen) -> tuple[security_pb2.SecurityResult, dict[str, int]]:
    """Give what is reported, and what was lost."""
    report = agent_pb2.ContainerReport()
    seen.write(report)
    return security(report), dict(report.trust.losses)


def test_a_session_tells_what_was_added_since_its_start() -> None:
    """Rows of one program and path are one; another session's patterns are not this one's."""
    seen = Seen()
    seen.begin(10, 3)
    told = {key(1): opened("/etc/shadow"), key(2): opened("/etc/shadow"), key(3): opened("/srv/other")}
    seen.take(RawSecurity({key(1): 5, key(3): 1}, told), 3, 0)
    seen.take(RawSecurity({key(1): 7, key(2): 1, key(3): 9}, told, untold=2), 4, 0)

    result, losses = written(seen)

    assert [(each.object, each.count) for each in result.matches] == [("/etc/shadow", 3)]
    assert losses == {"security": 1 + 2}


def test_executions_before_the_session_are_not_its_own() -> None:
    """Those of interest are counted by their kind, all others as a number."""
    seen = Seen()
    seen.begin(10, 0)
    upper = executed(is_upper=True)
    execs = (replace(upper, time_ns=5), *(replace(upper, time_ns=at) for at in (11, 12)), executed(time_ns=13))
    seen.take(RawSecurity(execs=execs), 0, 0)

    result, losses = written(seen)

    assert [(each.place, each.count) for each in result.execs] == [("upperLayer", 2)]
    assert (result.execs_seen, losses) == (3, {})


def test_more_rows_than_are_reported_are_one_number() -> None:
    """A hundred of each kind: many peers leave room for a secret."""
    seen = Seen()
    seen.begin(10, 0)
    told = {key(n, "connect"): match("connect", text=address(f"10.0.{n}.1", 80)) for n in range(150)}
    told[key(999)] = opened("/etc/shadow")
    seen.take(RawSecurity(), 0, 0)
    seen.take(RawSecurity(dict.fromkeys(told, 1), told), 0, 0)

    result, _ = written(seen)

    kinds = [each.kind for each in result.matches]
    assert (kinds.count("peer"), kinds.count("sensitivePath"), result.other_matches) == (100, 1, 50)


def test_sessions_share_what_is_looked_for() -> None:
    """Each has its own patterns, and the kernel's side all of them."""
    one, other = Seen(frozenset({"/a"})), Seen(frozenset({"/b"}))

    assert Seen.union([one.wanted, other.wanted]).patterns == {"/a", "/b"}


@pytest.mark.parametrize("patterns", [["x"] * 51, [""], ["x" * 257], ["é"], ["a\nb"]])
def test_bad_patterns_are_refused(patterns: list[str]) -> None:
    """With what is wrong."""
    request = asking(security=security_pb2.SecurityRequest(sensitive_paths=patterns))

    with pytest.raises(registry.RequestError, match="sensitive_paths has"):
        registry.requests(request)


def test_shapes_have_two_sides_where_calls_have_two_paths() -> None:
    """And none where a call is of no interest."""
    assert shapes.shape("renameat2") >> 16
    assert not shapes.shape("openat") >> 16
    assert shapes.shape("openat")
    assert not shapes.shape("read")
