"""What a call must be for the sleep of its task to be a wait for a neighbour: a peer, a lock, a timer, a child. Pure.

A call without a rule works, however long it sleeps: for a disk, or for the kernel's own locks. What is behind a
descriptor is looked at in the kernel (waits.bpf.c).
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What makes a sleep a wait; the numbers stand in waits.h."""

    # Nothing else puts the call to sleep.
    ALWAYS = "WAIT_ALWAYS"
    # One of its descriptors has another end: a socket, a pipe, a terminal, an event; not if O_NONBLOCK is set there.
    DESCRIPTORS = "WAIT_DESCRIPTORS"
    # The same, for a call that does not heed O_NONBLOCK.
    DEVICE = "WAIT_DEVICE"
    # The argument is one of `values`, as FUTEX_WAIT is.
    COMMAND = "WAIT_COMMAND"
    # The argument has one of the bits in `values`.
    FLAG = "WAIT_FLAG"
    # The argument points to such bits.
    CLONE = "WAIT_CLONE"
    # What was opened is a named pipe.
    OPENED = "WAIT_OPENED"
    # A call of sockets by its number, its arguments behind a pointer.
    SOCKETCALL = "WAIT_SOCKETCALL"


class Rule(NamedTuple):
    """When the sleep of a call is a wait."""

    kind: Kind
    # Places of the arguments that decide, from 0.
    arguments: tuple[int, ...] = (0,)
    # Of a command; or bits, of a flag that is needed, or of those at `flags_at`, each of which rules out a wait.
    values: frozenset[int] = frozenset()
    flags_at: int | None = None


_ALWAYS = Rule(Kind.ALWAYS)
_DESCRIPTOR = Rule(Kind.DESCRIPTORS)
_OPENED = Rule(Kind.OPENED)
# Linux include/linux/socket.h: MSG_DONTWAIT.
_MESSAGE = frozenset({0x40})
# Linux include/linux/splice.h: SPLICE_F_NONBLOCK. Not for splice, which waits for a socket all the same.
_PIPE = frozenset({2})
# Linux include/uapi/linux/fs.h: RWF_NOWAIT.
_NOWAIT = frozenset({8})
# Linux include/uapi/linux/ipc.h: IPC_NOWAIT.
_QUEUE = frozenset({0o4000})
# Linux include/uapi/linux/wait.h: WNOHANG; include/uapi/asm-generic/fcntl.h: LOCK_NB.
_CHILD, _FLOCK = frozenset({1}), frozenset({4})
# Linux include/uapi/linux/futex.h: FUTEX_WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2.
_FUTEX = Rule(Kind.COMMAND, (1,), values=frozenset({0, 6, 9, 11, 13}))
# Linux include/uapi/asm-generic/fcntl.h: F_SETLKW, F_SETLKW64 (of 32-bit programs), F_OFD_SETLKW.
_LOCK = Rule(Kind.COMMAND, (1,), values=frozenset({7, 14, 38}))
# Linux include/uapi/linux/ipc.h: SEMOP, SEMTIMEDOP, MSGSND, MSGRCV.
_IPC = Rule(Kind.COMMAND, values=frozenset({1, 4, 11, 12}))
# Linux include/linux/syslog.h: SYSLOG_ACTION_READ.
_SYSLOG = Rule(Kind.COMMAND, values=frozenset({2}))
# Linux include/uapi/linux/sched.h: CLONE_VFORK.
_VFORK = Rule(Kind.FLAG, values=frozenset({0x4000}))

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        (
            "clock_nanosleep", "clock_nanosleep_time64", "epoll_pwait", "epoll_pwait2", "epoll_wait",
            "epoll_wait_old", "futex_wait", "futex_waitv", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
            "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "nanosleep",
            "_newselect", "pause", "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "ptrace",
            "restart_syscall", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "select", "semop",
            "semtimedop", "semtimedop_time64", "sigsuspend", "vfork",
        ),
        _ALWAYS,
    ),
    **dict.fromkeys(
        (
            "accept", "accept4", "connect", "pread64", "preadv", "pwrite64", "pwritev", "read", "readv", "write",
            "writev",
        ),
        _DESCRIPTOR,
    ),
    **dict.fromkeys(
        ("recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "send", "sendmmsg", "sendto"),
        Rule(Kind.DESCRIPTORS, values=_MESSAGE, flags_at=3),
    ),
    **dict.fromkeys(("recvmsg", "sendmsg"), Rule(Kind.DESCRIPTORS, values=_MESSAGE, flags_at=2)),
    **dict.fromkeys(("preadv2", "pwritev2"), Rule(Kind.DESCRIPTORS, values=_NOWAIT, flags_at=5)),
    **dict.fromkeys(("sendfile", "sendfile64"), Rule(Kind.DESCRIPTORS, (0, 1))),
    **dict.fromkeys(("wait4", "waitpid"), Rule(Kind.ALWAYS, values=_CHILD, flags_at=2)),
    **dict.fromkeys(("creat", "open", "open_by_handle_at", "openat", "openat2"), _OPENED),
    **dict.fromkeys(("futex", "futex_time64"), _FUTEX),
    **dict.fromkeys(("fcntl", "fcntl64"), _LOCK),
    "clone": _VFORK,
    "clone3": Rule(Kind.CLONE),
    # IORING_ENTER_GETEVENTS, IORING_ENTER_SQ_WAIT: what it hands in without them may sleep for a disk.
    "io_uring_enter": Rule(Kind.FLAG, (3,), values=frozenset({1, 4})),
    "ioctl": Rule(Kind.DEVICE),
    "ipc": _IPC,
    "socketcall": Rule(Kind.SOCKETCALL),
    "flock": Rule(Kind.ALWAYS, values=_FLOCK, flags_at=1),
    "msgrcv": Rule(Kind.ALWAYS, values=_QUEUE, flags_at=4),
    "msgsnd": Rule(Kind.ALWAYS, values=_QUEUE, flags_at=3),
    "splice": Rule(Kind.DESCRIPTORS, (0, 2)),
    "syslog": _SYSLOG,
    "tee": Rule(Kind.DESCRIPTORS, (0, 1), values=_PIPE, flags_at=3),
    "vmsplice": Rule(Kind.DESCRIPTORS, values=_PIPE, flags_at=3),
    "waitid": Rule(Kind.ALWAYS, values=_CHILD, flags_at=3),
}  # fmt: skip
