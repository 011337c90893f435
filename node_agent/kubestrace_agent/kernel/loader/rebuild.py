"""Gives the kernel what was compiled before: maps and programs, without a compiler. Takes down what was compiled."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader.kept import Kept, KeptMap, KeptProgram

if TYPE_CHECKING:
    from collections.abc import Mapping

# struct bpf_insn: code, registers, offset, immediate. A 64-bit load of a map's file descriptor takes two.
_INSTRUCTION = struct.Struct("=BBhi")
_LOAD_64, _PSEUDO_MAP_FD = 0x18, 1


def rebuilt(kept: Kept) -> tuple[dict[str, int], dict[str, int]]:
    """Return the file descriptors of programs and maps, the caller's from now on. Raises OSError; then none is left."""
    programs: dict[str, int] = {}
    maps: dict[str, int] = {}
    btf = bpf_syscall.load_btf(kept.btf) if kept.btf else -1
    try:
        for each in kept.maps:
            maps[each.name] = bpf_syscall.create_map(
                each.name, each.shape, maps.get(each.inner, 0), (btf, each.key_type, each.value_type)
            )
        for program in kept.programs:
            programs[program.name] = bpf_syscall.load_program(
                program.name, program.kind, kept.licence, _with_maps(program, maps)
            )
    except BaseException:
        _close([*programs.values(), *maps.values()])
        raise
    finally:
        _close([btf] if btf >= 0 else [])
    # The programs hold those that they use; the others are patterns.
    _close([fd for name, fd in maps.items() if name not in kept.used_maps])
    return programs, {name: maps[name] for name in kept.used_maps}


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


def of_map(name: str, fd: int, inner: str) -> tuple[KeptMap, int]:
    """Take down a map, and the ID of the BTF that it needs; 0: none."""
    shape, btf_id, key_type, value_type = bpf_syscall.map_shape(fd)
    if shape[0] != bpf_syscall.MAP_TYPE_TASK_STORAGE:
        return KeptMap(name, shape, inner=inner), 0
    return KeptMap(name, shape, key_type, value_type, inner), btf_id
