"""Numbers in arguments by their names, as strace has them: O_RDONLY|O_CLOEXEC, F_SETLKW, FUTEX_WAIT_PRIVATE. Pure."""

from collections.abc import Sequence
from functools import cache

from kubestrace_agent.syscalls import constants

_32_BITS = 0xFFFFFFFF
# Call and argument -> the set of its one value, or of its bits; what is in neither stays a number.
_VALUES = {
    "ADVICE": "fadvise64:3",
    "CLOCK": (
        "clock_nanosleep:0 clock_nanosleep_time64:0 timerfd_create:0 timer_create:0 clock_gettime:0 clock_gettime64:0 "
        "clock_settime:0 clock_settime64:0 clock_getres:0 clock_getres_time64:0 clock_adjtime:0 clock_adjtime64:0"
    ),
    "EPOLL_CTL": "epoll_ctl:1",
    "FAMILY": "socket:0 socketpair:0",
    "IDTYPE": "waitid:0",
    "IOCTL": "ioctl:1",
    "LEVEL": "setsockopt:1 getsockopt:1",
    "MADVISE": "madvise:2",
    "PRCTL": "prctl:0",
    "RESOURCE": "getrlimit:0 setrlimit:0 prlimit64:1",
    "SCHEDULER": "sched_setscheduler:1",
    "SECCOMP": "seccomp:0",
    "SHUTDOWN": "shutdown:1",
    "SIGNAL": "kill:1 tkill:1 tgkill:2 rt_sigaction:0 pidfd_send_signal:1 rt_sigqueueinfo:1 rt_tgsigqueueinfo:2",
    "USAGE": "getrusage:0",
    "WHENCE": "lseek:2",
    "LOCKING": "rt_sigprocmask:0",
}
_FLAGS = {
    "ACCESS": "access:1 faccessat:2 faccessat2:2",
    "AT": "newfstatat:3 fstatat64:3 linkat:4 execveat:4 fchownat:4 name_to_handle_at:4 utimensat:3 fchmodat2:3",
    "EACCESS": "faccessat2:3",
    "ENTER": "io_uring_enter:3",
    "EPOLL_FLAG": "epoll_create1:0",
    "EVENT_FLAG": "eventfd2:1",
    "FALLOCATE": "fallocate:1",
    "INOTIFY": "inotify_add_watch:2",
    "INOTIFY_FLAG": "inotify_init1:0",
    "LOCK": "flock:1",
    "LOCKED": "mlockall:0",
    "MEMFD": "memfd_create:1",
    "MESSAGE": "sendto:3 recvfrom:3 send:3 recv:3 sendmsg:2 recvmsg:2 sendmmsg:3 recvmmsg:3 recvmmsg_time64:3",
    "MOUNT": "mount:3",
    "MREMAP": "mremap:3",
    "MSYNC": "msync:2",
    "OPEN": "pipe2:1 dup3:2",
    "PROT": "mmap:2 mmap2:2 mprotect:2",
    "RANDOM": "getrandom:2",
    "REMOVEDIR": "unlinkat:2",
    "RENAME": "renameat2:4",
    "SLEEP": "clock_nanosleep:1 clock_nanosleep_time64:1",
    "SOCKET_FLAG": "accept4:3",
    "SPLICE": "splice:5 tee:3 vmsplice:3",
    "STATX": "statx:3",
    "STATX_AT": "statx:2",
    "SYNC_RANGE": "sync_file_range:3",
    "TIMER_FLAG": "timerfd_create:1",
    "TIMER_SET": "timerfd_settime:1 timerfd_settime64:1",
    "UMOUNT": "umount2:1",
    "WAIT": "wait4:2 waitpid:2 waitid:3",
    "CLONE": "unshare:0 setns:1",
}
# Whose zero has a name.
_NOTHING = {"ACCESS": "F_OK", "PROT": "PROT_NONE"}
_WITH_MODE = frozenset({("open", 1), ("openat", 2), ("mq_open", 1)})
_FUTEX_PRIVATE, _FUTEX_REALTIME = 128, 256
# The signal that a parent gets stands in the lowest byte.
_CLONE_SIGNAL = 0xFF
_MAP_TYPES = {0: "0", 1: "MAP_SHARED", 2: "MAP_PRIVATE", 3: "MAP_SHARED_VALIDATE"}
_MAP_TYPE = 0xF
_SOCKET_TYPE = 0xF
# Of 32-bit programs.
_LOCKS_64 = {12: "F_GETLK64", 13: "F_SETLK64", 14: "F_SETLKW64"}
_OPEN_MODE = 3
_NARROW = frozenset({"i386", "arm"})
# Names of the kernel's real-time signals: from the first one that the C libraries leave to programs, SIGRT_2 = 34.
_FIRST_REAL_TIME, _LAST_SIGNAL = 32, 64
_FILE_TYPE = 0o170000
_MAKES_FILES = frozenset({("mknod", 1), ("mknodat", 2)})
_FCNTLS = frozenset({"fcntl", "fcntl64"})
# Commands of fcntl without an argument.
_ALONE = frozenset({"F_GETFD", "F_GETFL", "F_GETOWN", "F_GETSIG", "F_GETLEASE", "F_GETPIPE_SZ", "F_GET_SEALS"})
_OPTIONS = {"SOL_SOCKET": "SOCKET_OPTION", "SOL_TCP": "TCP_OPTION", "SOL_IP": "IP_OPTION", "SOL_IPV6": "IPV6_OPTION"}
# Families whose protocols are those of IP, by name.
_INTERNET = frozenset({2, 10})
_MATCHES = frozenset({"FUTEX_WAIT_BITSET", "FUTEX_WAKE_BITSET"})


