"""Call frame information: where a function's caller stands on the stack (LSB's .eh_frame, DWARF 5 section 6.4). Pure.

Of x86-64 files, whose compilers write it for every function, with a frame pointer or without. As with all of an ELF
file nothing is believed: what is not understood, or not there, is a CfiError. Used by naming.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Protocol

# DWARF's numbers of registers.
_FRAME_POINTER, _STACK_POINTER, _RETURN = 6, 7, 16
# Of a CIE or FDE: those of compilers have some dozens of bytes.
_MOST_BYTES = 1 << 14
_MOST_STATES = 64
# x86-64 has 67 in DWARF's count. Each remembered state is a copy of all.
_MOST_REGISTERS = 128
# The search table of .eh_frame_hdr as every linker writes it: pairs of 4 bytes, relative to the section.
_HEADER = b"\x01\x1b\x03\x3b"
_PAIR = struct.Struct("<ii")
# DW_EH_PE: size and sign of a pointer's value by its low four bits; relative to where it stands.
_POINTERS = {0x0: "<Q", 0x3: "<I", 0x4: "<Q", 0xB: "<i", 0xC: "<q"}
_RELATIVE = 0x10
# DW_CFA_advance_loc1, 2 and 4; and from here on the CFA is defined.
_ADVANCES = {0x02: "<B", 0x03: "<H", 0x04: "<I"}
_DEFINITIONS = 0x0C
_BY_EXPRESSION = -1


class CfiError(Exception):
    """Nothing that can be used."""


class Code(Protocol):
    """An ELF file, by the addresses that its segments ask for."""

    def frame_header(self) -> int:
        """Give the address of .eh_frame_hdr. Raises CfiError."""

    def at_address(self, address: int, length: int) -> bytes:
        """Read what stands at an address, which may be less."""


@dataclass(frozen=True, slots=True)
class Row:
    """How to find the caller: its stack pointer (the CFA) is a register of the callee plus an offset.

    Offsets from the CFA: of the return address, and of the caller's frame pointer, None where that is unchanged.
    """

    by_frame_pointer: bool
    cfa_offset: int
    frame_pointer_offset: int | None = None
    return_offset: int | None = -8


class _Bytes:
    """A cursor. Raises CfiError at its end."""

    def __init__(self, data: bytes, address: int) -> None:
        self.data = data
        self.at = 0
        self._address = address

    def left(self) -> bool:
        return self.at < len(self.data)

    def take(self, length: int) -> bytes:
        if length < 0 or self.at + length > len(self.data):
            raise CfiError("cut short")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, form: str) -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def uleb(self) -> int:
        value = shift = 0
        while shift < 64:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
        raise CfiError("a number without an end")

    def sleb(self) -> int:
        begin = self.at
        value = self.uleb()
        bits = 7 * (self.at - begin)
        return value - (1 << bits) if value >> (bits - 1) else value

    def pointer(self, encoding: int) -> int:
        address, form = self._address + self.at, _POINTERS.get(encoding & 15)
        if form is None or encoding & 0x60:
            raise CfiError("a pointer of another kind")
        return (self.number(form) + (address if encoding & _RELATIVE else 0)) % 2**64


@dataclass
class _Common:
    """A CIE: what some functions have in common."""

    code_step: int
    data_step: int
    pointers: int
    instructions: bytes


def row_at(code: Code, address: int) -> Row:
    """Give the row that holds at an address of a file. Raises CfiError."""
    entry_at = _entry_at(code, address)
    entry, place = _entry(code, entry_at)
    common_at = place - entry.number("<I")
    common = _common(_entry(code, common_at)[0])
    start = entry.pointer(common.pointers)
    length = entry.pointer(common.pointers & 15)
    if not start <= address < start + length:
        raise CfiError("no function is here")
    entry.take(entry.uleb())
    rules = _Rules(common, start)
    rules.run(common.instructions, None)
    rules.begin()
    rules.run(entry.data[entry.at :], address)
    return rules.row()


def _entry_at(code: Code, address: int) -> int:
    """Search the table for the last function that does not begin behind an address."""
    header_at = code.frame_header()
    head = code.at_address(header_at, 12)
    if head[:4] != _HEADER or len(head) < 12:
        raise CfiError("no table as linkers write it")
    low, high = 0, struct.unpack_from("<I", head, 8)[0]
    found = None
    while low < high:
        middle = (low + high) // 2
        pair = code.at_address(header_at + 12 + 8 * middle, 8)
        if len(pair) < 8:
            high = middle
            continue
        start, entry = _PAIR.unpack(pair)
        if header_at + start <= address:
            low, found = middle + 1, entry
        else:
            high = middle
    if found is None:
        raise CfiError("no function is here")
    return header_at + int(found)


def _entry(code: Code, at: int) -> tuple[_Bytes, int]:
    """A CIE's or FDE's bytes behind its length, and where they stand."""
    head = code.at_address(at, 4)
    length = int.from_bytes(head, "little")
    if len(head) < 4 or not 4 <= length <= _MOST_BYTES:
        raise CfiError("no entry of a known kind")
    return _Bytes(code.at_address(at + 4, length), at + 4), at + 4


def _common(entry: _Bytes) -> _Common:
    if entry.number("<I") != 0:
        raise CfiError("no common entry")
    version = entry.take(1)[0]
    letters = entry.data[entry.at :].partition(b"\0")[0]
    entry.take(len(letters) + 1)
    code_step, data_step = entry.uleb(), entry.sleb()
    if (entry.take(1)[0] if version == 1 else entry.uleb()) != _RETURN:
        raise CfiError("of another machine")
    pointers = 0
    if letters.startswith(b"z"):
        extra = _Bytes(entry.take(entry.uleb()), 0)
        for sign in letters[1:].decode("latin-1"):
            if sign == "R":
                pointers = extra.take(1)[0]
            elif sign == "P":
                extra.number(_POINTERS.get(extra.take(1)[0] & 15, "<Q"))
            elif sign == "L":
                extra.take(1)
    elif letters:
        raise CfiError("an unknown augmentation")
    return _Common(code_step, data_step, pointers, entry.data[entry.at :])


class _Rules:
    """The machine that walks through a function's instructions until those of the wanted address are reached."""

    def __init__(self, common: _Common, start: int) -> None:
        self._common = common
        self._at = start
        # The register and offset that give the CFA, then offsets from it by register; None: undefined.
        self._cfa = (_STACK_POINTER, 8)
        self._saved: dict[int, int | None] = {}
        self._first: dict[int, int | None] = {}
        self._states: list[tuple[tuple[int, int], dict[int, int | None]]] = []

    def begin(self) -> None:
        """What the common instructions have said is what `restore` restores."""
        self._first = dict(self._saved)

    def row(self) -> Row:
        register, offset = self._cfa
        if register not in {_FRAME_POINTER, _STACK_POINTER}:
            raise CfiError("the frame is found by another register")
        frame = Row(register == _FRAME_POINTER, offset, self._saved.get(_FRAME_POINTER))
        return replace(frame, return_offset=self._saved.get(_RETURN, -8))

    def run(self, instructions: bytes, until: int | None) -> None:
        code = _Bytes(instructions, 0)
        while code.left():
            byte = code.take(1)[0]
            kind, low = byte & 0xC0, byte & 0x3F
            if kind == 0x40:
                self._at += low * self._common.code_step
            elif kind == 0x80:
                self._saved[low] = code.uleb() * self._common.data_step
            elif kind == 0xC0:
                self._restore(low)
            elif low in _ADVANCES:
                self._at += code.number(_ADVANCES[low]) * self._common.code_step
            elif low < _DEFINITIONS:
                self._move(low, code)
            else:
                self._define(low, code)
            if len(self._saved) > _MOST_REGISTERS:
                raise CfiError("more registers than there are")
            if until is not None and self._at > until:
                return

    def _restore(self, register: int) -> None:
        self._saved.pop(register, None)
        if register in self._first:
            self._saved[register] = self._first[register]

    def _move(self, kind: int, code: _Bytes) -> None:
        """DW_CFA_nop to DW_CFA_restore_state: registers, and the states that are remembered."""
        match kind:
            case 0x00:
                pass
            case 0x05:
                register = code.uleb()
                self._saved[register] = code.uleb() * self._common.data_step
            case 0x06:
                self._restore(code.uleb())
            case 0x07:
                self._saved[code.uleb()] = None
            case 0x08:
                self._saved.pop(code.uleb(), None)
            case 0x0A if len(self._states) < _MOST_STATES:
                self._states.append((self._cfa, dict(self._saved)))
            case 0x0B if self._states:
                self._cfa, self._saved = self._states.pop()
            case _:
                raise CfiError("an instruction that no compiler writes here")

    def _define(self, kind: int, code: _Bytes) -> None:
        """DW_CFA_def_cfa and its forms."""
        match kind:
            case 0x0C:
                self._cfa = code.uleb(), code.uleb()
            case 0x0D:
                self._cfa = code.uleb(), self._cfa[1]
            case 0x0E:
                self._cfa = self._cfa[0], code.uleb()
            case _:
                self._extend(kind, code)

    def _extend(self, kind: int, code: _Bytes) -> None:
        """DW_CFA_def_cfa_expression and those behind it: expressions, and forms with signed offsets."""
        step = self._common.data_step
        match kind:
            case 0x0F:  # as in the procedure linkage table
                code.take(code.uleb())
                self._cfa = _BY_EXPRESSION, 0
            case 0x10 | 0x16:
                if code.uleb() in {_FRAME_POINTER, _RETURN}:
                    raise CfiError("a register is found by an expression")
                code.take(code.uleb())
            case 0x11:
                register = code.uleb()
                self._saved[register] = code.sleb() * step
            case 0x12:
                self._cfa = code.uleb(), code.sleb() * step
            case 0x13:
                self._cfa = self._cfa[0], code.sleb() * step
            case 0x2E:
                code.uleb()
            case _:
                raise CfiError("an instruction that no compiler writes")
