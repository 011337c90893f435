"""What the arguments of system calls are, for those calls whose arguments are shown. Pure.

Written from the manual pages (man 2 NAME). Only what names things is reported: paths, files, addresses of peers, sizes
and flags; what a buffer holds is never read.
"""

from enum import StrEnum

# struct call of calls.h takes this many strings from the program.
CAPTURES = 2


class Kind(StrEnum):
    """What one argument is, by the letter that stands for it below."""

    PATH = "p"
    # A file descriptor; DIRECTORY may also be AT_FDCWD.
    FILE = "f"
    DIRECTORY = "d"
    # A socket address that the program gives, with its length behind it; one that it gets, with a pointer to that.
    ADDRESS = "a"
    WRITTEN_ADDRESS = "A"
    # A struct msghdr, or an array of struct mmsghdr, with the address that the program gives or gets.
    MESSAGE = "M"
    WRITTEN_MESSAGE = "W"
    # An array of struct pollfd; the first of three sets of descriptors, which is told with the others; these; an epoll.
    POLLED = "P"
    SETS = "S"
    SET = "s"
    EPOLL = "e"
    NUMBER = "n"
    # Unsigned, as wide as a pointer.
    SIZE = "u"
    # Signed, 64 bits wide.
    OFFSET = "o"
    # Bits, in hexadecimal.
    FLAGS = "x"
    MODE = "m"
    # An address whose value itself says something (a futex, a mapping).
    POINTER = "*"
    # What fcntl gets: a struct flock, or a number, as its command says.
    LOCK = "l"
    # An address of something that is not read.
    HIDDEN = "."


# What holds an address of a socket.
ADDRESSES = (Kind.ADDRESS, Kind.WRITTEN_ADDRESS, Kind.MESSAGE, Kind.WRITTEN_MESSAGE)

