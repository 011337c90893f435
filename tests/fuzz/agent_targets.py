"""The agent's parsers of what containers, runtimes and operators give it."""

import contextlib
import json
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fuzzing import JSON, WORDS_OF_TEXT, Target, messages, spoiled, texts
from hypothesis import strategies as st

from kubestrace_agent.containers import cgroups, cri, lives, network_counters, procfs
from kubestrace_agent.kernel.counters import calls
from kubestrace_agent.kernel.counters.counts import RawCall
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.service import limits
from kubestrace_agent.symbols import cfi, elf, perf_maps
from kubestrace_agent.syscalls import abi_names, arguments, names
from kubestrace_agent.syscalls.patterns import SyscallPatternError, parse_patterns
from kubestrace_agent.text import safe
from kubestrace_agent.views import call_arguments, file_paths, user_stacks_kernel
from kubestrace_agent.views.network.dns_names import text_of, type_of
from kubestrace_agent.views.processes import arguments as process_arguments
from kubestrace_agent.views.processes.values import Words
from kubestrace_agent.views.redaction import Redaction
from kubestrace_agent.views.resources import parsing
from kubestrace_agent.views.security import judging
from kubestrace_agent.views.security import kernel as security_kernel
from kubestrace_agent.views.security.values import MatchKey
from kubestrace_protos.cri.v1 import api_pb2
from kubestrace_protos.v1 import agent_pb2

ABIS = abi_names("x86_64")
_MOST_READS = 50_000
_ID, _UID = "0123456789abcdef" * 4, "12345678-1234-1234-1234-123456789abc"


class _File:
    """A file in memory, of which nobody reads without end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads = 0

    def read(self, at: int, length: int) -> bytes:
        """Give what is there."""
        self.reads += 1
        assert self.reads < _MOST_READS, "reads without end"
        assert length >= 0
        return self.data[at : at + length] if 0 <= at < len(self.data) else b""


def _elf(data: bytes) -> None:
    with contextlib.suppress(elf.ElfError):
        file = elf.Elf(_File(data))
        assert len(file.build_id()) <= 20
        for symbol in file.symbols(range(0, len(data), 256), lambda: True).values():
            assert symbol.name
            assert symbol.plus >= 0
        for offset in range(0, len(data), 512):
            address = file.address(offset)
            if address is not None:
                with contextlib.suppress(cfi.CfiError):
                    cfi.row_at(file, address)


def _small_elf() -> bytes:
    """Return a program of few bytes with symbols and frames, or a library that Python has."""
    for path in (Path("/bin/true"), *Path(sys.prefix).rglob("*.so")):
        with contextlib.suppress(OSError):
            data = path.read_bytes()
            if data[:4] == b"\x7fELF" and len(data) < 1 << 17:
                return data
    return _made_elf()


def _made_elf() -> bytes:
    """Return a header, one segment, and two sections: symbols and their names."""
    strings = b"\0main\0_Z3foov\0"
    symbols = b"".join(struct.pack("<IBBHQQ", at, 2, 0, 1, value, 64) for at, value in ((1, 256), (6, 320)))
    segment = struct.pack("<II6Q", 1, 5, 0, 0, 0, 4096, 4096, 4096)
    symbols_at = 64 + len(segment)
    sections_at = symbols_at + len(symbols) + len(strings)
    sections = struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, symbols_at, len(symbols), 1, 0, 8, 24)
    sections += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, symbols_at + len(symbols), len(strings), 0, 0, 1, 0)
    identity = b"\x7fELF\2\1\1".ljust(16, b"\0")
    head = identity + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, sections_at, 0, 64, 56, 1, 64, 2, 1)
    return head + segment + symbols + strings + sections


class _Frames:
    """An .eh_frame_hdr with one function, whose entries are anything."""

    def __init__(self, entries: bytes) -> None:
        table = b"\x01\x1b\x03\x3b" + struct.pack("<iI", 0, 1) + struct.pack("<ii", 0, 20)
        self._data = table + entries

    def frame_header(self) -> int:
        """Give where it stands."""
        return 4096

    def at_address(self, address: int, length: int) -> bytes:
        """Read what is there."""
        at = address - 4096
        return self._data[at : at + length] if 0 <= at < len(self._data) else b""


def _entries(parts: tuple[bytes, bytes, bytes]) -> bytes:
    """Return an FDE with its CIE behind it: their instructions, and the CIE's head."""
    of_function, common_head, common = parts
    function = struct.pack("<QQ", 4096, 64) + b"\0" + of_function
    common = struct.pack("<I", 0) + common_head + common
    length = 4 + len(function)
    # Behind the FDE: its pointer leads backwards in files, and here to any place.
    pointer = (-(length)) % 2**32
    return struct.pack("<II", length, pointer) + function + struct.pack("<I", len(common)) + common


