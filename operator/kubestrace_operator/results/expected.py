"""Errors that are a part of how a call is used, by call and errno: an answer, not a failure. Pure.

Only what the errno alone proves: ENOENT is not here, as one missing file may be searched for and another one be needed.
"""

from collections.abc import Mapping

_MOVES = (
    *("accept", "accept4", "read", "readv", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg"),
    *("preadv2", "pwritev2", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "splice", "tee"),
    *("vmsplice", "write", "writev"),
)
_NOT_READY = "nothing was ready, and the call was told not to wait"
_TIME_OVER = "its time was over"
_REASONS: Mapping[str, Mapping[str, str]] = {
    "EAGAIN": dict.fromkeys(_MOVES, _NOT_READY)
    | dict.fromkeys(("rt_sigtimedwait", "rt_sigtimedwait_time64", "semtimedop", "semtimedop_time64"), _TIME_OVER)
    | dict.fromkeys(("futex", "futex_time64", "futex_wait"), "the word had changed before the thread slept")
    | dict.fromkeys(("msgrcv", "msgsnd", "semop", "mq_timedreceive", "mq_timedsend"), _NOT_READY)
    | {"flock": "another holds the lock, and the call was told not to wait"},
    "ECHILD": dict.fromkeys(("wait4", "waitid", "waitpid"), "there was no child left to wait for"),
    "EINPROGRESS": {"connect": "the connection goes on being made, as the socket does not wait"},
    "EALREADY": {"connect": "the connection is being made already"},
    "EISCONN": {"connect": "the connection is there already"},
    "ENODATA": dict.fromkeys(
        ("getxattr", "lgetxattr", "fgetxattr", "getxattrat"), "the file has no such attribute, which was the question"
    ),
    "ENOMSG": {"msgrcv": "no message was there, and the call was told not to wait"},
    "ENOTTY": {"ioctl": "what it asked is for terminals or other devices, which this is not"},
    "ESPIPE": dict.fromkeys(("lseek", "_llseek"), "a pipe or socket has no position, which was the question"),
    "ETIME": {"io_getevents": _TIME_OVER, "io_uring_enter": _TIME_OVER},
    "ETIMEDOUT": dict.fromkeys(
        (
            *("futex", "futex_time64", "futex_wait", "futex_waitv"),
            *("mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64"),
        ),
        _TIME_OVER,
    ),
}


def reason(syscall: str, errno: str) -> str:
    """Return why such an error is expected; empty: it may be a failure."""
    return _REASONS.get(errno, {}).get(syscall, "")
