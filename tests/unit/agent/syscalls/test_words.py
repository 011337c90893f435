"""Numbers of arguments by their names."""

import pytest

from kubestrace_agent.syscalls import arguments, words
from kubestrace_agent.syscalls.arguments import Kind


@pytest.mark.parametrize(
    ("call", "at", "value", "said"),
    [
        ("openat", 2, 0, "O_RDONLY"),
        ("openat", 2, 0o2000000, "O_RDONLY|O_CLOEXEC"),
        ("open", 1, 0o1101, "O_WRONLY|O_CREAT|O_TRUNC"),
        ("open", 1, 0o4010002, "O_RDWR|O_SYNC"),
        ("openat", 2, 0o20200002, "O_RDWR|O_TMPFILE"),
        ("openat", 2, 0x80000001 | 0x10000, "O_WRONLY|O_DIRECTORY|0x80000000"),
        ("access", 1, 0, "F_OK"),
        ("access", 1, 6, "W_OK|R_OK"),
        ("socket", 0, 10, "AF_INET6"),
        ("socket", 1, 0o2004001, "SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC"),
        ("socket", 0, 99, ""),
        ("fcntl", 1, 7, "F_SETLKW"),
        ("fcntl", 1, 38, "F_OFD_SETLKW"),
        ("fcntl64", 1, 14, "F_SETLKW64"),
        ("ioctl", 1, 0x5401, "TCGETS"),
        ("futex", 1, 128, "FUTEX_WAIT_PRIVATE"),
        ("futex", 1, 128 | 256 | 9, "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME"),
        ("clock_nanosleep", 0, 1, "CLOCK_MONOTONIC"),
        ("clock_nanosleep", 1, 1, "TIMER_ABSTIME"),
        ("kill", 1, 9, "SIGKILL"),
        ("kill", 1, 40, "SIGRT_8"),
        ("kill", 1, 65, ""),
        ("prctl", 0, 15, "PR_SET_NAME"),
        ("statx", 3, 0x7FF, "STATX_BASIC_STATS"),
        ("statx", 2, 0x2000, "AT_STATX_FORCE_SYNC"),
        ("mknodat", 2, 0o10600, "S_IFIFO|0600"),
        ("ioctl", 1, 0x80081272, "BLKGETSIZE64"),
        ("mmap", 2, 0, "PROT_NONE"),
        ("mmap", 2, 5, "PROT_READ|PROT_EXEC"),
        ("mmap", 3, 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"),
        ("madvise", 2, 4, "MADV_DONTNEED"),
        ("epoll_ctl", 1, 3, "EPOLL_CTL_MOD"),
        ("recvfrom", 3, 0x42, "MSG_PEEK|MSG_DONTWAIT"),
        ("wait4", 2, 1, "WNOHANG"),
        ("lseek", 2, 2, "SEEK_END"),
        ("clone", 0, 0x1200011, "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD"),
        ("newfstatat", 3, 0x100, "AT_SYMLINK_NOFOLLOW"),
        ("unlinkat", 2, 0x200, "AT_REMOVEDIR"),
        ("read", 2, 3, ""),
    ],
)
def test_numbers_have_names(call: str, at: int, value: int, said: str) -> None:
    """As strace says them; what has none stays a number."""
    assert words.word(call, "x86_64", at, value) == said


def test_what_one_argument_means_another_one_says() -> None:
    """The command before it, the level before it."""
    assert words.after("fcntl", "x86_64", 2, (3, 2, 1)) == "FD_CLOEXEC"
    assert words.after("fcntl", "x86_64", 2, (3, 4, 0o4002)) == "O_RDWR|O_NONBLOCK"
    assert words.after("fcntl", "x86_64", 2, (3, 7, 0x7FFF)) == ""
    assert words.after("setsockopt", "x86_64", 2, (3, 1, 2)) == "SO_REUSEADDR"
    assert words.after("setsockopt", "x86_64", 2, (3, 6, 1)) == "TCP_NODELAY"
    assert words.after("setsockopt", "x86_64", 2, (3, 41, 26)) == "IPV6_V6ONLY"
    assert words.after("setsockopt", "x86_64", 2, (3, 99, 1)) == ""
    assert words.after("socket", "x86_64", 2, (2, 1, 6)) == "IPPROTO_TCP"
    assert words.after("socket", "x86_64", 2, (16, 3, 6)) == ""
    assert words.after("fcntl", "x86_64", 2, (3, 1033, 8)) == "F_SEAL_WRITE"
    assert words.after("futex", "x86_64", 5, (1, 137, 2, 0, 0, 0xFFFFFFFF)) == "FUTEX_BITSET_MATCH_ANY"
    assert words.after("futex", "x86_64", 5, (1, 128, 2, 0, 0, 0xFFFFFFFF)) == ""


def test_a_lock_is_told_by_its_members() -> None:
    """Of a 32-bit program those that stand in the same place."""
    text = b"\x01\0\x02\0" + bytes(4) + (100).to_bytes(8, "little") + (-5).to_bytes(8, "little", signed=True) + bytes(8)

    assert words.lock("x86_64", text) == "{l_type=F_WRLCK, l_whence=SEEK_END, l_start=100, l_len=-5}"
    assert words.lock("i386", text) == "{l_type=F_WRLCK, l_whence=SEEK_END}"


def test_aarch64_numbers_some_otherwise() -> None:
    """Linux arch/arm64/include/uapi/asm/fcntl.h."""
    assert words.word("openat", "aarch64", 2, 0o40000) == "O_RDONLY|O_DIRECTORY"
    assert words.word("openat", "aarch64", 2, 0o200000) == "O_RDONLY|O_DIRECT"
    assert words.word("openat", "x86_64", 2, 0o40000) == "O_RDONLY|O_DIRECT"


def test_every_named_argument_is_one_that_is_shown() -> None:
    """As a number: a path or an address would be lost."""
    shown = {Kind.NUMBER, Kind.FLAGS, Kind.OFFSET}
    places = {**words._VALUE_AT, **words._FLAGS_AT}

    wrong = [
        (call, at)
        for call, at in places
        if call in arguments.KINDS and (at >= len(arguments.KINDS[call]) or arguments.KINDS[call][at] not in shown)
    ]

    assert wrong == []
