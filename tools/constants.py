"""Writes the names of constants that stand in arguments of system calls, from the kernel's headers.

    python tools/constants.py [--check]

Reads the headers that programs are built with (linux-libc-dev) by the C compiler, on x86-64; what other architectures
number otherwise stands below, with its source. With --check it writes nothing, and fails where the headers here have
another value for a name, or no file was written since this script changed a set.
"""

import argparse
import platform
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

TARGET = Path(__file__).parents[1] / "node_agent/kubestrace_agent/syscalls/constants.py"
HEADERS = (
    *(
        "stddef.h",
        "asm/termbits.h",
        "linux/serial.h",
        "linux/fiemap.h",
        "asm/ioctls.h",
        "asm/mman.h",
        "asm/signal.h",
        "asm/socket.h",
    ),
    *("linux/eventpoll.h", "linux/fadvise.h", "linux/falloc.h", "linux/fcntl.h", "linux/fs.h", "linux/futex.h"),
    *("linux/if_tun.h", "linux/in.h", "linux/in6.h", "linux/loop.h", "linux/nsfs.h", "linux/resource.h"),
    *(
        "linux/inotify.h",
        "linux/io_uring.h",
        "linux/memfd.h",
        "linux/mman.h",
        "linux/mount.h",
        "linux/net.h",
        "linux/prctl.h",
    ),
    *(
        "linux/random.h",
        "linux/sched.h",
        "linux/seccomp.h",
        "linux/sockios.h",
        "linux/stat.h",
        "linux/tcp.h",
        "linux/time.h",
    ),
    *("linux/timerfd.h", "linux/wait.h"),
)
# Set -> a pattern of its names, and names that are none of it: ends, masks, and other words for a value.
SETS = {
    "OPEN": (r"O_[A-Z]+", "O_ACCMODE O_LARGEFILE O_NDELAY O_RDONLY O_WRONLY O_RDWR"),
    "AT": (r"AT_(SYMLINK_NOFOLLOW|SYMLINK_FOLLOW|NO_AUTOMOUNT|EMPTY_PATH|RECURSIVE)", ""),
    "STATX": (r"STATX_[A-Z_]+", r"STATX__RESERVED STATX_ATTR_\w+"),
    "STATX_AT": (
        r"AT_(SYMLINK_NOFOLLOW|NO_AUTOMOUNT|EMPTY_PATH|RECURSIVE|STATX_(FORCE|DONT)_SYNC)",
        "",
    ),
    "SEAL": (r"F_SEAL_[A-Z_]+", ""),
    "LOCK_TYPE": (r"F_(RD|WR|UN)LCK", ""),
    "ADVICE": (r"POSIX_FADV_[A-Z]+", ""),
    "RESOURCE": (r"RLIMIT_[A-Z]+", ""),
    "USAGE": (r"RUSAGE_[A-Z]+", "RUSAGE_BOTH"),
    "SCHEDULER": (r"SCHED_(NORMAL|FIFO|RR|BATCH|IDLE|DEADLINE|EXT)", ""),
    "LOCKED": (r"MCL_[A-Z]+", ""),
    "SYNC_RANGE": (r"SYNC_FILE_RANGE_[A-Z_]+", "SYNC_FILE_RANGE_WRITE_AND_WAIT"),
    "SECCOMP": (r"SECCOMP_(SET|GET)_[A-Z_]+", ""),
    "IP_OPTION": (
        r"IP_[A-Z_]+",
        r"IP_(PMTUDISC|DEFAULT)_\w+ IP_RECVRETOPTS IP_LOCAL_PORT_RANGE_\w+",
    ),
    "IPV6_OPTION": (
        r"IPV6_[A-Z_0-9]+",
        r"IPV6_(PMTUDISC|FL|TLV|PRIORITY|SRCRT|PREFER|OPT|DEFAULT)_?\w* IPV6_(ADD|DROP)_MEMBERSHIP IPV6_FLOWINFO_\w+",
    ),
    "RENAME": (r"RENAME_[A-Z]+", ""),
    "PROT": (r"PROT_(READ|WRITE|EXEC|GROWSDOWN|GROWSUP)", ""),
    "MAP": (r"MAP_[A-Z_0-9]+", "MAP_TYPE MAP_FILE MAP_ANON MAP_HUGE_MASK MAP_HUGE_SHIFT MAP_SHARED_VALIDATE"),
    "MADVISE": (r"MADV_[A-Z_]+", ""),
    "MREMAP": (r"MREMAP_[A-Z]+", ""),
    "MSYNC": (r"MS_(ASYNC|INVALIDATE|SYNC)", ""),
    "LOCK": (r"LOCK_(SH|EX|NB|UN)", ""),
    "WHENCE": (r"SEEK_[A-Z]+", "SEEK_MAX"),
    "FCNTL": (
        r"F_(DUPFD|GETFD|SETFD|GETFL|SETFL|GETLK|SETLK|SETLKW|SETOWN|GETOWN|SETSIG|GETSIG|OFD_\w+|SETLEASE|"
        r"GETLEASE|NOTIFY|DUPFD_CLOEXEC|SETPIPE_SZ|GETPIPE_SZ|ADD_SEALS|GET_SEALS|GET_RW_HINT|SET_RW_HINT)",
        "",
    ),
    "FUTEX": (
        r"FUTEX_(WAIT|WAKE|FD|REQUEUE|CMP_REQUEUE|WAKE_OP|LOCK_PI|UNLOCK_PI|TRYLOCK_PI|WAIT_BITSET|WAKE_BITSET|"
        r"WAIT_REQUEUE_PI|CMP_REQUEUE_PI|LOCK_PI2)",
        "",
    ),
    "CLOCK": (r"CLOCK_[A-Z_]+", "CLOCK_SGI_CYCLE"),
    "SIGNAL": (r"SIG[A-Z0-9]+", "SIGRTMIN SIGRTMAX SIGSTKSZ SIGIOT SIGPOLL SIGUNUSED SIGLOST"),
    "WAIT": (r"W(NOHANG|STOPPED|EXITED|CONTINUED|NOWAIT)|__W(ALL|CLONE|NOTHREAD)", ""),
    "IDTYPE": (r"P_(ALL|PID|PGID|PIDFD)", ""),
    "CLONE": (r"CLONE_[A-Z_]+", "CLONE_CLEAR_SIGHAND CLONE_INTO_CGROUP CLONE_NEWTIME CLONE_ARGS_SIZE_VER"),
    "EPOLL_CTL": (r"EPOLL_CTL_(ADD|DEL|MOD)", ""),
    "PRCTL": (
        r"PR_(SET|GET|CAP|CAPBSET|TASK|MCE|MPX)_?[A-Z_]*|PR_(SCHED_CORE|PAC_RESET_KEYS)",
        r"PR_SET_MM_\w+ PR_SET_PTRACER_ANY PR_MCE_KILL_\w+ PR_TASK_PERF\w+ PR_SET_VMA_\w+ PR_CAP_AMBIENT_\w+",
    ),
    "FALLOCATE": (r"FALLOC_FL_[A-Z_]+", "FALLOC_FL_NO_HIDE_STALE"),
    "RANDOM": (r"GRND_[A-Z]+", ""),
    "MEMFD": (r"MFD_(CLOEXEC|ALLOW_SEALING|HUGETLB|NOEXEC_SEAL|EXEC)", ""),
    "MOUNT": (
        r"MS_(RDONLY|NOSUID|NODEV|NOEXEC|SYNCHRONOUS|REMOUNT|MANDLOCK|DIRSYNC|NOATIME|NODIRATIME|BIND|MOVE|REC|"
        r"SILENT|UNBINDABLE|PRIVATE|SLAVE|SHARED|RELATIME|STRICTATIME|LAZYTIME)",
        "",
    ),
    "IOCTL": (
        r"TC[A-Z0-9]+|TIOC[A-Z0-9]+|FIO[A-Z]+|SIOC[A-Z0-9]+|FI[A-Z]+|BLK[A-Z0-9]+|FS_IOC_\w+|NS_GET_[A-Z]+|TUN[A-Z]+|"
        r"LOOP_(SET|CLR|GET|CHANGE|CTL|CONFIGURE)_?[A-Z0-9_]*",
        r"TC(SANOW|SADRAIN|SAFLUSH) LOOP_CONFIGURE_\w+ TC[IO]\w*(FLUSH|OFF|ON) TIOCM_\w+ TIOCPKT\w* TIOCSER\w+ "
        r"SIOCDEVPRIVATE SIOCPROTOPRIVATE "
        r"BLKTRACE\w+ FS_IOC_(FSGETXATTR|FSSETXATTR)_\w+ FS_IOC32_\w+ FIEMAP\w* LOOP_SET_STATUS_\w+ TUNATTACH\w+",
    ),
    "ENTER": (r"IORING_ENTER_[A-Z_]+", ""),
    "SOCKET_OPTION": (r"SO_[A-Z_0-9]+", r"SO_\w+_(OLD|NEW) SO_GET_FILTER"),
    "TCP_OPTION": (
        r"TCP_[A-Z_]+",
        r"TCP_MSS_\w+ TCP_(ESTABLISHED|SYN_SENT|SYN_RECV|CLOSE|LISTEN|CLOSING)\w* TCP_AO\w+",
    ),
    "INOTIFY": (
        r"IN_(ACCESS|MODIFY|ATTRIB|CLOSE_WRITE|CLOSE_NOWRITE|OPEN|MOVED_FROM|MOVED_TO|CREATE|DELETE|DELETE_SELF|"
        r"MOVE_SELF|ONLYDIR|DONT_FOLLOW|EXCL_UNLINK|MASK_ADD|ISDIR|ONESHOT)",
        "",
    ),
}
# No macros of the headers for programs: Linux include/linux/socket.h, net.h, splice.h, eventfd.h, and man 2.
MORE = {
    "ACCESS": {1: "X_OK", 2: "W_OK", 4: "R_OK"},
    "FAMILY": {
        0: "AF_UNSPEC",
        1: "AF_UNIX",
        2: "AF_INET",
        10: "AF_INET6",
        15: "AF_KEY",
        16: "AF_NETLINK",
        17: "AF_PACKET",
        38: "AF_ALG",
        40: "AF_VSOCK",
        44: "AF_XDP",
    },
    "SOCKET_TYPE": {
        1: "SOCK_STREAM",
        2: "SOCK_DGRAM",
        3: "SOCK_RAW",
        4: "SOCK_RDM",
        5: "SOCK_SEQPACKET",
        10: "SOCK_PACKET",
    },
    "SOCKET_FLAG": {0o4000: "SOCK_NONBLOCK", 0o2000000: "SOCK_CLOEXEC"},
    "SHUTDOWN": {0: "SHUT_RD", 1: "SHUT_WR", 2: "SHUT_RDWR"},
    "MESSAGE": {
        1: "MSG_OOB",
        2: "MSG_PEEK",
        4: "MSG_DONTROUTE",
        8: "MSG_CTRUNC",
        0x20: "MSG_TRUNC",
        0x40: "MSG_DONTWAIT",
        0x80: "MSG_EOR",
        0x100: "MSG_WAITALL",
        0x800: "MSG_CONFIRM",
        0x2000: "MSG_ERRQUEUE",
        0x4000: "MSG_NOSIGNAL",
        0x8000: "MSG_MORE",
        0x10000: "MSG_WAITFORONE",
        0x4000000: "MSG_ZEROCOPY",
        0x20000000: "MSG_FASTOPEN",
        0x40000000: "MSG_CMSG_CLOEXEC",
    },
    "SPLICE": {1: "SPLICE_F_MOVE", 2: "SPLICE_F_NONBLOCK", 4: "SPLICE_F_MORE", 8: "SPLICE_F_GIFT"},
    "LEVEL": {0: "SOL_IP", 1: "SOL_SOCKET", 6: "SOL_TCP", 17: "SOL_UDP", 41: "SOL_IPV6"},
    "OPEN_MODE": {0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR", 3: "O_ACCMODE"},
    "PROTOCOL": {0: "IPPROTO_IP", 1: "IPPROTO_ICMP", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP", 58: "IPPROTO_ICMPV6"},
    "EVENT_FLAG": {1: "EFD_SEMAPHORE", 0o4000: "EFD_NONBLOCK", 0o2000000: "EFD_CLOEXEC"},
    "EPOLL_FLAG": {0o2000000: "EPOLL_CLOEXEC"},
    "INOTIFY_FLAG": {0o4000: "IN_NONBLOCK", 0o2000000: "IN_CLOEXEC"},
    "TIMER_FLAG": {0o4000: "TFD_NONBLOCK", 0o2000000: "TFD_CLOEXEC"},
    "TIMER_SET": {1: "TFD_TIMER_ABSTIME", 2: "TFD_TIMER_CANCEL_ON_SET"},
    "SLEEP": {1: "TIMER_ABSTIME"},
    "UMOUNT": {1: "MNT_FORCE", 2: "MNT_DETACH", 4: "MNT_EXPIRE", 8: "UMOUNT_NOFOLLOW"},
    "REMOVEDIR": {0x200: "AT_REMOVEDIR"},
    "EACCESS": {0x200: "AT_EACCESS"},
    "LOCKING": {0: "SIG_BLOCK", 1: "SIG_UNBLOCK", 2: "SIG_SETMASK"},
    "FD": {1: "FD_CLOEXEC"},
    "FILE_TYPE": {
        0o10000: "S_IFIFO",
        0o20000: "S_IFCHR",
        0o40000: "S_IFDIR",
        0o60000: "S_IFBLK",
        0o100000: "S_IFREG",
        0o140000: "S_IFSOCK",
    },
}
# Linux arch/arm64/include/uapi/asm/fcntl.h, mman.h.
AARCH64 = {
    "OPEN": {"O_DIRECTORY": 0o40000, "O_NOFOLLOW": 0o100000, "O_DIRECT": 0o200000, "O_TMPFILE": 0o20040000},
    "MAP": {"MAP_32BIT": None},
}
# Other names of the same values.
ALIASES = {"O_FSYNC", "O_RSYNC", "FASYNC", "MAP_UNINITIALIZED", "TIOCINQ", "SIOCINQ", "SIOCOUTQ", "SIGCLD"}
_HEAD = '''"""Names of constants in arguments of system calls: value -> name, by set. Written by tools/constants.py."""

# Of x86-64 and those that number as it does.
SETS: dict[str, dict[int, str]] = {
'''


def defined() -> list[str]:
    """Return the names that the headers define."""
    text = "".join(f"#include <{header}>\n" for header in HEADERS)
    done = subprocess.run(["gcc", "-E", "-dM", "-"], input=text, capture_output=True, text=True, check=True, timeout=60)
    return re.findall(r"^#define (\w+) ", done.stdout, re.MULTILINE)


def values(names: list[str]) -> dict[str, int]:
    """Return what the names stand for, as the compiler works it out."""
    lines = "".join(f'  printf("{name} %lld\\n", (long long)({name}));\n' for name in names)
    text = "".join(f"#include <{header}>\n" for header in HEADERS)
    text += f"int printf(const char *, ...);\nint main(void) {{\n{lines}  return 0;\n}}\n"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "values")
        subprocess.run(["gcc", "-w", "-x", "c", "-o", program, "-"], input=text, text=True, check=True, timeout=60)
        done = subprocess.run([program], capture_output=True, text=True, check=True, timeout=60)
    return {name: int(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def sets() -> dict[str, dict[int, str]]:
    """Return all sets, by value."""
    names = defined()
    chosen = {key: [name for name in names if re.fullmatch(wanted, name)] for key, (wanted, _) in SETS.items()}
    left_out = {key: [re.compile(word) for word in words.split()] for key, (_, words) in SETS.items()}
    chosen = {
        key: [name for name in found if name not in ALIASES and not any(out.fullmatch(name) for out in left_out[key])]
        for key, found in chosen.items()
    }
    known = values(sorted({name for found in chosen.values() for name in found}))
    made = {
        key: {known[name] & 0xFFFFFFFF: name for name in sorted(found, reverse=True)} for key, found in chosen.items()
    }
    return {key: dict(sorted(found.items())) for key, found in (made | MORE).items()}


def text() -> str:
    """Return the module."""
    lines = [_HEAD]
    for key, found in sorted(sets().items()):
        lines.append(f'    "{key}": {{\n')
        words = ", ".join(f'{value:#x}:\0"{name}"' for value, name in found.items())
        lines += [f"        {line}\n".replace("\0", " ") for line in textwrap.wrap(words + ",", 110)]
        lines.append("    },\n")
    lines.append("}  # fmt: skip\n# Where aarch64 numbers otherwise; None: it has none of this name.\n")
    lines.append("AARCH64: dict[str, dict[str, int | None]] = {\n")
    for key, changed in AARCH64.items():
        words = ", ".join(f'"{name}": {value if value is None else hex(value)}' for name, value in changed.items())
        lines.append(f'    "{key}": {{{words}}},\n')
    return "".join([*lines, "}  # fmt: skip\n"])


def contradictions() -> list[str]:
    """Return the names that this machine's headers have with another value; newer or older ones may have others."""
    module = runpy.run_path(str(TARGET))
    committed, now = module["SETS"], sets()
    if committed.keys() != now.keys():
        return sorted(committed.keys() ^ now.keys())
    return [
        name
        for key, found in committed.items()
        for value, name in found.items()
        if name in now[key].values() and now[key].get(value) != name
    ]


def main() -> None:
    """Write the module, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        TARGET.write_text(text(), encoding="utf-8")
    elif platform.machine() != "x86_64" or shutil.which("gcc") is None:
        sys.stderr.write("the names of constants are not checked: that takes gcc and the headers of x86-64\n")
    elif different := contradictions():
        sys.exit(f"{TARGET.name} is not what the headers say of {', '.join(different)}: run python tools/constants.py")


if __name__ == "__main__":
    main()
