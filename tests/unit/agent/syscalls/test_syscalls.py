"""Names, classes and patterns of system calls."""

import pytest

from kubestrace_agent.syscalls import (
    UNKNOWN_NUMBERS,
    SyscallKey,
    SyscallPatternError,
    abi_names,
    errno_name,
    name,
    names,
    parse_patterns,
    tables,
)
from kubestrace_agent.syscalls.waiting import RULES


def chosen(*patterns: str, architecture: str = "x86_64", abi: str = "x86_64") -> set[str]:
    """Names selected under one ABI, without unknown numbers."""
    keys = parse_patterns(patterns, architecture).keys() or frozenset()
    return {name(key) for key in keys if key.abi == abi and key.number != UNKNOWN_NUMBERS}


@pytest.mark.parametrize(
    ("abi", "number", "expected"),
    [
        ("x86_64", 0, "read"),
        ("x86_64", 20, "writev"),
        ("x86_64", 435, "clone3"),
        ("i386", 20, "getpid"),
        ("i386", 231, "fgetxattr"),
        ("i386", 252, "exit_group"),
        ("x32", 39, "getpid"),
        ("x32", 513, "rt_sigreturn"),
        ("aarch64", 63, "read"),
        ("aarch64", 220, "clone"),
        ("arm", 3, "read"),
        ("arm", 0xF0002, "cacheflush"),
        ("x86_64", 400, "syscall_400"),
        ("x86_64", 123456, "syscall_123456"),
    ],
)
def test_a_number_has_the_name_of_its_abi(abi: str, number: int, expected: str) -> None:
    """The same number is another call under another ABI; one that no table has keeps its number."""
    assert name(SyscallKey(abi, number)) == expected


def test_every_machine_has_its_abis() -> None:
    """Native first, as the programs number them."""
    assert abi_names("x86_64") == ("x86_64", "i386", "x32")
    assert abi_names("aarch64") == ("aarch64", "arm")
    assert all(names(abi) for machine in ("x86_64", "aarch64") for abi in abi_names(machine))


def test_errnos_have_names_or_numbers() -> None:
    """A seccomp filter may answer with any number up to 4095."""
    assert [errno_name(n) for n in (1, 2, 11, 38, 133, 1000)] == [
        "EPERM", "ENOENT", "EAGAIN", "ENOSYS", "EHWPOISON", "errno_1000",
    ]  # fmt: skip


def test_no_pattern_selects_all() -> None:
    """Without patterns nothing is filtered."""
    assert parse_patterns([], "x86_64").keys() is None


@pytest.mark.parametrize(
    ("patterns", "some", "none"),
    [
        (["openat"], {"openat"}, {"open", "openat2"}),
        (["%file"], {"openat", "stat", "execve", "unlink"}, {"read", "socket", "fstat"}),
        (["%desc"], {"read", "close", "epoll_wait", "openat"}, {"getpid", "fork"}),
        (["%network"], {"socket", "connect", "sendmsg"}, {"read"}),
        (["%net"], {"socket", "connect", "sendmsg"}, {"read"}),
        (["%memory"], {"mmap", "brk", "madvise"}, {"read"}),
        (["%process"], {"clone", "execve", "exit_group", "wait4"}, {"read"}),
        (["%signal"], {"kill", "rt_sigaction", "tgkill"}, {"read"}),
        (["%ipc"], {"shmget", "msgrcv", "semop"}, {"read"}),
        (["%creds"], {"setuid", "getgid", "capset"}, {"read"}),
        (["%clock"], {"clock_gettime", "settimeofday"}, {"nanosleep"}),
        (["%stat"], {"stat"}, {"lstat", "fstat", "statfs"}),
        (["%lstat"], {"lstat"}, {"stat"}),
        (["%fstat"], {"fstat", "newfstatat"}, {"stat"}),
        (["%%stat"], {"stat", "lstat", "fstat", "statx", "newfstatat"}, {"statfs"}),
        (["%statfs"], {"statfs"}, {"fstatfs", "stat"}),
        (["%%statfs"], {"statfs", "fstatfs", "ustat"}, {"stat"}),
        (["%pure"], {"getpid", "getppid", "getuid"}, {"read"}),
        (["%file", "!stat"], {"openat"}, {"stat"}),
        (["!stat"], {"read", "openat"}, {"stat"}),
        (["!%file", "!%desc"], {"getpid"}, {"read", "openat"}),
        (["/^open"], {"open", "openat", "openat2", "open_by_handle_at"}, {"mq_open"}),
        (["/^(read|write)v?$"], {"read", "readv", "write", "writev"}, {"pread64"}),
        (["%desc", "!/^(p?read|p?write)", "getpid"], {"close", "getpid"}, {"read", "preadv", "pwrite64"}),
    ],
    # Sets have another order in each process: pytest-xdist wants the same names from all.
    ids=lambda words: " ".join(words if isinstance(words, list) else sorted(words)),
)
def test_patterns_select_as_straces_do(patterns: list[str], some: set[str], none: set[str]) -> None:
    """Names, classes, negations and expressions; union of what is asked for without what is refused."""
    found = chosen(*patterns)

    assert some <= found
    assert not none & found


