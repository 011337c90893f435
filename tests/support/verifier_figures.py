"""How large each program is to the verifier: what a kernel says of the loaded programs.

`python tests/support/verifier_figures.py` prints the running kernel's as a line of JSON; with `--record` it writes them
to tests/kernel/engine/verifier.json, with `--record -` those that it reads. `tests/kernel/matrix/run --record` does so
for all kernels.
"""

import ctypes
import json
import platform
import re
import struct
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import TypedDict

from engine_runs import SMALL

from kubestrace_agent.kernel.loader.programs import Programs

RECORDED = Path(__file__).parents[1] / "kernel/engine/verifier.json"
# struct bpf_prog_info (Linux include/uapi/linux/bpf.h): jited_prog_len, xlated_prog_len, jited_prog_insns, and
# verified_insns, which came with 5.16.
_MACHINE_CODE_BYTES_AT = 16
_TRANSLATED_AT = 20
_MACHINE_CODE_AT = 24
_VERIFIED_AT = 216
_INFO_SIZE = 232


class Figures(TypedDict):
    """Of one kernel."""

    release: str
    # The compiler's instructions are counted as well as the kernel's.
    compiler: str
    # Name -> instructions that the verifier walked through, bytes of the program after it.
    programs: dict[str, list[int]]
    # Optional programs that this kernel does not take, and why.
    problems: dict[str, str]


def of_this_kernel() -> Figures:
    """Load the programs as an agent does, with few slots, and ask the kernel."""
    loaded = Programs.load(SMALL)
    try:
        programs = {name: _sizes(fd) for name, fd in loaded.fds.items()}
        return Figures(
            release=platform.release(), compiler=_compiler(), programs=programs, problems=dict(loaded.problems)
        )
    finally:
        loaded.close()


def recorded() -> dict[str, Figures]:
    """By version and flavour of the kernel: "6.1 amd64"."""
    found: dict[str, Figures] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def record(figures: Figures) -> None:
    """Write a kernel's figures among the others'; a later release of the same version takes the place of an earlier."""
    release = figures["release"]
    version = f"{'.'.join(release.split('.')[:2])} {release.rsplit('-', 1)[-1]}"
    found = recorded() | {version: figures}
    ordered = dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split()[0].split(".")]))
    text = json.dumps(ordered, indent=2)
    # A program a line: that is what a review reads.
    RECORDED.write_text(re.sub(r"\[\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2]", text) + "\n", encoding="utf-8")


def machine_code(fd: int) -> bytes:
    """What the kernel's compiler made of a program."""
    info = ctypes.create_string_buffer(_INFO_SIZE)
    _ask(fd, info)
    code = ctypes.create_string_buffer(struct.unpack_from("=I", info, _MACHINE_CODE_BYTES_AT)[0])
    ctypes.memset(info, 0, _INFO_SIZE)
    struct.pack_into("=I", info, _MACHINE_CODE_BYTES_AT, len(code))
    struct.pack_into("=Q", info, _MACHINE_CODE_AT, ctypes.addressof(code))
    _ask(fd, info)
    return code.raw


def _sizes(fd: int) -> list[int]:
    info = ctypes.create_string_buffer(_INFO_SIZE)
    _ask(fd, info)
    return [struct.unpack_from("=I", info, at)[0] for at in (_VERIFIED_AT, _TRANSLATED_AT)]


def _ask(fd: int, info: "ctypes.Array[ctypes.c_char]") -> None:
    size = ctypes.c_uint32(_INFO_SIZE)
    if ctypes.CDLL("libbpf.so.1").bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)):
        raise OSError("the kernel says nothing of a program")


def _compiler() -> str:
    """The LLVM that bcc is linked with: libLLVM-14.so.1, libLLVM.so.19.1."""
    paths = [line.split()[-1] for line in _lines("/sbin/ldconfig", "-p") if line.split()[:1] == [find_library("bcc")]]
    found = re.search(r"libLLVM(?:-|\.so\.)(\d+)", "\n".join(_lines("ldd", paths[0])))
    assert found, paths
    return f"LLVM {found[1]}"


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        record(of_this_kernel())
    elif sys.argv[1:] == ["--record", "-"]:
        record(json.loads(sys.stdin.read()))
    else:
        print(json.dumps(of_this_kernel()))