# Letters of Kind, in the order of the arguments. Offsets that 32-bit ABIs split in two are left out there: see `kinds`.
_BY_WORDS = {
    "p": "acct chdir chroot mq_unlink rmdir swapoff umount unlink uselib",
    "px": "umount2 swapon",
    "pm": "chmod creat mkdir",
    "pn": "access",
    "po": "truncate truncate64",
    "pp": "link rename symlink pivot_root",
    "pxm": "open",
    "pxm.": "mq_open",
    "xpn.": "quotactl",
    "pmx": "mknod",
    "p.": "stat lstat stat64 lstat64 statfs oldstat oldlstat utime utimes removexattr lremovexattr",
    "p.u": "readlink listxattr llistxattr",
    "pu.": "statfs64",
    "pnn": "chown lchown chown32 lchown32",
    "p..": "execve",
    "dpxm": "openat",
    "dp.u": "openat2 readlinkat",
    "dpn": "faccessat",
    "dpnx": "faccessat2",
    "dpm": "mkdirat fchmodat",
    "dpmx": "mknodat fchmodat2",
    "dpx": "unlinkat open_tree fspick",
    "dpx.": "removexattrat",
    "dpx.u": "mount_setattr open_tree_attr listxattrat",
    "dpx..u": "setxattrat getxattrat",
    "dp.": "futimesat",
    "dp.x": "newfstatat fstatat64 utimensat utimensat_time64",
    "dp.ux": "file_getattr file_setattr",
    "dp..x": "execveat name_to_handle_at",
    "dpxx.": "statx",
    "dpnnx": "fchownat",
    "dpdp": "renameat",
    "dpdpx": "renameat2 linkat move_mount",
    "pdp": "symlinkat",
    "p..ux": "setxattr lsetxattr",
    "p..u": "getxattr lgetxattr",
    "fpx": "inotify_add_watch",
    "fxxdp": "fanotify_mark",
    "f": "close fsync fdatasync dup fchdir syncfs",
    "fm": "fchmod",
    "fo": "ftruncate ftruncate64",
    "ff": "dup2",
    "ffx": "dup3",
    "fn": "flock listen shutdown",
    "f.": "fstat fstat64 fstatfs oldfstat fremovexattr",
    "fu.": "fstatfs64",
    "f.u": "read write getdents getdents64 flistxattr",
    "f..u": "fgetxattr",
    "f..ux": "fsetxattr",
    "f.uo": "pread64 pwrite64",
    "f.n": "readv writev",
    "f.no": "preadv pwritev preadv2 pwritev2",
    "fon": "lseek",
    "fx*": "ioctl",
    "fxl": "fcntl fcntl64",
    "fxoo": "fallocate",
    "foux": "sync_file_range",
    "fou": "readahead",
    "fnn": "fchown fchown32",
    "ff.u": "sendfile sendfile64",
    "f.f.ux": "copy_file_range splice",
    "ffux": "tee",
    "fau": "connect bind",
    "fA.": "accept getsockname getpeername",
    "fA.x": "accept4",
    "f.uxau": "sendto",
    "f.uxA.": "recvfrom",
    "fMx": "sendmsg",
    "fWx": "recvmsg",
    "fMnx": "sendmmsg",
    "fWnx.": "recvmmsg recvmmsg_time64",
    "f.ux": "send recv",
    "fnn.u": "setsockopt",
    "fnn..": "getsockopt",
    "e.nn": "epoll_wait",
    "e.nn.u": "epoll_pwait",
    "e.n..u": "epoll_pwait2",
    "fnf.": "epoll_ctl",
    "Pun": "poll",
    "Pu..u": "ppoll ppoll_time64",
    "nSss.": "select _newselect",
    "nSss..": "pselect6 pselect6_time64",
    "*xn.*n": "futex futex_time64",
    "*uxxfo": "mmap mmap2",
    "*u": "munmap",
    "*ux": "mprotect msync",
    "*un": "madvise",
    "*uux*": "mremap",
    "*": "brk",
    "..": "nanosleep",
    "nx..": "clock_nanosleep clock_nanosleep_time64",
    "n.x.": "wait4",
    "n.x": "waitpid",
    "nn.x.": "waitid",
    "x....": "clone",
    ".u": "clone3",
    ".ux": "getrandom",
    "n": "epoll_create",
    "nn": "kill tkill",
    "nnn": "socket tgkill",
    "n*": "prctl",
    "n..u": "rt_sigaction rt_sigprocmask",
    "nx": "eventfd2 timerfd_create pidfd_open",
    "nx.": "seccomp",
    "n.": "getrusage getrlimit setrlimit clock_gettime clock_gettime64 clock_settime clock_settime64 clock_getres",
    "nn..": "prlimit64",
    "nn.": "sched_setscheduler rt_sigqueueinfo",
    "nnn.": "socketpair rt_tgsigqueueinfo",
    "fn.x": "pidfd_send_signal",
    "fx..": "timerfd_settime timerfd_settime64",
    "foun": "fadvise64",
    "pppx.": "mount",
    "fuux.u": "io_uring_enter",
    ".x": "memfd_create pipe2",
    "d.x": "open_by_handle_at",
    "x": "unshare epoll_create1 inotify_init1 mlockall",
    "fx": "setns",
}  # fmt: skip
KINDS = {
    name: tuple(Kind(letter) for letter in letters) for letters, names in _BY_WORDS.items() for name in names.split()
}
# Calls that have other arguments in an ABI: one pointer to all of them, and a mask in two halves.
_ELSEWHERE = {
    ("i386", "mmap"): (Kind.POINTER,),
    ("i386", "select"): (Kind.POINTER,),
    ("i386", "fanotify_mark"): tuple(map(Kind, "fxxxdp")),
    ("arm", "fanotify_mark"): tuple(map(Kind, "fxxxdp")),
}
# On 32-bit ABIs a 64-bit offset takes two arguments, and some ABIs leave one out before it: not reported there. In
# these calls it is a word as any other.
_NARROW = frozenset({"i386", "arm"})
_WORD_OFFSETS = frozenset({"lseek", "truncate", "ftruncate"})


def kinds(name: str, abi: str) -> tuple[Kind, ...]:
    """What a call's arguments are, as far as they are reported; nothing for a call that is not described here."""
    known = _ELSEWHERE.get((abi, name)) or KINDS.get(name, ())
    if abi in _NARROW and name in _WORD_OFFSETS:
        return tuple(Kind.NUMBER if kind is Kind.OFFSET else kind for kind in known)
    if abi in _NARROW and Kind.OFFSET in known:
        return known[: known.index(Kind.OFFSET)]
    return known


def captured(name: str, abi: str) -> tuple[int, ...]:
    """Which arguments need a string of the program or the kernel: paths first, then addresses, then files."""
    files = (Kind.FILE, Kind.DIRECTORY, Kind.POLLED, Kind.SETS, Kind.EPOLL)
    order = {Kind.PATH: 0, Kind.LOCK: 3} | dict.fromkeys(ADDRESSES, 1) | dict.fromkeys(files, 2)
    wanted = [(order[kind], at) for at, kind in enumerate(kinds(name, abi)) if kind in order]
    return tuple(at for _, at in sorted(wanted)[:CAPTURES])


def has_folder(name: str, abi: str) -> bool:
    """Whether a call has one path and no directory for it: a relative one begins in the working folder."""
    known = kinds(name, abi)
    return known.count(Kind.PATH) == 1 and Kind.DIRECTORY not in known and len(captured(name, abi)) == 1
