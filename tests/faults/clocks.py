"""Moves the time of day of one process, while it runs; every other clock of it, and of the machine, stays as it is.

All nodes of the rig share the machine's clock, and a time namespace moves only those that count from boot. So the code
that a process asks for the time, the vDSO, gets other code in that process alone.
"""

import os
import re
import signal
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

# x86-64. Each asks the kernel, and adds to the seconds of CLOCK_REALTIME; %b: how many, as 8 bytes.
_MOVED = {
    # clock_gettime(edi: clock, rsi: timespec)
    "__vdso_clock_gettime": b"\xb8\xe4\0\0\0\x0f\x05\x85\xc0\x75\x11\x85\xff\x75\x0d\x48\xb9%b\x48\x01\x0e\xc3",
    # gettimeofday(rdi: timeval or 0, rsi)
    "__vdso_gettimeofday": b"\xb8\x60\0\0\0\x0f\x05\x48\x85\xff\x74\x0d\x48\xb9%b\x48\x01\x0f\xc3",
    # time(rdi: time_t or 0)
    "__vdso_time": b"\xb8\xc9\0\0\0\x0f\x05\x48\xb9%b\x48\x01\xc8\x48\x85\xff\x74\x03\x48\x89\x07\xc3",
}
_DYNAMIC_SYMBOLS = 11
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")


@contextmanager
def moved(pid: int, seconds: int) -> Iterator[None]:
    """Have a process's time of day moved for a while; one that ends meanwhile is left alone."""
    start, code = _vdso(pid)
    places = _functions(code)
    changed = {start + places[name][0]: each % struct.pack("<q", seconds) for name, each in _MOVED.items()}
    for name, each in _MOVED.items():
        if len(each % bytes(8)) > places[name][1]:
            raise AssertionError(f"{name} has no room for other code")
    usual = {at: code[at - start :][: len(each)] for at, each in changed.items()}
    _write(pid, start, len(code), changed)
    try:
        yield
    finally:
        with suppress(ProcessLookupError, FileNotFoundError):
            _write(pid, start, len(code), usual)


def _vdso(pid: int) -> tuple[int, bytes]:
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="ascii")
    found = re.search(r"^(\w+)-(\w+) .*\[vdso\]$", maps, re.MULTILINE)
    if found is None:
        raise AssertionError(f"process {pid} has no vDSO")
    start, end = int(found[1], 16), int(found[2], 16)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(start)
        return start, memory.read(end - start)


def _functions(code: bytes) -> dict[str, tuple[int, int]]:
    """Where each function is in the vDSO, and how long."""
    at, size, count = struct.unpack_from("<Q", code, 40)[0], *struct.unpack_from("<HH", code, 58)
    sections = [_SECTION.unpack_from(code, at + number * size) for number in range(count)]
    table = next(section for section in sections if section[1] == _DYNAMIC_SYMBOLS)
    names = sections[table[6]][4]
    found = {}
    for name, _, _, _, value, length in _SYMBOL.iter_unpack(code[table[4] : table[4] + table[5]]):
        found[code[names + name : code.index(b"\0", names + name)].decode()] = value, length
    return found


def _write(pid: int, start: int, length: int, changed: Mapping[int, bytes]) -> None:
    """Write into a process's vDSO while none of its threads is in there."""
    for _ in range(100):
        os.kill(pid, signal.SIGSTOP)
        try:
            if all(not start <= each < start + length for each in _instructions(pid)):
                with Path(f"/proc/{pid}/mem").open("wb", buffering=0) as memory:
                    for at, code in changed.items():
                        memory.seek(at)
                        memory.write(code)
                return
        finally:
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.01)
    raise AssertionError(f"process {pid} asks for the time again and again")


def _instructions(pid: int) -> list[int]:
    """Where each thread is, once all are stopped."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        if all((task / "stat").read_text().rpartition(") ")[2][0] in "TtZX" for task in tasks):
            words = [(task / "syscall").read_text().split() for task in tasks]
            return [int(each[-1], 16) for each in words if each[0] != "running"]
        time.sleep(0.001)
    raise AssertionError(f"process {pid} does not stop")