def _cfi(entries: bytes) -> None:
    with contextlib.suppress(cfi.CfiError):
        cfi.row_at(_Frames(entries), 4100)


_INSTRUCTIONS = st.lists(
    st.one_of(st.integers(0, 0x3F).map(lambda number: bytes([number])), st.binary(max_size=6)), max_size=60
).map(b"".join)
_COMMON_HEADS = st.one_of(
    st.just(b"\x01\0\x01\x78\x10"), st.just(b"\x01zR\0\x01\x78\x10\x01\x00"), st.binary(max_size=16)
)


def _perf_map(data: bytes) -> None:
    wanted = [0, 1, 0x1000, 2**32, 2**64 - 1]
    for address, (start, end, name) in perf_maps.find(_File(data), wanted, lambda: True).items():
        assert start <= address < end
        assert b"\n" not in name
        assert 1 <= len(name) <= 512


_MAP_LINES = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 2**64), st.integers(0, 2**64), texts(3)).map(
            lambda line: b"%x %x %s" % (line[0], line[1], line[2])
        ),
        texts(4),
    ),
    max_size=12,
).map(b"\n".join)


@contextlib.contextmanager
def _process(files: dict[str, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        proc = Path(folder)
        (proc / "7").mkdir()
        (proc / "stat").write_bytes(b"cpu 1 2\nbtime 1700000000\n")
        for name, data in files.items():
            (proc / "7" / name).write_bytes(data)
        yield proc


def _proc(given: tuple[bytes, bytes]) -> None:
    """A process chooses its name, and whoever makes cgroups theirs: all else is the kernel's."""
    name, cgroup = given[0].replace(b"\0", b"")[:15], given[1].replace(b"\n", b"").replace(b"\0", b"")
    # As the kernel writes it: of the name only newline and backslash are escaped, and in stat nothing.
    shown = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    status = b"Name:\t" + shown + b"\nUmask:\t0022\nPid:\t7\nNSpid:\t7\t3\n"
    numbers = b" ".join(b"%d" % number for number in range(4, 53))
    files = {"status": status, "stat": b"7 (" + name + b") S " + numbers, "cgroup": b"1:x:/y\n0::/" + cgroup + b"\n"}
    with _process(files) as proc:
        assert procfs.pid_in_container(proc, 7) == 3
        assert procfs.start_ticks(proc, 7) == 22
        assert procfs.start_time_unix_ns(proc, 7) > 0
        procfs.is_of_kernel(proc / "7")
        path = procfs.cgroup_path(proc, 7)
        assert path == os.fsdecode(b"/" + cgroup.removesuffix(b" (deleted)"))
        _cgroup(path)


def _cgroup(path: str) -> None:
    """What a name says is what it says of a container's and a pod's own forms, and nothing else."""
    place = cgroups.parse(path)
    if place is not None:
        assert len(place.container_id) == 64
        assert place.container_id in path
        assert place.pod_uid is None or len(place.pod_uid) == 32
        assert cgroups.container_part(path, place.container_id) is not None
    lives.container_id(path)
    for found in cgroups.runtime_spec_paths(path):
        assert ".." not in Path(found).parts
    cgroups.bare_uid(path)


_CGROUP_PARTS = st.one_of(
    st.sampled_from(
        (f"cri-containerd-{_ID}.scope", f"pod{_UID}", f"kubepods-pod{_UID}.slice:cri-containerd:{_ID}", _ID, "..", "/")
    ),
    st.text(max_size=20),
)
_CGROUP_PATHS = st.lists(_CGROUP_PARTS, max_size=6).map("/".join)


def _runtime(response: Any) -> None:
    status = cri._status(response)
    assert status.pid >= 0
    assert status.pid < 2**32
    assert not isinstance(status.pid, bool)
    cgroups.runtime_spec_paths(status.cgroups_path)


def _with_info(response: Any, info: str) -> Any:
    response.info["info"] = info
    return response


_INFOS = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "pid": st.one_of(JSON, st.integers()),
            "runtimeSpec": st.one_of(
                JSON,
                st.fixed_dictionaries(
                    {}, optional={"linux": st.one_of(JSON, st.fixed_dictionaries({"cgroupsPath": JSON}))}
                ),
            ),
        },
    ),
    JSON,
).map(json.dumps)
_ANSWERS = st.builds(
    _with_info,
    messages(api_pb2.ContainerStatusResponse, {}),
    st.one_of(_INFOS, WORDS_OF_TEXT, st.integers(1, 3).map(lambda depth: "[" * 10**5 * depth), st.just("9" * 10_000)),
)


