"""Slow calls: how they are decoded into words, which of them are kept, and what is asked of the kernel for that."""

import platform
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from view_messages import asking, slow_calls

from kubestrace_agent.kernel.counters.calls import shape
from kubestrace_agent.service import limits
from kubestrace_agent.symbols.frames import CodeMapping, UserFrame, UserStack
from kubestrace_agent.symbols.names import Names, Question
from kubestrace_agent.symbols.naming import Name, Naming, Place
from kubestrace_agent.syscalls import SyscallKey, arguments, names
from kubestrace_agent.text import safe
from kubestrace_agent.traces.counter import CgroupPlace
from kubestrace_agent.traces.shared_counters import Acquired, Asked, Counters
from kubestrace_agent.views.call_arguments import address, described, path
from kubestrace_agent.views.polled import descriptors, without_names
from kubestrace_agent.views.slow_calls.collector import Slowest, message
from kubestrace_agent.views.slow_calls.values import Floors, RawStack, SlowCall
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import slow_calls_pb2

NUMBERS = {called: number for number, called in names("x86_64").items()}
AT_FDCWD = (1 << 32) - 100
REGULAR, PIPE, SOCKET, DIRECTORY = 0o100644, 0o010600, 0o140777, 0o040755
# enum named of calls.h.
CUT, DETACHED, DELETED = 1 << 16, 1 << 17, 1 << 18
PEER = socket.AF_INET.to_bytes(2, "little") + (443).to_bytes(2, "big") + bytes([10, 0, 0, 7])


def polled(more: int, *told: tuple[int, int, int, bytes]) -> bytes:
    """A capture of descriptors: each is number, events, mode and text."""
    words = (struct.pack("=iIII", fd, events, mode, len(text)) + text for fd, events, mode, text in told)
    return struct.pack("=I", more) + b"".join(words)


