"""The structs and numbers of syscalls.h, for Python. tracer compares the sizes with the loaded maps'."""

from collections.abc import Sequence
from functools import lru_cache

from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.syscalls import SyscallKey

_SYSCALLS = header("kernel/bpf/syscalls.h")

CONFIG = _SYSCALLS.struct("config")
INDEX = _SYSCALLS.struct("index")
ATTACH_CALL = _SYSCALLS.struct("attach_call").fields("start_ns", "length_ns", "generation", "row")
SLOT_REF = _SYSCALLS.struct("slot_ref").fields("slot", "generation")
ROW_KEY = _SYSCALLS.struct("row_key").fields("generation", "abi", "nr")
# pods.bpf.c adds to generation and processes: the agent writes half of each, and the other half of processes is theirs.
# As indexes of 16-bit items.
CONFIG_GENERATION_HALF = 2 * CONFIG.at("generation") + 1
CONFIG_PROCESSES_HALF = 2 * CONFIG.at("processes")
CONFIG_JOINERS_HALF = CONFIG_PROCESSES_HALF + 1
HEAD = _SYSCALLS.struct("head")
# In their map they stand at multiples of 8 bytes.
HEAD_BYTES = -(-HEAD.size // 8) * 8
HEAD_OWNER = HEAD.fields("generation", "abi", "nr")
ODD_ERRNO = _SYSCALLS.struct("odd_errno").fields("generation", "row", "number")
IN_FLIGHT = _SYSCALLS.struct("in_flight").fields(
    "start_ns", "since_ns", "generation", "abi", "nr", "tid", "pid", "seen", "details"
)
_ROW = _SYSCALLS.struct("row")
# A row without its counters, which stand behind it or in a map of their own (row_sizes.py).
ROW_START = _ROW.fields("total_ns", "max_ns", "epochs", "untimed", "unmatched", "used", size=_ROW.offset("counters"))
# Errnos and buckets as u32.
_COUNTERS = _SYSCALLS.struct("counters")
COUNTERS_SIZE = _COUNTERS.size
# A group behind them begins with the bytes that were moved, as u64, and the calls that moved none, as u32.
MOVED_GROUP = _SYSCALLS.number("MOVED_GROUP")

ABI_NUMBERS = _SYSCALLS.number("ABI_NUMBERS")
INDEX_ENTRIES = _SYSCALLS.number("INDEX_ENTRIES")
ABI_MASK = _SYSCALLS.number("ABI_MASK")
WAITED = _SYSCALLS.number("WAITED")
ABI_X32 = _SYSCALLS.number("ABI_X32")
NOT_WANTED = _SYSCALLS.number("NOT_WANTED")
ROW_MASK = _SYSCALLS.number("ROW_MASK")
MAX_ATTACH_CALLS = _SYSCALLS.number("MAX_ATTACH_CALLS")
MAX_LEVELS = _SYSCALLS.number("MAX_LEVELS")
BUCKETS = _SYSCALLS.number("BUCKETS")
ERRNOS = _SYSCALLS.number("ERRNOS")
LOW_ERRNOS = _SYSCALLS.number("LOW_ERRNOS")
RESTART_ERRNO = _SYSCALLS.number("RESTART_ERRNO")
GROUP = _SYSCALLS.number("GROUP")
CHAIN_PLACES = _SYSCALLS.number("CHAIN_PLACES")


def chain(name: str) -> int:
    """Return an event at which programs of views run (enum chain), as an index of config.chains."""
    return _SYSCALLS.number(name)


def syscall_key(abis: Sequence[str], abi: int, number: int) -> SyscallKey:
    """The call of a struct's abi, with the flag WAITED, and nr; `abis` as abi_names gives them."""
    return _syscall_key(abis[abi & ABI_MASK], number, bool(abi & WAITED))


# A few hundred are asked for all the time.
_syscall_key = lru_cache(maxsize=4096)(SyscallKey)


def errno_at(index: int) -> int:
    """The errno that stands at an index of struct row's errnos."""
    return index if index < LOW_ERRNOS else index - LOW_ERRNOS + RESTART_ERRNO
