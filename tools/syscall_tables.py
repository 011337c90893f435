"""Makes node_agent/kubestrace_agent/syscalls/tables.py: names, classes and errno names.

Numbers come from the kernel's UAPI headers; names and classes from strace itself, which is asked, not copied: a small
program makes each call of x86_64, i386 and x32 under a seccomp filter that denies them all, and strace prints which
calls it takes for members of a class. Names of aarch64 and arm are the headers' own.

    tools/syscall_tables.py --headers UAPI [--strace PATH] --headers-version TEXT

UAPI holds x86/asm, arm64/asm, arm/asm and asm-generic, as in the package linux-libc-dev (Debian 13 and later, below
/usr/lib/linux/uapi and /usr/include). Needs gcc on x86_64.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

TARGET = Path(__file__).parent.parent / "node_agent/kubestrace_agent/syscalls/tables.py"
HEADERS = {
    "x86_64": "x86/asm/unistd_64.h",
    "i386": "x86/asm/unistd_32.h",
    "x32": "x86/asm/unistd_x32.h",
    "aarch64": "arm64/asm/unistd_64.h",
    "arm": "arm/asm/unistd-eabi.h",
}
# As in strace's manual, "Filtering"; a second % is part of the name.
CLASSES = (
    "file", "desc", "network", "memory", "process", "signal", "ipc", "creds", "clock", "pure",
    "stat", "lstat", "fstat", "%stat", "statfs", "fstatfs", "%statfs",
)  # fmt: skip
X32_BIT = 0x40000000
# ARM's own calls stand in no table of the headers (arch/arm/include/uapi/asm/unistd.h: __ARM_NR_BASE + n).
ARM_PRIVATE = {0xF0001: "breakpoint", 0xF0002: "cacheflush", 0xF0003: "usr26", 0xF0004: "usr32", 0xF0005: "set_tls"}

PROBE = r"""
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

static long old_abi(long nr) {
  long ret;
  asm volatile("int $0x80"
               : "=a"(ret)
               : "a"(nr), "b"(-1), "c"(-1), "d"(-1), "S"(-1), "D"(-1)
               : "memory", "r8", "r9", "r10", "r11");
  return ret;
}

static long new_abi(long nr) {
  long ret;
  register long r10 asm("r10") = -1, r8 asm("r8") = -1, r9 asm("r9") = -1;
  asm volatile("syscall"
               : "=a"(ret)
               : "a"(nr), "D"(-1), "S"(-1), "d"(-1), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return ret;
}

int main(int argc, char **argv) {
  struct sock_filter deny[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 231, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 38),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(deny) / sizeof(*deny), deny};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
  sched_yield(); /* what comes before is not asked for */
  int old = argv[1][0] == 'o';
  for (int i = 2; i < argc; i++) {
    long nr = atol(argv[i]);
    if (!old && nr == 231) continue; /* exit_group, which ends us */
    if (old) old_abi(nr); else new_abi(nr);
  }
  new_abi(231);
}
"""


def header_numbers(path: Path) -> dict[int, str]:
    """Number -> name of one header."""
    found = {}
    text = path.read_text(encoding="utf-8")
    define = r"^#define __NR_(\w+)\s+\(?(?:__X32_SYSCALL_BIT \+ |__NR_SYSCALL_BASE \+ )?(\d+)\)?$"
    for name, number in re.findall(define, text, re.MULTILINE):
        found[int(number)] = name
    return found


def errnos(root: Path) -> dict[int, str]:
    """Number -> name, the first of several names for one number."""
    found: dict[int, str] = {}
    for header in ("errno-base.h", "errno.h"):
        text = (root / "asm-generic" / header).read_text(encoding="utf-8")
        for name, number in re.findall(r"^#define\s+(E\w+)\s+(\d+)", text, re.MULTILINE):
            found.setdefault(int(number), name)
    return found


class Strace:
    """Asks strace what it calls a number and which calls it takes for a class."""

    def __init__(self, strace: str, folder: Path) -> None:
        self._strace = strace
        self._program = folder / "probe"
        source = folder / "probe.c"
        source.write_text(PROBE, encoding="utf-8")
        subprocess.run(["gcc", "-O1", "-static", "-o", self._program, source], check=True)
        self._out = folder / "out"

    def names(self, pattern: str, abi: str, numbers: list[int]) -> dict[int, str]:
        """Number -> strace's name for those of the numbers that match an -e trace= pattern."""
        bit = X32_BIT if abi == "x32" else 0
        way = "old" if abi == "i386" else "new"
        command = [
            self._strace,
            "-n",
            "-a1",
            "-o",
            str(self._out),
            "-e",
            f"trace={pattern},sched_yield",
            "-e",
            "signal=none",
        ]
        subprocess.run([*command, str(self._program), way, *(str(bit | n) for n in numbers)], check=False)
        found = {}
        lines = self._out.read_text(encoding="utf-8", errors="replace").splitlines()
        marker = next(at for at, line in enumerate(lines) if "sched_yield(" in line)
        for line in lines[marker + 1 :]:
            match = re.match(r"\[\s*(\d+)\] (\w+)\(", line)
            if (
                not match
                or match[2].startswith("syscall_")
                or (abi != "x86_64" and match[0].startswith("[ 231] exit_g"))
            ):
                continue
            if pattern == "all" or match[2] != "sched_yield":
                found[int(match[1]) & ~X32_BIT] = match[2]
        return {number: found[number] for number in numbers if number in found}