def call(name: str, *values: int, captures: tuple[tuple[int, bytes], ...] = (), **changes: object) -> SlowCall:
    """A call as the kernel tells it."""
    made = SlowCall(
        key=SyscallKey("x86_64", NUMBERS[name]),
        waits=False,
        start_ns=1_000,
        length_ns=20_000_000,
        arguments=(*values, 0, 0, 0, 0, 0, 0)[:6],
        result=0,
        tid=48214,
        pid=48213,
        inner_tid=8,
        inner_pid=7,
        thread=b"wal-writer",
        process=b"shop",
        captures=captures,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_descriptors_without_names() -> None:
    """Numbers, events and kinds stay; text that is cut off is no descriptor more."""
    known = polled(1, (7, 1, SOCKET, PEER), (8, 4, REGULAR, b"x\0"))
    bare, more = descriptors(without_names(known, lambda mode: mode if mode == SOCKET else 0))

    assert more
    assert [(each.fd, each.events, each.mode, each.text) for each in bare] == [(7, 1, SOCKET, b""), (8, 4, 0, b"")]
    assert descriptors(b"") == ([], False)
    assert len(descriptors(known[:30])[0]) == 1


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (call("read", 3, 0x7F00, 4096, captures=((REGULAR, b"data\0lib\0var\0"),)), "3</var/lib/data>, ..., 4096"),
        (call("read", 3, 0x7F00, 1, captures=((PIPE, b""),)), "3<pipe>, ..., 1"),
        (call("read", 3, 0x7F00, 1, captures=((SOCKET, PEER),)), "3<10.0.0.7:443>, ..., 1"),
        (call("fsync", 3, captures=((SOCKET, b""),)), "3<socket>"),
        (call("fsync", 9, captures=((0, b""),)), "9"),
        (call("openat", AT_FDCWD, 1, 0, captures=((0, b"/etc/hosts\0"), (0, b""))), 'AT_FDCWD, "/etc/hosts", O_RDONLY'),
        (
            call("openat", 5, 1, 0x241, 0o600, captures=((0, b"x\0"), (0o040755, b"tmp\0"))),
            '5</tmp>, "x", O_WRONLY|O_CREAT|O_TRUNC, 0600',
        ),
        (call("openat", AT_FDCWD, 0x7F01, 0, captures=((0, b""), (0, b""))), "AT_FDCWD, 0x7f01, O_RDONLY"),
        (call("connect", 4, 1, 16, captures=((0, PEER), (SOCKET, b""))), "4<socket>, 10.0.0.7:443, 16"),
        (call("rename", 1, 2, captures=((0, b"a\0"), (0, b"b\0"))), '"a", "b"'),
        (
            call("poll", 1, 3, 5000, captures=((0, polled(1, (7, 1, SOCKET, PEER), (8, 0x8006, PIPE, b""))),)),
            "[{fd=7<10.0.0.7:443>, events=POLLIN}, {fd=8<pipe>, events=POLLPRI|POLLOUT|0x8000}, ...], 3, 5000",
        ),
        (call("poll", 1, 0, 5, captures=((0, polled(0)),)), "[], 0, 5"),
        (call("poll", 1, 1, 5, captures=((0, b""),)), "..., 1, 5"),
        (
            call("select", 9, 1, 0, 3, 4, captures=((0, polled(0, (7, 1, SOCKET, PEER), (8, 5, PIPE, b""))),)),
            "9, [7<10.0.0.7:443> 8<pipe>], NULL, [8<pipe>], ...",
        ),
        (call("select", 9, 0, 2, 3, 0, captures=((0, polled(1, (7, 2, 0, b""))),)), "9, NULL, [7 ...], [...], NULL"),
        (
            call("epoll_wait", 3, 1, 8, -1, captures=((0, polled(0, (7, 1 << 31 | 0x19, SOCKET, PEER))),)),
            "3<epoll [{fd=7<10.0.0.7:443>, events=EPOLLIN|EPOLLET}]>, ..., 8, -1",
        ),
        (call("epoll_wait", 3, 1, 8, 0, captures=((0, b""),)), "3, ..., 8, 0"),
        (call("futex", 0x7F10, 0x80, 2), "0x7f10, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0"),
        (call("wait4", (1 << 32) - 1, 0x7F, 0, 0), "-1, ..., 0, NULL"),
        (call("pread64", 3, 1, 8, 1 << 40, captures=((REGULAR, b"f\0"),)), f"3</f>, ..., 8, {1 << 40}"),
        (call("execve", 0, 0, 0), ""),
        (call("execve", 1, 2, 3, result=-2, captures=((0, b"/no\0"),)), '"/no", ..., ...'),
        (call("getppid"), ""),
        (call("setxattr", 1, 2, 3, 1, 2, captures=((0, b"/no\0"),)), '"/no", ..., ..., 1, 0x2'),
        (call("epoll_create", 0), "0"),
        (call("mq_open", 1, 0o1, 0o600, 7, captures=((0, b"/q\0"),)), '"/q", O_WRONLY'),
        (call("mq_open", 1, 0o101, 0o600, 7, captures=((0, b"/q\0"),)), '"/q", O_WRONLY|O_CREAT, 0600, ...'),
        (call("fanotify_mark", 3, 1, 2, AT_FDCWD, 9, captures=((0, b"/no\0"),)), '3, 0x1, 0x2, AT_FDCWD, "/no"'),
    ],
)
def test_arguments_are_straces_words(made: SlowCall, words: str) -> None:
    """Paths, files and peers by name, sizes as they are, buffers not at all."""
    assert described(made) == words