def _places(table: dict[str, str]) -> dict[tuple[str, int], str]:
    found = {}
    for key, words in table.items():
        for word in words.split():
            name, _, at = word.partition(":")
            found[name, int(at)] = key
    return found


_VALUE_AT, _FLAGS_AT = _places(_VALUES), _places(_FLAGS)


@cache
def _set(key: str, abi: str) -> dict[int, str]:
    """Return value -> name, as an ABI has them."""
    found = dict(constants.SETS[key])
    if abi in {"aarch64", "arm"}:
        for name, value in constants.AARCH64.get(key, {}).items():
            found = {known: word for known, word in found.items() if word != name}
            if value is not None:
                found[value] = name
    return dict(sorted(found.items(), key=lambda item: (-item[0].bit_count(), item[0])))


def word(call: str, abi: str, at: int, value: int) -> str:
    """Return what an argument says in words; empty: it is shown as the number that it is."""
    value &= _32_BITS
    place = (call, at)
    if place in _VALUE_AT:
        key = _VALUE_AT[place]
        return _set(key, abi).get(value, "") or (_real_time(value) if key == "SIGNAL" else "")
    if place in _FLAGS_AT:
        key = _FLAGS_AT[place]
        return _flags(_set(key, abi), value) if value else _NOTHING.get(key, "")
    if place in _WITH_MODE:
        return _joined(_set("OPEN_MODE", abi)[value & _OPEN_MODE], _flags(_set("OPEN", abi), value & ~_OPEN_MODE))
    if place in _MAKES_FILES:
        kind = _set("FILE_TYPE", abi).get(value & _FILE_TYPE, "")
        return kind and f"{kind}|0{value & ~_FILE_TYPE:o}"
    return _others(call, abi, at, value)


def _others(call: str, abi: str, at: int, value: int) -> str:
    if call in _FCNTLS and at == 1:
        return (_set("FCNTL", abi) | _LOCKS_64).get(value, "")
    if call in {"futex", "futex_time64"} and at == 1:
        return _futex(abi, value)
    if call in {"mmap", "mmap2"} and at == 3:
        kind = _MAP_TYPES.get(value & _MAP_TYPE, "")
        return kind and _joined(kind, _flags(_set("MAP", abi), value & ~_MAP_TYPE))
    if call in {"socket", "socketpair"} and at == 1:
        kind = _set("SOCKET_TYPE", abi).get(value & _SOCKET_TYPE, "")
        return kind and _joined(kind, _flags(_set("SOCKET_FLAG", abi), value & ~_SOCKET_TYPE))
    if call == "clone" and at == 0:
        signal = _set("SIGNAL", abi).get(value & _CLONE_SIGNAL, "")
        flags = _flags(_set("CLONE", abi), value & ~_CLONE_SIGNAL)
        return _joined(flags, signal) if flags else signal
    return ""


