"""Gives the kernel what was compiled before: maps and programs, without a compiler. Takes down what was compiled."""

from __future__ import annotations

import os
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader.kept import Kept, KeptMap, KeptProgram

if TYPE_CHECKING:
    from collections.abc import Mapping

# struct bpf_insn: code, registers, offset, immediate. A 64-bit load of a map's file descriptor takes two.
_INSTRUCTION = struct.Struct("=BBhi")
_AT_A_TIME = 2
_BTF_HEADER_BYTES, _BTF_INT, _BTF_ARRAY = 24, 1, 3
# Positions in _types().
_KEY_TYPE, _VALUE_TYPE = 1, 3
_LOAD_64, _PSEUDO_MAP_FD = 0x18, 1


def rebuilt(kept: Kept) -> tuple[dict[str, int], dict[str, int]]:
    """Return the file descriptors of programs and maps, the caller's from now on. Raises OSError; then none is left."""
    programs: dict[str, int] = {}
    maps: dict[str, int] = {}
    try:
        for each in kept.maps:
            maps[each.name] = _map(each, maps.get(each.inner, 0))
        _load(kept, maps, programs)
    except BaseException:
        _close([*programs.values(), *maps.values()])
        raise
    # The programs hold those that they use; the others are patterns.
    _close([fd for name, fd in maps.items() if name not in kept.used_maps])
    return programs, {name: maps[name] for name in kept.used_maps}


def _map(each: KeptMap, inner: int) -> int:
    kind, key_size, value_size, _, _ = each.shape
    if kind != bpf_syscall.MAP_TYPE_TASK_STORAGE:
        return bpf_syscall.create_map(each.name, each.shape, inner=inner)
    types = bpf_syscall.load_btf(_types(key_size, value_size))
    try:
        return bpf_syscall.create_map(each.name, each.shape, types=(types, _KEY_TYPE, _VALUE_TYPE))
    finally:
        os.close(types)


def _types(key_size: int, value_size: int) -> bytes:
    """Types of a task storage, which the kernel demands: an integer as the key, and as the value so many bytes.

    Those of the compiler only CAP_SYS_ADMIN can read back. BTF: Linux, Documentation/bpf/btf.rst.
    """
    names = b"\0int\0char\0"
    types = (
        struct.pack("=4I", 1, _BTF_INT << 24, key_size, 8 * key_size)
        + struct.pack("=4I", 5, _BTF_INT << 24, 1, 8)
        + struct.pack("=6I", 0, _BTF_ARRAY << 24, 0, _KEY_TYPE + 1, _KEY_TYPE, value_size)
    )
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, _BTF_HEADER_BYTES, 0, len(types), len(types), len(names))
    return header + types + names


def _load(kept: Kept, maps: Mapping[str, int], programs: dict[str, int]) -> None:
    """Load all into `programs`, two at a time: nearly all of the time is the kernel's, which checks each by itself."""

    def load(program: KeptProgram) -> None:
        code = _with_maps(program, maps)
        programs[program.name] = bpf_syscall.load_program(program.name, program.kind, kept.licence, code)

    # The longest first, so that none is left for the end.
    longest_first = sorted(kept.programs, key=lambda each: len(each.code), reverse=True)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        # The first that is refused raises; those that have not begun are left out.
        for done in [pool.submit(load, program) for program in longest_first]:
            try:
                done.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _with_maps(program: KeptProgram, maps: Mapping[str, int]) -> bytes:
    code = bytearray(program.code)
    for at, name in program.maps.items():
        operation, registers, offset, _ = _INSTRUCTION.unpack_from(code, at * _INSTRUCTION.size)
        _INSTRUCTION.pack_into(code, at * _INSTRUCTION.size, operation, registers, offset, maps[name])
    return bytes(code)


def program(name: str, kind: tuple[int, int, int], code: bytes, names: Mapping[int, str]) -> KeptProgram:
    """Take down a program; `names` are those of the maps by their file descriptors, which its code has."""
    maps: dict[int, str] = {}
    plain = bytearray(code)
    for at in range(len(code) // _INSTRUCTION.size):
        operation, registers, offset, value = _INSTRUCTION.unpack_from(code, at * _INSTRUCTION.size)
        if operation == _LOAD_64 and registers >> 4 == _PSEUDO_MAP_FD:
            maps[at] = names[value]
            _INSTRUCTION.pack_into(plain, at * _INSTRUCTION.size, operation, registers, offset, 0)
    return KeptProgram(name, kind, bytes(plain), maps)