def test_a_path_that_was_cut_says_so() -> None:
    """More names than the kernel's program walks, or more bytes than it has room for."""
    assert path(b"c\0b\0", REGULAR | CUT) == ".../b/c"
    assert path(b"a" * 300 + b"\0", REGULAR) == "/" + "a" * 255 + "..."
    assert path(b"", DIRECTORY) == "/"


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (b"[eventfd]\0", 0o600 | DETACHED, "anon_inode:[eventfd]"),
        (b"inotify\0", 0o600 | DETACHED, "anon_inode:inotify"),
        (b"memfd:a\x1b\0", REGULAR | DETACHED, "/memfd:a\\x1b (deleted)"),
        (b"/\0", REGULAR | DETACHED, ""),
        (b"", REGULAR | DETACHED, ""),
        (b"log\0srv\0", REGULAR | DELETED, "/srv/log (deleted)"),
        (b"log\0srv\0", REGULAR | DELETED | CUT, ".../srv/log (deleted)"),
    ],
)
def test_files_that_are_in_no_folder(text: bytes, mode: int, words: str) -> None:
    """As /proc names them; one that has no name of its own is its number."""
    assert path(text, mode) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"/app/" + b"a" * 250 + b"\0", '"/app/' + "a" * 250 + '"'),
        (b"/app/lib/beginn\0ing/lib/license.key\0", '"/app/lib/.../lib/license.key"'),
        (b"/" + b"a" * 94 + b"\0" + b"b" * 155 + b"\0", '"/' + "a" * 94 + "/.../" + "b" * 155 + '"'),
    ],
)
def test_of_a_long_path_its_beginning_and_its_end_are_told(text: bytes, words: str) -> None:
    """In whole names, as far as there is one: the end says which file it is."""
    assert described(call("rmdir", 1, captures=((0, text), (0, b"")))) == words


def test_a_relative_path_has_the_folder_that_it_begins_in() -> None:
    """The working folder, where the call has no descriptor for it."""
    folder = (0o40000, b"config\0etc\0")

    assert described(call("rmdir", 1, captures=((0, b"app.yaml\0"), folder))) == '</etc/config>/"app.yaml"'
    at = (1 << 32) - 100
    assert described(call("mkdirat", at, 1, 0o700, captures=((0, b"x\0"), folder))) == (
        'AT_FDCWD</etc/config>, "x", 0700'
    )


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", ""),
        (b"\1", ""),
        (b"\1\0/run/x.sock\0", "unix:/run/x.sock"),
        (b"\1\0/run/x\0stale", "unix:/run/x"),
        (b"\1\0\0abstract\0", "unix:@abstract\\x00"),
        (b"\1\0" + b"P" * 108, "unix:" + "P" * 108),
        (b"\1\0", "unix"),
        (b"\x0a\0\x01\xbb\0\0\0\0" + bytes(15) + b"\1" + bytes(4), "[::1]:443"),
        (b"\x10\0" + bytes(26), "family 16"),
        (b"\2\0\0", "family 2"),
    ],
)
def test_addresses(raw: bytes, words: str) -> None:
    """Of each family that has one; what is too short is no address."""
    assert address(raw) == words


@given(st.binary(max_size=400), st.integers(1, 300))
def test_text_is_plain_and_bounded(raw: bytes, most: int) -> None:
    """Whatever a container writes: no control character, no quote that ends the text, four signs a byte at most."""
    text = safe(raw, most)

    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= 4 * most + 3
    assert '"' not in text.replace("\\\\", "").replace('\\"', "")


@given(
    st.sampled_from(sorted(arguments.KINDS)),
    st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6),
    st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=600)), min_size=2, max_size=2),
    st.integers(-4095, 2**63 - 1),
)
def test_any_call_can_be_described(
    name: str, values: list[int], captures: list[tuple[int, bytes]], result: int
) -> None:
    """Nothing that a program or a race can bring breaks the report; all of it is bounded."""
    number = NUMBERS.get(name, 0)
    raw = call("read", *values, captures=tuple(captures), result=result, key=SyscallKey("x86_64", number))
    told = message(raw, 0)

    assert len(told.arguments) <= 512
    assert told.arguments.isascii()
    assert told.arguments.isprintable()


def test_every_described_call_exists() -> None:
    """A name with a slip of the pen would never be told."""
    known = {name for abi in ("x86_64", "i386", "x32", "aarch64", "arm") for name in names(abi).values()}

    assert arguments.KINDS.keys() <= known
    assert all(1 <= len(kinds) <= 6 for kinds in arguments.KINDS.values())


