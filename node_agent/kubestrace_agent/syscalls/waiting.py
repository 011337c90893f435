"""What a call that slept waited for, by its name: a neighbour or the kernel. Pure.

A rule says when such a call was a wait: always, by what is at its descriptors, by its arguments. A call without a rule
works, however long it sleeps: it waits for a disk, or for the kernel itself. The programs judge by these (waits.bpf.c).
"""

from dataclasses import dataclass
from enum import StrEnum


class WaitKind(StrEnum):
    """What decides; the names are those of enum wait_kind in syscalls.h."""

    NEVER = "WAIT_NEVER"
    ALWAYS = "WAIT_ALWAYS"
    FILES = "WAIT_FILES"
    TERMINAL = "WAIT_TERMINAL"
    OPENED = "WAIT_OPENED"
    LOCK = "WAIT_LOCK"
    FUTEX = "WAIT_FUTEX"
    CLONE3 = "WAIT_CLONE3"
    SOCKETCALL = "WAIT_SOCKETCALL"
    IPC = "WAIT_IPC"


@dataclass(frozen=True)
class WaitRule:
    """When a call that slept was a wait."""

    kind: WaitKind
    # The arguments that are descriptors, at most two.
    files: tuple[int, ...] = ()
    # The argument with flags, and those of which none may be set for the call to wait; if `needs_flag`, one must be.
    flags_at: int = 0
    flags: int = 0
    needs_flag: bool = False


NEVER = WaitRule(WaitKind.NEVER)
# A timer, a child, a lock, an event, a message.
_ALWAYS = (
    *("clock_nanosleep", "clock_nanosleep_time64", "nanosleep", "pause", "rt_sigsuspend", "sigsuspend"),
    *("rt_sigtimedwait", "rt_sigtimedwait_time64", "restart_syscall", "vfork"),
    *("epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "poll", "ppoll", "ppoll_time64"),
    *("_newselect", "select", "pselect6", "pselect6_time64"),
    *("futex_wait", "futex_waitv", "io_getevents", "io_pgetevents", "io_pgetevents_time64"),
    *("mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64"),
    *("semop", "semtimedop", "semtimedop_time64"),
)
_LOCK_NB, _WNOHANG, _IPC_NOWAIT = 4, 1, 0x800
# linux/socket.h, linux/fs.h, linux/splice.h, linux/io_uring.h, linux/sched.h.
_MSG_DONTWAIT, _RWF_NOWAIT, _SPLICE_F_NONBLOCK = 0x40, 8, 2
_ENTER_GETEVENTS, _ENTER_SQ_WAIT, _CLONE_VFORK = 1, 4, 0x4000
# Descriptors, and flags with which the call does not wait.
_FILES: dict[str, tuple[tuple[int, ...], int, int]] = {
    **dict.fromkeys(("accept", "accept4", "connect", "read", "readv", "write", "writev"), ((0,), 0, 0)),
    **dict.fromkeys(("pread64", "preadv", "pwrite64", "pwritev"), ((0,), 0, 0)),
    **dict.fromkeys(("preadv2", "pwritev2"), ((0,), 5, _RWF_NOWAIT)),
    **dict.fromkeys(("recv", "recvfrom", "send", "sendto"), ((0,), 3, _MSG_DONTWAIT)),
    **dict.fromkeys(("recvmmsg", "recvmmsg_time64", "sendmmsg"), ((0,), 3, _MSG_DONTWAIT)),
    **dict.fromkeys(("recvmsg", "sendmsg"), ((0,), 2, _MSG_DONTWAIT)),
    **dict.fromkeys(("sendfile", "sendfile64"), ((0, 1), 0, 0)),
    "splice": ((0, 2), 5, _SPLICE_F_NONBLOCK),
    "tee": ((0, 1), 3, _SPLICE_F_NONBLOCK),
    "vmsplice": ((0,), 3, _SPLICE_F_NONBLOCK),
}
_RULES = {
    **dict.fromkeys(_ALWAYS, WaitRule(WaitKind.ALWAYS)),
    **{name: WaitRule(WaitKind.FILES, files, at, flags) for name, (files, at, flags) in _FILES.items()},
    **dict.fromkeys(("open", "openat", "openat2", "creat", "open_by_handle_at"), WaitRule(WaitKind.OPENED)),
    **dict.fromkeys(("fcntl", "fcntl64"), WaitRule(WaitKind.LOCK)),
    **dict.fromkeys(("futex", "futex_time64"), WaitRule(WaitKind.FUTEX)),
    "clone": WaitRule(WaitKind.ALWAYS, flags_at=0, flags=_CLONE_VFORK, needs_flag=True),
    "clone3": WaitRule(WaitKind.CLONE3),
    "flock": WaitRule(WaitKind.ALWAYS, flags_at=1, flags=_LOCK_NB),
    "io_uring_enter": WaitRule(
        WaitKind.ALWAYS, flags_at=3, flags=_ENTER_GETEVENTS | _ENTER_SQ_WAIT, needs_flag=True
    ),
    # tcdrain and its like; what other devices are asked for is work.
    "ioctl": WaitRule(WaitKind.TERMINAL, (0,)),
    "ipc": WaitRule(WaitKind.IPC),
    "msgrcv": WaitRule(WaitKind.ALWAYS, flags_at=4, flags=_IPC_NOWAIT),
    "msgsnd": WaitRule(WaitKind.ALWAYS, flags_at=3, flags=_IPC_NOWAIT),
    "socketcall": WaitRule(WaitKind.SOCKETCALL),
    **dict.fromkeys(("wait4", "waitpid"), WaitRule(WaitKind.ALWAYS, flags_at=2, flags=_WNOHANG)),
    "waitid": WaitRule(WaitKind.ALWAYS, flags_at=3, flags=_WNOHANG),
}  # fmt: skip


def rule(name: str) -> WaitRule:
    """Return when a call of this name that slept was a wait."""
    return _RULES.get(name, NEVER)


def ruled() -> frozenset[str]:
    """Return the names of all calls that may wait."""
    return frozenset(_RULES)
