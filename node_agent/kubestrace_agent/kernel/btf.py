"""Offsets of fields in the running kernel's structs, from its BTF. Format: Linux Documentation/bpf/btf.rst.

Only what `offset` needs is understood. Input is checked: a damaged file raises BtfError, never reads past its end.
"""

import struct
from array import array
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")

_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")
_MAX_BYTES = 64 << 20
_MAX_DEPTH = 16

_STRUCT, _UNION = 4, 5
# Kinds that only lead to another type: typedef, volatile, const, restrict, type tag.
_ALIASES = frozenset({8, 9, 10, 11, 18})
# Bytes that follow a type's own 12: fixed, or for each of its vlen elements.
_FIXED_TAIL = {1: 4, 3: 12, 14: 4, 17: 4}
_ELEMENT_TAIL = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
_LAST_KIND = 19


class BtfError(Exception):
    """Not BTF as documented, or without what was asked for."""


class Btf:
    """The types of one BTF blob."""

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER.size:
            raise BtfError("BTF is shorter than its header")
        magic, _, _, header_len, type_off, type_len, str_off, str_len = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise BtfError("not BTF, or of the other byte order")
        self._types = data[header_len + type_off : header_len + type_off + type_len]
        self._strings = data[header_len + str_off : header_len + str_off + str_len]
        if len(self._types) != type_len or len(self._strings) != str_len:
            raise BtfError("BTF is cut short")
        self._at = self._index()

    @classmethod
    def of_kernel(cls, path: Path = VMLINUX) -> "Btf":
        """Of the running kernel. Raises OSError where it has none."""
        with path.open("rb") as file:
            return cls(file.read(_MAX_BYTES))

    def offset(self, path: str) -> int:
        """Byte offset of a field: "task_struct.thread_info.status". Members of anonymous members count as own."""
        name, *fields = path.split(".")
        type_id, bits = self._struct_named(name), 0
        for field in fields:
            found = self._member(type_id, field, _MAX_DEPTH)
            if found is None:
                raise BtfError(f"this kernel's BTF has no {path}")
            bits, type_id = bits + found[0], found[1]
        if bits % 8:
            raise BtfError(f"{path} is a bit field")
        return bits // 8

    def _index(self) -> "array[int]":
        """Where each type stands; type ids start at 1, 0 is void."""
        at, position, end, types = array("I", [0]), 0, len(self._types), self._types
        while position + _TYPE.size <= end:
            at.append(position)
            info = int.from_bytes(types[position + 4 : position + 8], "little")
            kind = info >> 24 & 0x1F
            if not 1 <= kind <= _LAST_KIND:
                raise BtfError(f"BTF has a type of unknown kind {kind}")
            position += 12 + _FIXED_TAIL.get(kind, 0) + _ELEMENT_TAIL.get(kind, 0) * (info & 0xFFFF)
        if position != end:
            raise BtfError("BTF's types are cut short")
        return at

    def _type(self, type_id: int) -> tuple[int, int, int, int]:
        """Position, name offset, info and size-or-type of a type."""
        if not 0 < type_id < len(self._at):
            raise BtfError(f"BTF has no type {type_id}")
        return (self._at[type_id], *_TYPE.unpack_from(self._types, self._at[type_id]))

    def _struct_named(self, name: str) -> int:
        wanted = self._strings.find(b"\0" + name.encode() + b"\0")
        for type_id in range(1, len(self._at)) if wanted >= 0 else ():
            _, name_at, info, _ = self._type(type_id)
            if info >> 24 & 0x1F in {_STRUCT, _UNION} and self._name(name_at) == name:
                return type_id
        raise BtfError(f"this kernel's BTF has no struct {name}")

    def _name(self, at: int) -> str:
        end = self._strings.find(b"\0", at)
        return self._strings[at:end].decode(errors="replace") if 0 <= at < end else ""

    def _member(self, type_id: int, name: str, depth: int) -> tuple[int, int] | None:
        """Offset in bits and type of a member."""
        position, _, info, target = self._type(type_id)
        kind = info >> 24 & 0x1F
        if depth and kind in _ALIASES:
            return self._member(target, name, depth - 1)
        if not depth or kind not in {_STRUCT, _UNION}:
            return None
        for number in range(info & 0xFFFF):
            name_at, member_type, bits = _MEMBER.unpack_from(self._types, position + 12 + 12 * number)
            if info >> 31:
                bits &= 0xFFFFFF
            if self._name(name_at) == name:
                return bits, member_type
            inner = None if name_at else self._member(member_type, name, depth - 1)
            if inner is not None:
                return bits + inner[0], inner[1]
        return None
