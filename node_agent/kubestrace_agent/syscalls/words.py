"""Numbers in arguments by their names, as strace has them: O_RDONLY|O_CLOEXEC, F_SETLKW, FUTEX_WAIT_PRIVATE. Pure."""

from functools import cache

from kubestrace_agent.syscalls import constants

_32_BITS = 0xFFFFFFFF
# Call and argument -> the set of its one value, or of its bits; what is in neither stays a number.
_VALUES = {
    "CLOCK": "clock_nanosleep:0 clock_nanosleep_time64:0 timerfd_create:0",
    "EPOLL_CTL": "epoll_ctl:1",
    "FAMILY": "socket:0 socketpair:0",
    "IDTYPE": "waitid:0",
    "IOCTL": "ioctl:1",
    "LEVEL": "setsockopt:1 getsockopt:1",
    "MADVISE": "madvise:2",
    "PRCTL": "prctl:0",
    "SHUTDOWN": "shutdown:1",
    "SIGNAL": "kill:1 tkill:1 tgkill:2 rt_sigaction:0",
    "WHENCE": "lseek:2",
    "LOCKING": "rt_sigprocmask:0",
}
_FLAGS = {
    "ACCESS": "access:1 faccessat:2 faccessat2:2",
    "AT": "newfstatat:3 fstatat64:3 linkat:4 execveat:4 fchownat:4 name_to_handle_at:4 utimensat:3 statx:2 fchmodat2:3",
    "EACCESS": "faccessat2:3",
    "ENTER": "io_uring_enter:3",
    "EPOLL_FLAG": "epoll_create1:0",
    "EVENT_FLAG": "eventfd2:1",
    "FALLOCATE": "fallocate:1",
    "INOTIFY": "inotify_add_watch:2",
    "LOCK": "flock:1",
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
        return _set(_VALUE_AT[place], abi).get(value, "")
    if place in _FLAGS_AT:
        key = _FLAGS_AT[place]
        return _flags(_set(key, abi), value) if value else _NOTHING.get(key, "")
    if place in _WITH_MODE:
        return _joined(_set("OPEN_MODE", abi)[value & _OPEN_MODE], _flags(_set("OPEN", abi), value & ~_OPEN_MODE))
    return _others(call, abi, at, value)


def _others(call: str, abi: str, at: int, value: int) -> str:
    if call in {"fcntl", "fcntl64"} and at == 1:
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


def after(call: str, abi: str, at: int, value: int, before: int) -> str:
    """Return the word of an argument whose meaning the one before it says; empty as above."""
    value, before = value & _32_BITS, before & _32_BITS
    if call in {"fcntl", "fcntl64"} and at == 2:
        command = _set("FCNTL", abi).get(before)
        if command == "F_SETFD":
            return _flags(_set("FD", abi), value) or "0"
        if command == "F_SETFL":
            return _joined(_set("OPEN_MODE", abi)[value & _OPEN_MODE], _flags(_set("OPEN", abi), value & ~_OPEN_MODE))
        return "" if command not in {"F_GETFD", "F_GETFL"} else "..."
    if call in {"setsockopt", "getsockopt"} and at == 2:
        level = constants.SETS["LEVEL"].get(before)
        key = {"SOL_SOCKET": "SOCKET_OPTION", "SOL_TCP": "TCP_OPTION"}.get(level or "")
        return _set(key, abi).get(value, "") if key else ""
    return ""


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