def _counters(text: str) -> None:
    with contextlib.suppress(ValueError):
        network_counters._counters(
            dict.fromkeys(("snmp", "netstat", "sockstat", "sockstat6"), text), host_network=False
        )


_COUNTER_LINES = st.lists(
    st.one_of(
        st.sampled_from(("Tcp: RetransSegs InSegs", "Tcp: 1 2", "TCP: inuse 1 tw 2", "TcpExt: ListenDrops", "")),
        st.text(max_size=30),
    ),
    max_size=8,
).map("\n".join)


def _cgroup_files(text: str) -> None:
    reads: tuple[Callable[[str], object], ...] = (
        parsing.cpu_stat,
        parsing.memory_events,
        lambda given: parsing.pressure(given, "cpu"),
        lambda given: parsing.memory_stat(given, version=1),
        lambda given: parsing.memory_stat(given, version=2),
        parsing.cpu_limit,
        parsing.memory_limit,
        lambda given: list(parsing.v1_paths(given)),
    )
    for read in reads:
        # For which the file counts as one that cannot be read. No kernel has a period of 0.
        with contextlib.suppress(ValueError, ZeroDivisionError):
            read(text)


_CGROUP_TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            ("usage_usec 7", "oom_kill 1", "some avg10=0.00 total=5", "full total=x", "max 100000", "0 0", "anon 1")
        ),
        st.text(max_size=30),
        st.sampled_from(("anon \u00b2", "usage_usec " + "9" * 5000, "some total=" + "9" * 5000)),
    ),
    max_size=8,
).map("\n".join)


def _name(packet: bytes) -> None:
    shown = text_of(packet)
    assert shown.isascii()
    assert shown.isprintable()
    type_of(int.from_bytes(packet[:2], "big"))


# Records of the kernel's programs: their fields are ours, their texts are a container's.
_CALL = calls._RECORD


def _call(given: tuple[bytes, int, int, bytes]) -> None:
    head, abi, number, text = given
    _, call = calls.parsed(_with_call(head, abi, number) + text, ABIS, RawCall)
    shown = call_arguments.described(call, Redaction.of(["/secret/*", "*:443"]))
    thread, process = call_arguments.names(call)
    for each in (shown, thread, process, call_arguments.described(call)):
        assert each.isascii()
        assert each.isprintable()
    assert len(shown) <= 512
    assert arguments.kinds(names(ABIS[abi]).get(number, ""), ABIS[abi]) is not None


def _with_call(head: bytes, abi: int, number: int) -> bytes:
    """Return a record of a call of this number: others would hardly be met."""
    values = list(_CALL.unpack(head.ljust(_CALL.size, b"\0")[: _CALL.size]))
    values[12], values[13] = abi, number
    # How much of the text is which argument's.
    values[18], values[19] = values[18] % 600, values[19] % 600
    return _CALL.pack(*values)


_CALLS = st.tuples(
    st.binary(max_size=_CALL.size),
    st.integers(0, len(ABIS) - 1),
    st.sampled_from(sorted(names("x86_64"))),
    st.one_of(
        texts(),
        st.binary(max_size=300),
        st.builds(lambda kind, rest: bytes([kind, 0]) + rest, st.sampled_from((1, 2, 10)), st.binary(max_size=40)),
    ),
)


def _stack(record: bytes) -> None:
    stack = user_stacks_kernel.parsed(record.ljust(user_stacks_kernel._RECORD.size, b"\0"))
    assert len(stack.user) * 8 <= len(record) + user_stacks_kernel._RECORD.size


def _security(record: bytes) -> None:
    patterns = judging.Patterns.of(["/secret/*", "*a*a*a*a*a*b"])
    head = security_kernel._MATCH_HEAD.size
    for number in sorted(names("x86_64"))[::7]:
        key = MatchKey(0, 0, number, *[0] * 7)
        match = security_kernel._match(key, record.ljust(head, b"\0"), ABIS)
        judging.judged(match, patterns)
    judging.exec_judged(security_kernel._exec(record.ljust(security_kernel._EXEC_HEAD.size, b"\0")))


