"""Names of system calls and errnos, of all ABIs. Pure."""

from typing import NamedTuple

from kubestrace_agent.syscalls import tables

# SyscallKey.number of "every number of this ABI that no table knows", in selections only.
UNKNOWN_NUMBERS = -1

_TABLES = {
    "x86_64": tables.X86_64,
    "i386": tables.I386,
    "x32": tables.X32,
    "aarch64": tables.AARCH64,
    "arm": tables.ARM,
}
# As the programs number them: native, compat, x32.
_ABIS = {"x86_64": ("x86_64", "i386", "x32"), "aarch64": ("aarch64", "arm")}


class SyscallKey(NamedTuple):
    """A system call as the kernel tells them apart."""

    # "x86_64", "i386", "x32", "aarch64", "arm".
    abi: str
    number: int
    # Those calls of this number that waited for a neighbour; in no selection.
    waited: bool = False


# Which calls are counted, as Selection.keys() gives them; None is everything.
Wanted = frozenset[SyscallKey] | None


def abi_names(machine: str) -> tuple[str, ...]:
    """ABIs of a machine (platform.machine()) in the order of the programs' numbers. Raises KeyError."""
    return _ABIS[machine]


def names(abi: str) -> dict[int, str]:
    """Number -> strace's name. Raises KeyError."""
    return _TABLES[abi]


def name(key: SyscallKey) -> str:
    """Strace's name, "syscall_N" where no table has the number."""
    abi, number, _ = key
    return _TABLES[abi].get(number) or f"syscall_{number}"


def errno_name(number: int) -> str:
    """Like "ENOENT"; "errno_N" where no table has the number, and "errno_other" for those that had no place (0)."""
    return tables.ERRNOS.get(number) or (f"errno_{number}" if number else "errno_other")
