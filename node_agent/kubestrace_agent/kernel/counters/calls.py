"""Single calls as calls.bpf.c tells them. Used by the views that do."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from kubestrace_agent.kernel.counters.counts import RawCall
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.maps import Maps
from kubestrace_agent.syscalls import SyscallKey, arguments, name, names
from kubestrace_agent.syscalls.moving import MOVING
from kubestrace_agent.syscalls.waiting import RULES, Kind, Rule

_HEADER = header("kernel/bpf/calls.h")
CALL = _HEADER.struct("call")
# A record up to its text.
_RECORD = CALL.fields(
    *("end_ns", "length_ns", "on_ns", "runnable_ns", "arguments", "result", "generation", "abi", "nr", "tid", "pid"),
    *("inner_tid", "inner_pid", "text_bytes", "modes", "thread", "process"),
    size=CALL.offset("text"),
)
# And with the most of it.
RECORD_BYTES = CALL.size
_CAPTURE = {
    arguments.Kind.PATH: _HEADER.number("CAPTURE_PATH"),
    arguments.Kind.FILE: _HEADER.number("CAPTURE_FILE"),
    arguments.Kind.DIRECTORY: _HEADER.number("CAPTURE_FILE"),
    arguments.Kind.ADDRESS: _HEADER.number("CAPTURE_ADDRESS"),
    arguments.Kind.WRITTEN_ADDRESS: _HEADER.number("CAPTURE_WRITTEN_ADDRESS"),
    arguments.Kind.LOCK: _HEADER.number("CAPTURE_LOCK"),
    arguments.Kind.MESSAGE: _HEADER.number("CAPTURE_MESSAGE"),
    arguments.Kind.WRITTEN_MESSAGE: _HEADER.number("CAPTURE_WRITTEN_MESSAGE"),
    arguments.Kind.POLLED: _HEADER.number("CAPTURE_POLLED"),
    arguments.Kind.SETS: _HEADER.number("CAPTURE_POLLED"),
    arguments.Kind.EPOLL: _HEADER.number("CAPTURE_EPOLL"),
}
_POLLED = frozenset({arguments.Kind.POLLED, arguments.Kind.SETS, arguments.Kind.EPOLL})
_EXECS = frozenset({"execve", "execveat"})
_UNKNOWN = (1 << 64) - 1
_WAITS = header("kernel/bpf/waits.h")

_Call = TypeVar("_Call", bound=RawCall)


def write_shapes(maps: Maps, abis: Sequence[str]) -> None:
    """Tell the programs what to read of which call; `abis` as abi_names gives them. Idempotent."""
    with maps.view("call_shapes", "Q") as shapes:
        for at, abi, called in indexed(abis):
            shapes[at] = shape(called, abi)


def write_rules(maps: Maps, abis: Sequence[str]) -> None:
    """Tell the programs which calls are waits when their task slept, what they return, and what they are told."""
    with maps.view("call_rules", "Q") as rules:
        for at, abi, called in indexed(abis):
            rules[at] = rule_of(called, abi)


def rule_of(called: str, abi: str) -> int:
    """What waits.h says of a call, in one word."""
    value = wait_rule(RULES[called]) if called in RULES else 0
    if called in MOVING:
        value |= _WAITS.number("MOVES_BYTES")
    known = arguments.kinds(called, abi)
    if arguments.Kind.POLLED in known:
        value |= _WAITS.number("POLLS_ARRAY")
    if arguments.Kind.SETS in known:
        value |= _WAITS.number("POLLS_SETS")
    return value


def wait_rule(rule: Rule) -> int:
    """A rule as waits.h has it."""
    number = _WAITS.number
    is_command = rule.kind is Kind.COMMAND
    bits = {1 << value for value in rule.values} if is_command else rule.values
    return (
        number(rule.kind.value)
        | rule.arguments[0] << number("WAIT_FIRST_SHIFT")
        | rule.arguments[-1] << number("WAIT_SECOND_SHIFT")
        | (number("WAIT_NO_FLAGS") if rule.flags_at is None else rule.flags_at) << number("WAIT_FLAGS_SHIFT")
        | sum(bits) << number("WAIT_VALUES_SHIFT")
    )


def indexed(abis: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Place in the programs' tables, ABI and name of all calls that have one."""
    for position, abi in enumerate(abis):
        for number, called in names(abi).items():
            at = position * layout.ABI_NUMBERS + number
            if at < layout.INDEX_ENTRIES:
                yield at, abi, called


def shape(called: str, abi: str) -> int:
    """What the program is to read of a call's arguments, as calls.h has it."""
    kinds = arguments.kinds(called, abi)
    value = 0
    for position, at in enumerate(arguments.captured(called, abi)):
        value |= (_CAPTURE[kinds[at]] | at << 4) << 8 * position
    if arguments.has_folder(called, abi):
        value |= _HEADER.number("CAPTURE_FOLDER") << 8
    if called in _EXECS:
        value |= _HEADER.number("SHAPE_EXEC")
    return value


def parsed(record: bytes, abis: Sequence[str], make: Callable[..., _Call]) -> tuple[int, _Call]:
    """The generation of the call's slot, and the call, made from its fields: by RawCall, or a kind of it."""
    end, length, on, runnable, *rest = _RECORD.unpack_from(record)
    values, result = tuple(rest[:6]), rest[6]
    generation, abi, number, tid, pid, inner_tid, inner_pid, first, second, *modes = rest[7:18]
    thread, process = rest[18:20]
    key = layout.syscall_key(abis, abi, number)
    text = record[_RECORD.size :]
    call = make(
        key=key,
        waits=key.waited,
        start_ns=end - length,
        length_ns=length,
        on_ns=None if on == _UNKNOWN else on,
        runnable_ns=None if runnable == _UNKNOWN else runnable,
        arguments=values,
        result=result,
        tid=tid,
        pid=pid,
        inner_tid=inner_tid,
        inner_pid=inner_pid,
        thread=thread.partition(b"\0")[0],
        process=process.partition(b"\0")[0],
        captures=((modes[0], text[:first]), (modes[1], text[first : first + second])),
    )
    return generation, call


def polled_captures(key: SyscallKey) -> frozenset[int]:
    """Which of a call's captures hold the descriptors that it polls."""
    called = name(key)
    kinds = arguments.kinds(called, key.abi)
    places = enumerate(arguments.captured(called, key.abi))
    return frozenset(position for position, at in places if kinds[at] in _POLLED)
