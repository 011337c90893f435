"""Which system calls the view files counts, as what, and by which of their arguments. Pure.

A call with two files, such as sendfile or rename, is counted once for each.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.syscalls import arguments
from kubestrace_agent.syscalls.arguments import Kind

_HEADER = header("views/files/files.h")
_PATH, _PATH_AT, _FILE = (_HEADER.number(f"SIDE_{name}") for name in ("PATH", "PATH_AT", "FILE"))
_CLASS_SHIFT, _ARGUMENT_SHIFT, _FLAGS_SHIFT, _SIDE_BITS = (
    _HEADER.number(name) for name in ("SIDE_CLASS_SHIFT", "SIDE_ARGUMENT_SHIFT", "SIDE_FLAGS_SHIFT", "SIDE_BITS")
)
_EXEC = _HEADER.number("SIDE_EXEC")


class FileClass(IntEnum):
    """What a call does with a file, as enum file_class of files.h numbers it."""

    OPEN = 0
    STAT = 1
    OTHER = 2
    READ = 3
    WRITE = 4
    SYNC = 5


_BY_CLASS = {
    FileClass.OPEN: "open openat openat2 creat",
    # They ask what there is: nothing changes and nothing is opened.
    FileClass.STAT: (
        "stat lstat stat64 lstat64 oldstat oldlstat newfstatat fstatat64 statx fstat fstat64 oldfstat access faccessat "
        "faccessat2 readlink readlinkat statfs statfs64 fstatfs fstatfs64"
    ),
    FileClass.READ: "read pread64 readv preadv preadv2",
    FileClass.WRITE: "write pwrite64 writev pwritev pwritev2",
    FileClass.SYNC: "fsync fdatasync sync_file_range syncfs",
    FileClass.OTHER: (
        "execve execveat chdir fchdir chroot mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat "
        "symlink symlinkat mknod mknodat chmod fchmod fchmodat fchmodat2 chown lchown fchown chown32 lchown32 fchown32 "
        "fchownat truncate truncate64 ftruncate ftruncate64 fallocate utime utimes futimesat utimensat "
        "utimensat_time64 "
        "getdents getdents64 lseek readahead fadvise64 flock setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr "
        "listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr inotify_add_watch name_to_handle_at"
    ),
}
_CLASSES = {name: of for of, names in _BY_CLASS.items() for name in names.split()}
# What they move comes from one file and goes to another: the argument of the one that is read, and of the other.
_MOVES = {"sendfile": (1, 0), "sendfile64": (1, 0), "copy_file_range": (0, 2), "splice": (0, 2)}
# The first path of these is no path of a file, but what a link is to hold, or is not what is asked for.
_ONE_SIDE = {"symlink": 1, "symlinkat": 2, "inotify_add_watch": 1}
_EXECS = frozenset({"execve", "execveat"})
# Where the flags of a call stand that may wait for the disk. On x32 the offset before them is one argument.
_WAITING = {"pwritev2": 5}


@lru_cache(maxsize=4096)
def shape(called: str, abi: str) -> int:
    """What the program is to count for a call, as files.h has it; 0: nothing."""
    value = 0
    for position, side in enumerate(_sides(called, abi)):
        value |= side << _SIDE_BITS * position
    return value


def sides(called: str, abi: str) -> int:
    """How often a call is counted: once for each of its files."""
    return len(_sides(called, abi))


def _sides(called: str, abi: str) -> tuple[int, ...]:
    if called in _MOVES:
        source, target = _MOVES[called]
        return (
            _FILE | FileClass.READ << _CLASS_SHIFT | source << _ARGUMENT_SHIFT,
            _FILE | FileClass.WRITE << _CLASS_SHIFT | target << _ARGUMENT_SHIFT,
        )
    if called not in _CLASSES:
        return ()
    kinds = arguments.kinds(called, abi)
    of = _CLASSES[called] << _CLASS_SHIFT
    if called in _EXECS:
        of |= _EXEC
    if called in _WAITING:
        of |= (4 if abi == "x32" else _WAITING[called]) << _FLAGS_SHIFT
    paths = [at for at, kind in enumerate(kinds) if kind is Kind.PATH and at >= _ONE_SIDE.get(called, 0)]
    if paths:
        return tuple(
            of | (_PATH_AT if at and kinds[at - 1] is Kind.DIRECTORY else _PATH) | at << _ARGUMENT_SHIFT for at in paths
        )
    return tuple(of | _FILE | at << _ARGUMENT_SHIFT for at, kind in enumerate(kinds) if kind is Kind.FILE)