@pytest.mark.parametrize("patterns", [["all"], ["!none"], ["all", "!?no_such_call"], ["openat", "all"]], ids=" ".join)
def test_all_is_everything(patterns: list[str]) -> None:
    """Strace's `all` filters nothing: calls that no table knows are in it."""
    assert parse_patterns(patterns, "x86_64").keys() is None


def test_all_without_some_is_what_the_refusals_alone_leave() -> None:
    """`all,!stat` is `!stat`, with the numbers that no table knows."""
    assert parse_patterns(["all", "!stat"], "x86_64").keys() == parse_patterns(["!stat"], "x86_64").keys()


@pytest.mark.parametrize("pattern", ["?no_such_call", "?%no_such_class", "?/no such name", "!?no_such_call", "none"])
def test_what_need_not_be_there_is_no_error_when_it_is_not(pattern: str) -> None:
    """Strace's `?` leaves the rest of the list as it is."""
    assert chosen("openat", pattern) == {"openat"}


def test_what_need_not_be_there_is_selected_when_it_is() -> None:
    """`?` before what exists changes nothing."""
    assert chosen("?openat") == {"openat"}
    assert chosen("?%file", "!?stat") == chosen("%file", "!stat")


@pytest.mark.parametrize(
    "patterns", [["none"], ["!all"], ["openat", "!openat"], ["%file", "!all"], ["?no_such_call"]], ids=" ".join
)
def test_patterns_that_leave_nothing_are_refused(patterns: list[str]) -> None:
    """A trace that can count nothing is not begun."""
    with pytest.raises(SyscallPatternError, match=r"^The patterns select no system call\.$"):
        parse_patterns(patterns, "x86_64")


def test_without_all_names_the_calls_without_a_name_are_left() -> None:
    """An expression matches names: calls that no table knows have none."""
    left = parse_patterns(["!/.*"], "x86_64").keys()

    assert left == {SyscallKey(abi, UNKNOWN_NUMBERS) for abi in ("x86_64", "i386", "x32")}


def test_a_name_is_selected_under_every_abi() -> None:
    """A 32-bit program's call of this name is meant as well."""
    assert parse_patterns(["getpid"], "x86_64").keys() == {
        SyscallKey("x86_64", 39), SyscallKey("i386", 20), SyscallKey("x32", 39),
    }  # fmt: skip


def test_a_session_may_name_what_this_machine_lacks() -> None:
    """One session runs on nodes of both kinds: aarch64 has no open of its own, and no complaint about it."""
    assert chosen("open", architecture="aarch64", abi="aarch64") == set()
    assert chosen("open", architecture="aarch64", abi="arm") == {"open"}


def test_only_refusals_leave_unknown_numbers_in() -> None:
    """What no table knows is part of everything."""
    refused = parse_patterns(["!read"], "x86_64").keys() or frozenset()
    asked = parse_patterns(["%desc"], "x86_64").keys() or frozenset()

    assert {SyscallKey(abi, UNKNOWN_NUMBERS) for abi in abi_names("x86_64")} <= refused
    assert not any(key.number == UNKNOWN_NUMBERS for key in asked)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("opennat", '"openat"'),
        ("file", '"%file"'),
        ("%fiel", '"%file"'),
        ("!fsyc", '"fsync"'),
        ("", "names no system call"),
        ("!", "names no system call"),
        ("%", "names no class"),
        ("syscall_400", "one by one"),
        ("/(", "not a usable regular expression"),
        ("/zzz", "matches no system call"),
        ("/a{2000}", "too large"),
        ("/(?:a)", 'no "(?"'),
        (r"/(a)\1", r'no "(?" and no "\1"'),
        ("x" * 300, "longer than"),
        ("?", "names no system call"),
        ("?/(", "not a usable regular expression"),
        ("?syscall_400", "one by one"),
        ("openat,read", '"openat,read" has a comma in it: write it as two items of the list.'),
        ("!%file,read,write", "write it as 3 items of the list"),
    ],
)
def test_a_wrong_pattern_is_explained(pattern: str, words: str) -> None:
    """One sentence for it, with the nearest names."""
    with pytest.raises(SyscallPatternError) as caught:
        parse_patterns(["read", pattern], "x86_64")

    assert len(caught.value.problems) == 1
    assert words in caught.value.problems[0]


def test_all_wrong_patterns_are_told_at_once() -> None:
    """A person corrects them in one go."""
    with pytest.raises(SyscallPatternError) as caught:
        parse_patterns(["raed", "wriet", "fsync"], "aarch64")

    assert len(caught.value.problems) == 2


def test_classes_and_waits_hold_known_names_only() -> None:
    """A misspelt name in a list would never match anything."""
    known = {each for abi in ("x86_64", "i386", "x32", "aarch64", "arm") for each in names(abi).values()}

    assert set().union(*tables.CLASSES.values()) <= known
    assert known >= RULES.keys()