def test_a_split_offset_is_left_out() -> None:
    """On 32-bit ABIs an offset takes two arguments: what follows would be told wrong."""
    assert [kind.value for kind in arguments.kinds("pread64", "i386")] == ["f", ".", "u"]
    assert [kind.value for kind in arguments.kinds("lseek", "i386")] == ["f", "n", "n"]
    assert [kind.value for kind in arguments.kinds("truncate64", "i386")] == ["p"]
    assert [kind.value for kind in arguments.kinds("pread64", "x86_64")] == ["f", ".", "u", "o"]


def test_arguments_that_an_abi_has_otherwise() -> None:
    """Calls of i386 that take one pointer to all their arguments, and a mask in two halves."""
    for called in ("mmap", "select"):
        number = next(number for number, known in names("i386").items() if known == called)
        raw = call("read", 0xFFFF0000, 1, 2, 3, 4, 5, key=SyscallKey("i386", number))
        assert described(raw) == "0xffff0000"
    for abi in ("i386", "arm"):
        assert arguments.captured("fanotify_mark", abi) == (5, 0)
    assert arguments.captured("fanotify_mark", "x86_64") == (4, 0)


def test_what_the_kernel_is_to_read() -> None:
    """The path before the directory; nothing for calls that are not described."""
    path_kind, file_kind, address_kind, written_kind = 1, 2, 3, 4
    polled_kind, epoll_kind = 9, 10

    assert shape("openat", "x86_64") == (path_kind | 1 << 4) | (file_kind | 0 << 4) << 8
    assert shape("renameat", "x86_64") == (path_kind | 1 << 4) | (path_kind | 3 << 4) << 8
    assert shape("sendto", "x86_64") == (address_kind | 4 << 4) | (file_kind | 0 << 4) << 8
    assert shape("recvfrom", "x86_64") & 0xFF == written_kind | 4 << 4
    assert shape("epoll_wait", "x86_64") == epoll_kind
    assert shape("ppoll", "x86_64") == polled_kind
    assert shape("pselect6", "i386") == polled_kind | 1 << 4
    assert shape("select", "i386") == 0  # one pointer to all of its arguments
    assert shape("getppid", "x86_64") == 0


def test_the_message_of_a_call() -> None:
    """Both PIDs, the wall clock's time, and an errno instead of a result."""
    told = message(call("fsync", 3, result=-5), 10**18)

    assert told.start_time_unix_nanoseconds == 10**18 + 1_000
    assert (told.pid, told.tid, told.host_pid, told.host_tid) == (7, 8, 48213, 48214)
    assert (told.errno, told.result) == ("EIO", 0)
    assert message(call("futex", result=-512), 0).errno == "ERESTARTSYS"
    assert message(call("read", result=17), 0).result == 17
    assert told.abi == ("" if platform.machine() == "x86_64" else "x86_64")


def lengths(slowest: Slowest) -> list[tuple[bool, int]]:
    """Give what is kept."""
    return [(each.wait, each.nanoseconds) for each in slowest.calls()]


def test_the_slowest_are_kept_and_those_that_work_come_first() -> None:
    """The limit holds for the list; what waits fills only what is left."""
    slowest = Slowest(10, 3, None)
    made = [call("fsync", length_ns=ns) for ns in (30, 11, 9)]
    made += [call("futex", length_ns=ns, waits=True) for ns in (500, 100, 400)]

    slowest.take(made, 0, 0)

    assert lengths(slowest) == [(False, 30), (False, 11), (True, 500)]


class _Code:
    """A kernel that knows nothing of any address."""

    def kernel_names(self, addresses: Iterable[int]) -> list[str]:
        """Give no names."""
        return ["" for _ in addresses]

    def mappings(self, pid: int, frames: Sequence[UserFrame]) -> list[CodeMapping]:
        """Give nothing."""
        return []