def literal(name: str, table: dict[int, str], comment: str) -> str:
    """A dict as source, a few entries a line."""
    lines, line = [f"# {comment}", f"{name}: dict[int, str] = {{"], "   "
    for number, value in sorted(table.items()):
        entry = f' {number}: "{value}",'
        if len(line) + len(entry) > 118:
            lines.append(line)
            line = "   "
        line += entry
    return "\n".join([*lines, line, "}", ""])


def class_literal(classes: dict[str, set[str]]) -> str:
    """Class -> names as source."""
    lines = ["# Class -> names; as strace sorts them.", "CLASSES: dict[str, frozenset[str]] = {"]
    for name, members in sorted(classes.items()):
        lines.append(f'    "{name}": frozenset(')
        text = "        "
        lines.append("        {")
        for member in sorted(members):
            entry = f' "{member}",'
            if len(text) + len(entry) > 110:
                lines.append("    " + text.rstrip())
                text = "        "
            text += entry
        lines += ["    " + text.rstrip(), "        }", "    ),"]
    return "\n".join([*lines, "}", ""])


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--headers", type=Path, required=True)
    parser.add_argument("--headers-version", required=True)
    parser.add_argument("--generic", type=Path, required=True, help="folder that holds asm-generic")
    parser.add_argument("--strace", default="strace")
    args = parser.parse_args()
    tables = {abi: header_numbers(args.headers / header) for abi, header in HEADERS.items()}
    tables["arm"] |= ARM_PRIVATE
    classes: dict[str, set[str]] = {}
    version = subprocess.run([args.strace, "-V"], check=True, capture_output=True, text=True).stdout.split("\n")[0]
    with tempfile.TemporaryDirectory() as folder:
        strace = Strace(args.strace, Path(folder))
        for abi in ("x86_64", "i386", "x32"):
            numbers = sorted(tables[abi])
            tables[abi] |= strace.names("all", abi, numbers)
            for name in CLASSES:
                classes.setdefault(name, set()).update(strace.names(f"%{name}", abi, numbers).values())
    known = set().union(*(table.values() for table in tables.values()))
    parts = [
        f'"""System calls by number, strace\'s classes, errno names.\n\nMade by tools/syscall_tables.py, not by hand: '
        f"numbers from the Linux UAPI headers\n({args.headers_version}), names of x86 and classes from "
        f'{version}, which was asked.\n"""\n\n# fmt: off\n',
        *(literal(abi.upper(), table, f"Number -> name, {abi}.") for abi, table in tables.items()),
        class_literal({name: members & known for name, members in classes.items()}),
        literal("ERRNOS", errnos(args.generic), "Number -> name, the same on all machines that we trace."),
    ]
    TARGET.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
