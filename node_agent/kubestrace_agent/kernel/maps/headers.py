"""Numbers and layouts of the C headers that the BPF programs and the agent share: written in C, read here. Pure.

Reads what these headers hold: `#define NAME number`, enums, and structs of integers, of other structs, and of arrays of
both. Members are aligned to their size, as on all 64-bit machines and in BPF. Both sides of `#ifdef` are taken. Maps
compare the sizes with those of the loaded maps.
"""

from __future__ import annotations

import ast
import functools
import itertools
import operator
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Headers are named from here, as in #include "...".
PACKAGE = Path(__file__).parents[2]

_INTEGERS = {"u8": "B", "char": "B", "u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q"}
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
_DEFINE = re.compile(r"^#define (\w+) (.+)$", re.MULTILINE)
_ENUM = re.compile(r"^enum \w+ \{(.*?)\};", re.MULTILINE | re.DOTALL)
_STRUCT = re.compile(r"^struct (\w+) \{(.*?)^\};", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r"(?:struct (\w+)|(\w+)) (\w+)((?:\[[^\]]+\])*)")
_STEP = re.compile(r"(\w+)((?:\[\d+\])*)")
_OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.LShift: operator.lshift,
    ast.BitOr: operator.or_,
}


class HeaderError(Exception):
    """A header does not hold what was asked for, or holds it in a form that is not understood here."""


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of a struct: an integer, or a struct (`inner`), as often as `dimensions` say."""

    offset: int
    code: str
    inner: Layout | None
    dimensions: tuple[int, ...]

    @property
    def item_bytes(self) -> int:
        return self.inner.size if self.inner else struct.calcsize(f"={self.code}")


@dataclass(frozen=True, slots=True)
class _Place:
    """What a path leads to."""

    offset: int
    member: _Member
    # How many items stand there, one after the other.
    count: int


class Layout:
    """Where a C struct has its fields.

    A path names one: "flags", "gone.user.on_ns", "room[1]". It is no error to name a whole array or struct.
    """

    def __init__(self, name: str, members: dict[str, _Member], size: int, alignment: int) -> None:
        self.name = name
        self.size = size
        self.alignment = alignment
        self._members = members
        # What was looked for before: the same few paths, again and again.
        self._places: dict[str, _Place] = {}
        self._indexes: dict[str, int] = {}

    def offset(self, path: str) -> int:
        """Return where a field begins, in bytes."""
        return self._find(path).offset

    def at(self, path: str) -> int:
        """Return where a field begins as an index of items of its own size, for the memoryview of an array map."""
        found = self._indexes.get(path)
        if found is None:
            place = self._find(path)
            found = self._indexes[path] = place.offset // place.member.item_bytes
        return found

    def fields(self, *paths: str, size: int | None = None) -> struct.Struct:
        """Return what reads and writes these fields, in the order of the struct; all others are skipped, or zeros.

        An array of bytes is one value, any other array as many as it has items; a struct is all of its fields.
        `size`: only so many bytes of the struct are there.
        """
        text, end = "=", 0
        for offset, code in itertools.chain.from_iterable(_flat(self._find(path)) for path in paths):
            if offset < end:
                raise HeaderError(f"the fields of struct {self.name} are named out of order: {', '.join(paths)}")
            text += (f"{offset - end}x" if offset > end else "") + code
            end = offset + struct.calcsize(f"={code}")
        return struct.Struct(f"{text}{(self.size if size is None else size) - end}x")

    def whole(self) -> struct.Struct:
        """Return what reads and writes all fields."""
        return self.fields(*self._members)

    def _find(self, path: str) -> _Place:
        if path not in self._places:
            self._places[path] = self._walk(path)
        return self._places[path]

    def _walk(self, path: str) -> _Place:
        layout, offset, place = self, 0, None
        for step in path.split("."):
            found = _STEP.fullmatch(step)
            if layout is None or not found or found[1] not in layout._members:
                raise HeaderError(f"struct {self.name} has no field {path}")
            member = layout._members[found[1]]
            count = functools.reduce(operator.mul, member.dimensions, 1)
            offset += member.offset
            for index, dimension in zip(map(int, re.findall(r"\d+", found[2])), member.dimensions, strict=False):
                count //= dimension
                offset += index * count * member.item_bytes
            place, layout = _Place(offset, member, count), member.inner  # type: ignore[assignment]
        assert place is not None  # noqa: S101 - a path has at least one step
        return place


def _flat(place: _Place) -> Iterator[tuple[int, str]]:
    """Offsets and formats of the integers at a place."""
    member = place.member
    if member.inner is None:
        yield (
            place.offset,
            f"{place.count}s" if member.code == "B" and member.dimensions else f"{place.count}{member.code}",
        )
        return
    for index in range(place.count):
        for name in member.inner._members:
            for offset, code in _flat(member.inner._find(name)):
                yield place.offset + index * member.item_bytes + offset, code


@dataclass
class Header:
    """A header, with what it includes."""

    path: str
    _numbers: dict[str, str] = field(default_factory=dict)
    _structs: dict[str, str] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """Return what a #define or a value of an enum is."""
        if name not in self._numbers:
            raise HeaderError(f"{self.path} has no number {name}")
        return self._value(self._numbers[name])

    def struct(self, name: str) -> Layout:
        """Return the layout of a struct."""
        if name not in self._structs:
            raise HeaderError(f"{self.path} has no struct {name}")
        members: dict[str, _Member] = {}
        end, alignment = 0, 1
        for line in re.sub(r"^#.*$", "", self._structs[name], flags=re.MULTILINE).split(";"):
            text = " ".join(line.split())
            if not text:
                continue
            found = _MEMBER.fullmatch(text)
            if not found or (found[2] and found[2] not in _INTEGERS):
                raise HeaderError(f"{self.path}: struct {name}: {text!r} is not a member that is understood")
            inner = self.struct(found[1]) if found[1] else None
            dimensions = tuple(map(self._value, re.findall(r"\[([^\]]+)\]", found[4])))
            member = _Member(0, _INTEGERS.get(found[2] or "", ""), inner, dimensions)
            needs = inner.alignment if inner else member.item_bytes
            offset = -(-end // needs) * needs
            members[found[3]] = _Member(offset, member.code, inner, dimensions)
            end = offset + member.item_bytes * functools.reduce(operator.mul, dimensions, 1)
            alignment = max(alignment, needs)
        return Layout(name, members, -(-end // alignment) * alignment, alignment)

    def add(self, text: str) -> None:
        """Take what a header's text defines."""
        text = _COMMENT.sub("", text)
        self._numbers |= {name: value.strip() for name, value in _DEFINE.findall(text)}
        for body in _ENUM.findall(text):
            before = "-1"
            for item in filter(None, map(str.strip, body.split(","))):
                name, _, value = (part.strip() for part in item.partition("="))
                before = value or f"({before}) + 1"
                self._numbers[name] = before
        self._structs |= dict(_STRUCT.findall(text))

    def _value(self, text: str) -> int:
        """Calculate an expression of numbers: decimal, octal, hexadecimal, and names of other numbers."""
        plain = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]*\b", r"\1", text)
        plain = re.sub(r"\b0(?=\d)", "0o", plain)
        try:
            return self._calculated(ast.parse(plain.strip(), mode="eval").body)
        except SyntaxError:
            raise HeaderError(f"{self.path}: {text!r} is not a number that is understood") from None

    def _calculated(self, node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(value)):
                return value
            case ast.Name(id=name):
                return self.number(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._calculated(operand)
            case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _OPERATORS:
                return _OPERATORS[type(kind)](self._calculated(left), self._calculated(right))
            case _:
                raise HeaderError(f"{self.path}: {ast.unparse(node)!r} is not a number that is understood")


@functools.cache
def header(path: str) -> Header:
    """Read a header of the agent's, as programs include it: "kernel/bpf/syscalls.h"."""
    found = Header(path)
    _read(found, path, set())
    return found


def _read(into: Header, path: str, done: set[str]) -> None:
    if path in done:
        return
    done.add(path)
    text = (PACKAGE / path).read_text(encoding="utf-8")
    for included in _INCLUDE.findall(text):
        _read(into, included, done)
    into.add(text)