class _LateNames(Names):
    """Names stacks when a test says so."""

    def __init__(self) -> None:
        super().__init__(Naming())
        self.asked: list[Question] = []

    def ask(self, questions: Iterable[Question]) -> None:
        """Remember them."""
        self.asked += questions

    def wait(self, questions: Iterable[Question]) -> None:
        """Do not."""


def written(slowest: Slowest) -> list[slow_calls_pb2.SlowCall]:
    """Give the calls of a report."""
    report = agent_pb2.ContainerReport()
    slowest.write(report)
    return slow_calls(report)


def test_each_report_has_the_calls_as_they_are_said_now() -> None:
    """What is ready is not made again: new calls come, others go, and a stack gets its names later."""
    late = _LateNames()
    slowest = Slowest(10, 3, None, late)
    frame = UserFrame(0x401000)
    stack = RawStack(None, 0, UserStack((frame,), 0, 0, ()), _Code())
    slowest.take([call("fsync", length_ns=30), call("read", length_ns=20, stack=stack)], 0, 0)

    first = written(slowest)
    assert first == slowest.calls() == written(slowest)
    assert [each.name for each in first] == ["fsync", "read"]
    assert list(first[1].user_stack) == ["[not known]"]
    slowest.take([call("write", length_ns=40), call("close", length_ns=25)], 0, 0)
    second = written(slowest)
    assert second == slowest.calls()
    assert [each.name for each in second] == ["write", "fsync", "close"]

    slowest = Slowest(10, 3, None, late)
    slowest.take([call("read", length_ns=20, stack=stack)], 0, 0)
    before = written(slowest)
    for question in late.asked:
        question.answer = [Place(frame, None, Name(b"work", 3))]
        question.done = True
    after = written(slowest)

    assert [list(each.user_stack) for each in (*before, *after)] == [["[not known]"], ["work+0x3"]]
    assert after == written(slowest) == slowest.calls()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 100)), max_size=60), st.integers(1, 10), st.integers(1, 60))
def test_raising_the_floor_loses_nothing(made: list[tuple[bool, int]], limit: int, at: int) -> None:
    """What is below the floors would not have been kept: leaving it out changes no result."""
    raw = [call("read", length_ns=ns, waits=waits) for waits, ns in made]
    whole, floored = Slowest(5, limit, None), Slowest(5, limit, None)
    whole.take(raw, 0, 0)
    floored.take(raw[:at], 0, 0)
    floors = floored.wanted

    floored.take([c for c in raw[at:] if c.length_ns >= (floors.waiting_ns if c.waits else floors.working_ns)], 0, 0)

    assert lengths(floored) == lengths(whole)


def test_only_ones_own_calls_are_kept() -> None:
    """A shared container tells more: what ended before the session began, and calls that it has not chosen."""
    slowest = Slowest(10, 5, frozenset({SyscallKey("x86_64", NUMBERS["fsync"])}), since_ns=2_000)

    slowest.take(
        [call("fsync", length_ns=999), call("fsync", length_ns=5_000), call("read", length_ns=6_000)],
        0,
        0,
    )

    assert lengths(slowest) == [(False, 5_000)]


def test_sessions_that_share_a_container_ask_for_what_any_wants() -> None:
    """The lower floor of each kind."""
    assert Slowest.union([Floors(10, 50), Floors(20, 30)]) == Floors(10, 30)


def test_the_slowest_of_what_is_read_are_enough_where_everything_is_wanted() -> None:
    """Where only some calls are wanted, others might be the slowest: then all are asked for, for all sessions."""
    everything, some = Slowest(10, 5, None), Slowest(10, 7, frozenset({SyscallKey("x86_64", 1)}))

    assert (everything.wanted.most, some.wanted.most) == (5, 0)
    assert Slowest.union([Floors(1, 1, 5), Floors(1, 1, 7)]).most == 7
    assert Slowest.union([Floors(1, 1, 5), Floors(1, 1, 0)]).most == 0


