"""Offsets of fields in the running kernel's structs, from its BTF. Format: Linux Documentation/bpf/btf.rst.

Only what `offset` needs is understood. Input is checked: a damaged file raises BtfError, never reads past its end.
"""

import struct
from array import array
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")

_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_MAX_BYTES = 64 << 20
_MAX_DEPTH = 16

_STRUCTS = frozenset({4, 5})  # struct, union
_POINTER, _ENUM, _TYPEDEF, _FUNCTION, _PROTOTYPE = 2, 6, 8, 12, 13
# Kinds that only lead to another type: typedef, volatile, const, restrict, type tag.
_ALIASES = frozenset({8, 9, 10, 11, 18})
# Words (of 4 bytes) that follow a type's own 3, by kind: always, and for each of its elements. -1: no such kind.
_FIXED = (-1, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0) + (-1,) * 12
_EACH = (0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3) + (0,) * 12
_MEMBER_WORDS = 3


class BtfError(Exception):
    """Not BTF as documented, or without what was asked for."""


class Btf:
    """The types of one BTF blob; those of a module go on where the kernel's end, which are its `base`."""

    def __init__(self, data: bytes, base: "Btf | None" = None) -> None:
        if len(data) < _HEADER.size:
            raise BtfError("BTF is shorter than its header")
        magic, _, _, header_len, type_off, type_len, str_off, str_len = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise BtfError("not BTF, or of the other byte order")
        types = data[header_len + type_off : header_len + type_off + type_len]
        strings = data[header_len + str_off : header_len + str_off + str_len]
        if len(types) != type_len or len(strings) != str_len or type_len % 4:
            raise BtfError("BTF is cut short")
        self._strings: bytes = (base._strings if base else b"") + strings
        self._words: array[int] = (base._words if base else array("I")) + array("I", types)
        self._at = self._index()

    @classmethod
    def of_kernel(cls, path: Path = VMLINUX) -> "Btf":
        """Of the running kernel. Raises OSError where it has none."""
        with path.open("rb") as file:
            return cls(file.read(_MAX_BYTES))

    def with_module(self, name: str, folder: Path = VMLINUX.parent) -> "Btf":
        """Give these types and those of a module. Raises OSError where it is not loaded, or built in."""
        with (folder / name).open("rb") as file:
            return Btf(file.read(_MAX_BYTES), self)

    def offset(self, path: str) -> int:
        """Byte offset of a field: "task_struct.thread_info.status". Members of anonymous members count as own."""
        bits = self.bits(path)
        if bits % 8:
            raise BtfError(f"{path} is a bit field")
        return bits // 8

    def size(self, name: str) -> int:
        """Return how many bytes a struct has. Raises BtfError."""
        return int(self._words[self._at[self.struct_id(name)] + 2])

    def bits(self, path: str) -> int:
        """Return the offset of a field in bits, as offset does in bytes. Raises BtfError."""
        name, *fields = path.split(".")
        type_id, bits = self.struct_id(name), 0
        for field in fields:
            found = self._member(type_id, field, _MAX_DEPTH)
            if found is None:
                raise BtfError(f"this kernel's BTF has no {path}")
            bits, type_id = bits + found[0], found[1]
        return bits

    def value(self, name: str) -> int:
        """Return what a value of an enum is. Raises BtfError."""
        name_at, words = self._strings.find(b"\0" + name.encode() + b"\0") + 1, self._words
        for type_id, position in enumerate(self._at if name_at else ()):
            info = words[position + 1] if type_id else 0
            if info >> 24 & 0x1F != _ENUM:
                continue
            for at in range(position + 3, position + 3 + 2 * (info & 0xFFFF), 2):
                if words[at] == name_at:
                    return int(words[at + 1])
        raise BtfError(f"this kernel's BTF has no enum with {name}")

    def parameters(self, name: str) -> int:
        """Return how many parameters a type of functions has that a typedef names. Raises BtfError."""
        name_at, words = self._strings.find(b"\0" + name.encode() + b"\0") + 1, self._words
        for type_id, position in enumerate(self._at if name_at else ()):
            if type_id and words[position] == name_at and words[position + 1] >> 24 & 0x1F == _TYPEDEF:
                target = words[position + 2]
                if 0 < target < len(self._at) and words[self._at[target] + 1] >> 24 & 0x1F == _POINTER:
                    target = words[self._at[target] + 2]
                if 0 < target < len(self._at) and words[self._at[target] + 1] >> 24 & 0x1F == _PROTOTYPE:
                    return words[self._at[target] + 1] & 0xFFFF
        raise BtfError(f"this kernel's BTF has no type of functions {name}")

    def function(self, name: str) -> int:
        """Return the ID of a function of the kernel. Raises BtfError."""
        return self._id(name, frozenset({_FUNCTION}), "function")

    def struct_id(self, name: str) -> int:
        """Return the ID of a struct. Raises BtfError."""
        return self._id(name, _STRUCTS, "struct")

    def names(self, name: str) -> bool:
        """Whether anything (a type, a field, a value of an enum, a function) has this name."""
        return b"\0" + name.encode() + b"\0" in self._strings

    def _index(self) -> list[int]:
        """Where each type stands; type ids start at 1, 0 is void."""
        at, position, words = [0], 0, self._words
        fixed, each, end = _FIXED, _EACH, len(self._words) - 2
        while position < end:
            at.append(position)
            info = words[position + 1]
            kind = info >> 24 & 0x1F
            if fixed[kind] < 0:
                raise BtfError(f"BTF has a type of unknown kind {kind}")
            position += 3 + fixed[kind] + each[kind] * (info & 0xFFFF)
        if position != len(words):
            raise BtfError("BTF's types are cut short")
        return at

    def _id(self, name: str, kinds: frozenset[int], what: str) -> int:
        name_at, words = self._strings.find(b"\0" + name.encode() + b"\0") + 1, self._words
        for type_id, position in enumerate(self._at if name_at else ()):
            if type_id and words[position] == name_at and words[position + 1] >> 24 & 0x1F in kinds:
                return type_id
        raise BtfError(f"this kernel's BTF has no {what} {name}")

    def _name(self, at: int) -> str:
        end = self._strings.find(b"\0", at)
        return self._strings[at:end].decode(errors="replace") if at < end else ""

    def _member(self, type_id: int, name: str, depth: int) -> tuple[int, int] | None:
        """Offset in bits and type of a member."""
        if not 0 < type_id < len(self._at) or not depth:
            return None
        position = self._at[type_id]
        _, info, target = self._words[position : position + 3]
        kind = info >> 24 & 0x1F
        if kind in _ALIASES:
            return self._member(target, name, depth - 1)
        members = self._words[position + 3 : position + 3 + _MEMBER_WORDS * (info & 0xFFFF)] if kind in _STRUCTS else ()
        for name_at, member_type, place in zip(*(members[n::_MEMBER_WORDS] for n in range(3)), strict=True):
            bits = place & 0xFFFFFF if info >> 31 else place
            if self._name(name_at) == name:
                return bits, member_type
            inner = None if name_at else self._member(member_type, name, depth - 1)
            if inner is not None:
                return bits + inner[0], inner[1]
        return None
