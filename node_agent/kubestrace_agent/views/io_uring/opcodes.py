"""The names of io_uring's operations. Pure."""

# IORING_OP_* of Linux 6.18 include/uapi/linux/io_uring.h, in small letters, in their order.
NAMES = (
    *("nop", "readv", "writev", "fsync", "read_fixed", "write_fixed", "poll_add", "poll_remove", "sync_file_range"),
    *("sendmsg", "recvmsg", "timeout", "timeout_remove", "accept", "async_cancel", "link_timeout", "connect"),
    *("fallocate", "openat", "close", "files_update", "statx", "read", "write", "fadvise", "madvise", "send", "recv"),
    *("openat2", "epoll_ctl", "splice", "provide_buffers", "remove_buffers", "tee", "shutdown", "renameat", "unlinkat"),
    *("mkdirat", "symlinkat", "linkat", "msg_ring", "fsetxattr", "setxattr", "fgetxattr", "getxattr", "socket"),
    *("uring_cmd", "send_zc", "sendmsg_zc", "read_multishot", "waitid", "futex_wait", "futex_wake", "futex_waitv"),
    *("fixed_fd_install", "ftruncate", "bind", "listen", "recv_zc", "epoll_wait", "readv_fixed", "writev_fixed"),
    *("pipe",),
)
# Their result is a number of bytes.
_TRANSFERS = frozenset(
    {
        *("readv", "writev", "read_fixed", "write_fixed", "sendmsg", "recvmsg", "read", "write", "send", "recv"),
        *("splice", "tee", "send_zc", "sendmsg_zc", "read_multishot", "readv_fixed", "writev_fixed"),
    }
)


def name(opcode: int) -> str:
    """Like "openat"; "operation N" for those that this table does not have."""
    return NAMES[opcode] if opcode < len(NAMES) else f"operation {opcode}"


def moves_bytes(opcode: int) -> bool:
    """Whether its results are numbers of bytes."""
    return name(opcode) in _TRANSFERS
