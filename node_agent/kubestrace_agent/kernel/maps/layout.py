"""The structs of syscalls.h, for Python. tracer compares the sizes with the loaded maps'."""

import struct
from collections.abc import Sequence

from kubestrace_agent.syscalls import SyscallKey

CONFIG_SIZE = 16 + 4 * 16 + 8 + 8
# As indexes of 32-bit items.
CONFIG_FOLLOWED = 20
CONFIG_EACH_CALL = 21
# As an index of 64-bit items.
CONFIG_JOINED = 11
# struct attach_call: start_ns, length_ns, generation, row.
ATTACH_CALL = struct.Struct("=QQII")
MAX_ATTACH_CALLS = 8192
MAX_LEVELS = 16
# struct slot_ref: slot, generation.
SLOT_REF = struct.Struct("=II")
# struct index: rows, others_wanted, used, joined_ns, widened, stopped; the parts behind the rows by their bytes.
INDEX_ENTRIES = 2048
ABI_NUMBERS = 512
# enum abi: native, compat, x32; and the flag beside it of the rows of calls that waited.
ABI_MASK = 0xFF
WAITED = 0x100
ABI_X32 = 2
INDEX_OTHERS, INDEX_USED = 2 * INDEX_ENTRIES, 2 * INDEX_ENTRIES + 4
INDEX_JOINED, INDEX_WIDENED = 2 * INDEX_ENTRIES + 8, 2 * INDEX_ENTRIES + 16
INDEX_STOPPED = 2 * INDEX_ENTRIES + 20
INDEX_SIZE = 2 * INDEX_ENTRIES + 24
NOT_WANTED = 0xFFFF
ROW_MASK = 0x7FFF
# struct row_key: generation, abi, nr.
ROW_KEY = struct.Struct("=IIi")
# struct head: generation, touched, slot, abi, nr; then stopped, which rows.py alone writes.
HEAD = struct.Struct("=IIIIi4x")
# struct odd_errno: generation, row, number.
ODD_ERRNO = struct.Struct("=IHH")
# struct in_flight: start_ns, since_ns, generation, abi, nr, tid, pid, seen, details.
IN_FLIGHT = struct.Struct("=QQIIiIIII4x")

BUCKETS = 320
ERRNOS = 144
LOW_ERRNOS = 136
RESTART_ERRNO = 512
GROUP = 8
# struct row: total_ns, max_ns[2], epochs[2], untimed, unmatched, used.
ROW_START = struct.Struct("=QQQIIIIQ")
# struct counters: errnos and buckets as u32; behind the row's start or in a map of its own (row_sizes.py).
COUNTERS_SIZE = 4 * (ERRNOS + BUCKETS)


def syscall_key(abis: Sequence[str], abi: int, number: int) -> SyscallKey:
    """The call of a struct's abi, with the flag WAITED, and nr; `abis` as abi_names gives them."""
    return SyscallKey(abis[abi & ABI_MASK], number, bool(abi & WAITED))


def errno_at(index: int) -> int:
    """The errno that stands at an index of struct row's errnos."""
    return index if index < LOW_ERRNOS else index - LOW_ERRNOS + RESTART_ERRNO
