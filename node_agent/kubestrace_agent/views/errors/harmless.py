"""Errors that belong to how programs work: nothing is ready yet, a path is searched. Pure.

Only what is known for sure is called harmless: by what the call and its error mean, or as the kernel's program saw it.
"""

from kubestrace_protos.v1.views import errors_pb2

# With a descriptor or a flag that says so, they return at once. One that slept for a time limit is in another row.
_TRANSFERS = frozenset({
    "accept", "accept4", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "pread64",
    "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readv", "recv", "recvfrom", "recvmmsg",
    "recvmmsg_time64", "recvmsg", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "splice", "tee",
    "vmsplice", "write", "writev",
})  # fmt: skip
_FUTEXES = frozenset({"futex", "futex_time64", "futex_wait", "futex_waitv"})


_UNKNOWN = errors_pb2.HARMLESS_UNSPECIFIED
# Of all calls of a futex.
_OF_FUTEXES = {"EAGAIN": errors_pb2.HARMLESS_FUTEX_CHANGED, "ETIMEDOUT": errors_pb2.HARMLESS_TIME_PASSED}
_SEEN = {"ENOENT": errors_pb2.HARMLESS_FOUND_LATER, "ENOTTY": errors_pb2.HARMLESS_NO_TERMINAL}


def by_name(syscall: str, errno: str, *, wait: bool) -> errors_pb2.Harmless:
    """Return why all calls of a row that failed so do no harm; UNSPECIFIED: they may."""
    if syscall in _FUTEXES:
        return _OF_FUTEXES.get(errno, _UNKNOWN)
    if not wait and syscall in _TRANSFERS and errno == "EAGAIN":
        return errors_pb2.HARMLESS_NOT_READY
    if not wait and (syscall, errno) == ("connect", "EINPROGRESS"):
        return errors_pb2.HARMLESS_CONNECTING
    return _UNKNOWN


def as_seen(errno: str) -> errors_pb2.Harmless:
    """Return what the kernel's program looks for in each call that fails so."""
    return _SEEN.get(errno, _UNKNOWN)