_HIDING = Redaction.of(["/secret/*", "*token*", "*.internal", "/a*b*c", "10.0.*"])


def _hidden(text: bytes) -> None:
    for redaction in (Redaction(), _HIDING):
        redaction.path(b"/" + text)
        redaction.relative(text, b"/folder")
        redaction.socket(text)
        redaction.hides(text)
        redaction.peer(text.decode("latin-1"), 53)
        safe(redaction.text(text), 100)
    kept = _HIDING.path(b"/secret/" + text.replace(b"/", b"").replace(b"\0", b""))
    assert kept.startswith(b"/secret/")
    assert kept.count(b"/") == 2


def _words(text: bytes) -> None:
    for all_bytes in (len(text), len(text) + 1):
        shown = process_arguments.arguments(Words(text, all_bytes), _HIDING)
        assert len(shown) <= 34
        assert all(each.isascii() and each.isprintable() for each in shown)
    process_arguments.redacted(text)


def _path(given: tuple[bytes, bytes, int]) -> None:
    text, walk, mode = given
    assert file_paths.shown(file_paths.of_path(text, walk, mode)).isascii()
    assert file_paths.shown(file_paths.of_file(walk, mode)).isprintable()


def _request(given: Any) -> None:
    with contextlib.suppress(limits.InvalidRequestError):
        limits.check_start(given, limits.Limits())


_SEEN_VIEWS = st.sampled_from(("timeline", "slowCalls", "errors", "processes", "callers", "security", "counters", "x"))
_REQUESTS = st.one_of(
    messages(agent_pb2.StartTraceRequest, {"kubestrace.v1.StartTraceRequest.session_uid": st.just("s1")}),
    st.builds(
        lambda name, value: agent_pb2.StartTraceRequest(
            session_uid="s1",
            duration_milliseconds=1,
            views={name: {"type_url": f"t/kubestrace.v1.{name[:1].upper()}{name[1:]}Request", "value": value}},
        ),
        _SEEN_VIEWS,
        st.binary(max_size=40),
    ),
)


def _patterns(given: list[str]) -> None:
    with contextlib.suppress(SyscallPatternError):
        parse_patterns(given, "x86_64")


_PATTERN = st.one_of(
    st.lists(
        st.sampled_from(("a", "(", ")", "*", "+", "|", "{9}", "[a-z]", ".", "^", "$", "?", "\\", "!", "/", "read")),
        max_size=30,
    ).map(lambda parts: "/" + "".join(parts)),
    st.sampled_from(("read", "%file", "all", "none", "?nothing", "!write", "%net", ",")),
    st.text(max_size=20),
)

_STACK_HEAD = header("kernel/bpf/stacks.h").struct("user_stack").size
TARGETS = (
    Target("agent: ELF files", st.one_of(spoiled(_small_elf()), spoiled(_made_elf()), st.binary(max_size=300)), _elf),
    Target("agent: call frames", st.tuples(_INSTRUCTIONS, _COMMON_HEADS, _INSTRUCTIONS).map(_entries), _cfi),
    Target("agent: perf maps", st.one_of(_MAP_LINES, st.binary(max_size=300)), _perf_map),
    Target("agent: /proc/PID", st.tuples(texts(), texts()), _proc),
    Target("agent: cgroup names", st.one_of(_CGROUP_PATHS, st.text(max_size=60)), _cgroup),
    Target("agent: answers of the runtime", _ANSWERS, _runtime),
    Target("agent: /proc/PID/net", st.one_of(_COUNTER_LINES, st.text(max_size=60)), _counters),
    Target("agent: cgroup files", _CGROUP_TEXTS, _cgroup_files),
    Target("agent: names of DNS", st.binary(max_size=300), _name),
    Target("agent: records of calls", _CALLS, _call),
    Target("agent: records of stacks", st.binary(max_size=_STACK_HEAD + 400), _stack),
    Target("agent: records of security", st.binary(max_size=1200), _security),
    Target("agent: what is hidden", texts(30), _hidden),
    Target("agent: command lines", texts(40), _words),
    Target("agent: paths", st.tuples(texts(), texts(), st.integers(0, 2**32 - 1)), _path),
    Target("agent: requests of operators", _REQUESTS, _request),
    Target("agent: patterns of calls", st.lists(_PATTERN, max_size=6), _patterns),
)