def after(call: str, abi: str, at: int, values: Sequence[int]) -> str:
    """Return the word of an argument whose meaning others say; empty as above."""
    value = values[at] & _32_BITS
    if call in _FCNTLS and at == 2:
        return _fcntl(abi, value, values[1] & _32_BITS)
    if call in {"setsockopt", "getsockopt"} and at == 2:
        key = _OPTIONS.get(_set("LEVEL", abi).get(values[1] & _32_BITS, ""))
        return _set(key, abi).get(value, "") if key else ""
    if call == "socket" and at == 2 and values[0] & _32_BITS in _INTERNET:
        return _set("PROTOCOL", abi).get(value, "")
    if call in {"futex", "futex_time64"} and at == 5 and value == _32_BITS:
        operation = _set("FUTEX", abi).get(values[1] & _32_BITS & ~(_FUTEX_PRIVATE | _FUTEX_REALTIME))
        return "FUTEX_BITSET_MATCH_ANY" if operation in _MATCHES else ""
    return ""


def _fcntl(abi: str, value: int, before: int) -> str:
    command = _set("FCNTL", abi).get(before)
    if command == "F_SETFD":
        return _flags(_set("FD", abi), value) or "0"
    if command == "F_SETFL":
        return _joined(_set("OPEN_MODE", abi)[value & _OPEN_MODE], _flags(_set("OPEN", abi), value & ~_OPEN_MODE))
    if command == "F_ADD_SEALS":
        return _flags(_set("SEAL", abi), value) or "0"
    return _set("LOCK_TYPE", abi).get(value, "") if command == "F_SETLEASE" else ""


def is_alone(call: str, abi: str, command: int) -> bool:
    """Return whether a command of fcntl has no argument."""
    return call in _FCNTLS and _set("FCNTL", abi).get(command & _32_BITS) in _ALONE


def lock(abi: str, text: bytes) -> str:
    """Return a struct flock in words; of 32-bit programs its first two members, as others stand elsewhere there."""
    kind, whence = (int.from_bytes(text[at : at + 2], "little", signed=True) for at in (0, 2))
    said = [
        f"l_type={_set('LOCK_TYPE', abi).get(kind, kind)}",
        f"l_whence={_set('WHENCE', abi).get(whence, whence)}",
    ]
    if abi not in _NARROW:
        start, length = (int.from_bytes(text[at : at + 8], "little", signed=True) for at in (8, 16))
        said += [f"l_start={start}", f"l_len={length}"]
    return f"{{{', '.join(said)}}}"


def _real_time(value: int) -> str:
    return f"SIGRT_{value - _FIRST_REAL_TIME}" if _FIRST_REAL_TIME < value <= _LAST_SIGNAL else ""


def _futex(abi: str, value: int) -> str:
    operation = _set("FUTEX", abi).get(value & ~(_FUTEX_PRIVATE | _FUTEX_REALTIME), "")
    if operation and value & _FUTEX_PRIVATE:
        operation += "_PRIVATE"
    return _joined(operation, "FUTEX_CLOCK_REALTIME") if operation and value & _FUTEX_REALTIME else operation


def _flags(names: dict[int, str], value: int) -> str:
    """Return bits by their names, those of several bits first; what is left is a number. Empty: no bit is set."""
    found = []
    for bits, name in names.items():
        if bits and value & bits == bits:
            found.append((bits, name))
            value &= ~bits
    words = [name for _, name in sorted(found)]
    return "|".join([*words, f"{value:#x}"] if value else words)


def _joined(*words: str) -> str:
    return "|".join(word for word in words if word)
