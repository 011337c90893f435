"""The index of a slot: for each ABI and number the row of its counters, none yet, or not wanted. Pure.

The programs write row ids into it and we write zeros over them: a program that finds zero looks the row up by its key,
so that nothing is lost by either.
"""

from array import array
from collections.abc import Iterable, Sequence

from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.syscalls import UNKNOWN_NUMBERS, SyscallKey, names

# Their calls say that work goes by io_uring: counted whatever a trace wants. Nothing at all is wanted at its end.
_IO_URING_NUMBERS = (425, 426)


def blank(wanted: frozenset[SyscallKey] | None, abis: Sequence[str]) -> tuple["array[int]", bool]:
    """The entries for what is wanted, and whether numbers beyond the index are wanted.

    `abis`: the machine's ABIs in the order of enum abi in syscalls.h.
    """
    if wanted is None:
        return array("H", bytes(2 * layout.INDEX_ENTRIES)), True
    entries = array("H", [layout.NOT_WANTED]) * layout.INDEX_ENTRIES
    others = False
    for key in _counted(wanted, abis):
        position = _position(key, abis)
        if position is None:
            others = True
        else:
            entries[position] = 0
    return entries, others


def _counted(wanted: frozenset[SyscallKey], abis: Sequence[str]) -> Iterable[SyscallKey]:
    """The wanted keys, with UNKNOWN_NUMBERS written out for the numbers of the index; one beyond it stays."""
    for key in wanted:
        if key.number == UNKNOWN_NUMBERS:
            known = names(key.abi)
            yield SyscallKey(key.abi, layout.INDEX_ENTRIES)
            yield from (SyscallKey(key.abi, n) for n in range(_numbers(key.abi, abis)) if n not in known)
        else:
            yield key
    if wanted:
        yield from (SyscallKey(abi, number) for abi in abis for number in _IO_URING_NUMBERS)


def _numbers(abi: str, abis: Sequence[str]) -> int:
    """x32 takes two parts of the index: its own calls start at 512."""
    return layout.ABI_NUMBERS * (2 if abis.index(abi) == layout.ABI_X32 else 1)


def _position(key: SyscallKey, abis: Sequence[str]) -> int | None:
    """None: beyond the index."""
    if not 0 <= key.number < _numbers(key.abi, abis):
        return None
    return abis.index(key.abi) * layout.ABI_NUMBERS + key.number
