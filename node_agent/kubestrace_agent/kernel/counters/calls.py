"""Single calls as calls.bpf.c tells them. Used by the views that do."""

import struct
from collections.abc import Iterator, Sequence

from kubestrace_agent.kernel.counters.counts import RawCall, RawStack
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.maps import Maps
from kubestrace_agent.syscalls import DESCRIPTOR_WAITS, WAITS, arguments, names

# struct call without its text.
_RECORD = struct.Struct("=QQQQ6QqIIiIIIII2I2II16s16s")
# And with the most of it.
RECORD_BYTES = _RECORD.size + 512 + 256
_CAPTURE = {
    arguments.Kind.PATH: 1,
    arguments.Kind.FILE: 2,
    arguments.Kind.DIRECTORY: 2,
    arguments.Kind.ADDRESS: 3,
    arguments.Kind.WRITTEN_ADDRESS: 4,
}
_UNKNOWN = (1 << 64) - 1
_WAITS_BIT = 1 << 16


def write_shapes(maps: Maps, abis: Sequence[str]) -> None:
    """Tell the programs what to read of which call; `abis` as abi_names gives them. Twice is fine."""
    with maps.view("call_shapes", "Q") as shapes:
        for at, abi, called in _indexed(abis):
            shapes[at] = shape(called, abi)


def write_descriptor_calls(maps: Maps, abis: Sequence[str]) -> None:
    """Tell the programs which calls wait where somebody is at the other end of their descriptor."""
    with maps.view("descriptor_calls", "Q") as waiting:
        for at, _, called in _indexed(abis):
            waiting[at] = called in DESCRIPTOR_WAITS


def _indexed(abis: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Place in the programs' tables, ABI and name of all calls that have one."""
    for position, abi in enumerate(abis):
        for number, called in names(abi).items():
            at = position * layout.ABI_NUMBERS + number
            if at < layout.INDEX_ENTRIES:
                yield at, abi, called


def shape(called: str, abi: str) -> int:
    """What the program is to read of a call's arguments, as calls.h has it."""
    kinds = arguments.kinds(called, abi)
    value = _WAITS_BIT if called in WAITS else 0
    for position, at in enumerate(arguments.captured(called, abi)):
        value |= (_CAPTURE[kinds[at]] | at << 4) << 8 * position
    return value


def parsed(
    record: bytes, abis: Sequence[str], stacks: dict[tuple[int, int], RawStack] | None = None
) -> tuple[int, RawCall]:
    """The generation of the call's slot, and the call; its stack is taken out of `stacks` (by thread and end)."""
    end, length, on, runnable, *rest = _RECORD.unpack_from(record)
    values, result = tuple(rest[:6]), rest[6]
    generation, abi, number, _, tid, pid, inner_tid, inner_pid, first, second, *modes = rest[7:19]
    _, thread, process = rest[19:22]
    key = layout.syscall_key(abis, abi, number)
    text = record[_RECORD.size :]
    call = RawCall(
        key=key,
        waits=key.waited or names(key.abi).get(number) in WAITS,
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
        stack=stacks.pop((tid, end), None) if stacks else None,
        captures=((modes[0], text[:first]), (modes[1], text[first : first + second])),
    )
    return generation, call