def test_what_presses_is_read_before_the_next_refresh(tracer, tmp_path) -> None:
    """And nothing is read that does not."""
    counters = Counters(tracer)
    slowest = Slowest(10, 5, None)
    (acquired,) = counters.acquire([Asked(CgroupPlace(tmp_path, 7), "s1", None, lambda: [slowest])])
    assert isinstance(acquired, Acquired)
    counter = acquired.counter
    tracer.told[counter.slot] = [call("fsync", start_ns=time.monotonic_ns())]

    counters.drain()
    assert slowest.calls() == []
    tracer.pressing_parts = {"slow_calls"}
    counters.drain()

    assert [each.name for each in slowest.calls()] == ["fsync"]


def asked(threshold_ms: int = 10, limit: int = 5, session: str = "s1") -> agent_pb2.StartTraceRequest:
    """Ask for a trace with the view."""
    view = slow_calls_pb2.SlowCallsRequest(threshold_nanoseconds=threshold_ms * 1_000_000, limit=limit)
    return agent_pb2.StartTraceRequest(
        session_uid=session,
        session_name=f"ns/{session}",
        containers=[agent_pb2.Container(container_id="app", container_name="app")],
        duration_milliseconds=60_000,
        views=asking(slowCalls=view),
    )


async def test_a_report_has_the_slow_calls_and_what_was_lost(make_traces, node, tracer) -> None:
    """Of the trace's own time; the counts are there as ever."""
    node.run("app")
    tracer.slow_lost = 5
    traces = make_traces()

    await traces.start(asked())
    (slot,) = tracer.floors
    tracer.told[slot] = [call("fsync", start_ns=time.monotonic_ns()), call("fsync", start_ns=1)]
    tracer.slow_lost = 8
    report = await traces.stop("s1")

    assert [each.name for each in slow_calls(report.containers[0])] == ["fsync"]
    assert [each.losses["slowCalls"] for each in (report.containers[0].trust, report.trust)] == [3, 3]


async def test_two_sessions_share_a_containers_slow_calls(make_traces, node, tracer) -> None:
    """The lower threshold is asked for; each gets its own; the other's end raises it again; then nothing is asked."""
    node.run("app")
    traces = make_traces()
    await traces.start(asked(10))
    await traces.start(asked(30, session="s2"))
    (slot,) = tracer.floors
    both = tracer.floors[slot]
    tracer.told[slot] = [call("fsync", start_ns=time.monotonic_ns())]

    first = await traces.stop("s1")
    alone = tracer.floors[slot]
    second = await traces.stop("s2")

    assert (both.working_ns, alone.working_ns) == (10_000_000, 30_000_000)
    assert [len(slow_calls(report.containers[0])) for report in (first, second)] == [1, 0]


async def test_a_trace_without_the_view_asks_for_nothing(make_traces, node, tracer) -> None:
    """What is not asked for is not collected."""
    node.run("app")
    traces = make_traces()
    request = asked()
    request.ClearField("views")

    await traces.start(request)
    report = await traces.stop("s1")

    assert tracer.floors == {}
    assert len(report.containers[0].views) == 0


async def test_a_kernel_without_the_view_counts_all_the_same(make_traces, node, tracer) -> None:
    """The view alone is missing, and the report says why."""
    app = node.run("app")
    tracer.tells_slow_calls = False
    traces = make_traces()

    await traces.start(asked())
    tracer.call(app, times=3)
    report = await traces.stop("s1")

    (gap,) = report.trust.gaps
    assert (gap.reason, gap.message) == ("ViewUnsupported", "slowCalls: no such field")
    assert report.containers[0].syscalls[0].calls == 3


@pytest.mark.parametrize(("threshold_ms", "limit"), [(0, 5), (60_001, 5), (10, 0), (10, 201)])
async def test_the_agent_has_bounds_of_its_own(make_traces, threshold_ms: int, limit: int) -> None:
    """Whatever the operator asks for."""
    with pytest.raises(limits.InvalidRequestError):
        await make_traces().start(asked(threshold_ms, limit))
