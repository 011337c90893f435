"""Names of system calls and errnos, and which calls wait. Pure."""

from functools import lru_cache
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

# Calls whose purpose is to wait for something or someone.
WAITS = frozenset(
    {
        "accept", "accept4", "clock_nanosleep", "clock_nanosleep_time64", "epoll_pwait", "epoll_pwait2", "epoll_wait",
        "epoll_wait_old", "flock", "futex", "futex_time64", "futex_wait", "futex_waitv", "io_getevents",
        "io_pgetevents", "io_pgetevents_time64", "io_uring_enter", "mq_timedreceive", "mq_timedreceive_time64",
        "mq_timedsend", "mq_timedsend_time64", "msgrcv", "nanosleep", "_newselect", "pause", "poll", "ppoll",
        "ppoll_time64", "pselect6", "pselect6_time64", "restart_syscall", "rt_sigsuspend", "rt_sigtimedwait",
        "rt_sigtimedwait_time64", "select", "semop", "semtimedop", "semtimedop_time64", "sigsuspend", "wait4",
        "waitid", "waitpid",
    }
)  # fmt: skip


# Calls by a descriptor that wait where somebody is at its other end: a socket, a pipe, a terminal, an event.
DESCRIPTOR_WAITS = frozenset(
    {
        "connect", "read", "readv", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg",
        "sendmsg", "sendto", "write", "writev",
    }
)  # fmt: skip


class SyscallKey(NamedTuple):
    """A system call as the kernel tells them apart."""

    # "x86_64", "i386", "x32", "aarch64", "arm".
    abi: str
    number: int
    # Those calls of this number that waited for somebody at the other end of a descriptor; in no selection.
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


@lru_cache(maxsize=4096)
def waits(key: SyscallKey) -> bool:
    """Whether these calls waited: by their purpose, or for somebody at the other end of a descriptor."""
    return key.waited or name(key) in WAITS


def errno_name(number: int) -> str:
    """Like "ENOENT"; "errno_N" where no table has the number, and "errno_other" for those that had no place (0)."""
    return tables.ERRNOS.get(number) or (f"errno_{number}" if number else "errno_other")
