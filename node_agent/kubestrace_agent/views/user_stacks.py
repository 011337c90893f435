"""Stacks of programs as the views show them: words, the innermost function first. Used by the views that tell stacks.

Words in brackets are no functions: they say why there is none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from kubestrace_agent.symbols.names import Question
from kubestrace_agent.symbols.naming import Place, Stack
from kubestrace_agent.symbols.unwind import Registers
from kubestrace_agent.text import safe
from kubestrace_agent.views.redaction import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubestrace_agent.symbols.frames import CodeMapping, UserFrame, UserStack
    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.views.redaction import Redaction

MOST_NAME = 120
UNKNOWN = "[not known]"
_NO_FILE = "[code of no file]"
# Addresses below are none: the kernel follows whatever stands where a frame pointer is expected.
_LEAST_ADDRESS = 4096
# For an address between two mappings the kernel names the file of the next one, with an offset below zero.
_LEAST_WRONG_OFFSET = 1 << 63
# _ZN, then lengths with names, as of C++ and of Rust; a Rust name ends with a hash.
_PART = re.compile(rb"([1-9][0-9]{0,2})")
_HASH = re.compile(rb"h[0-9a-f]{16}")
# Processes of one container whose mappings are remembered.
_MAX_PROCESSES = 64


class Mapped:
    """What processes had mapped when it was asked last: one that has ended says nothing any more."""

    def __init__(self) -> None:
        self._known: dict[int, Sequence[CodeMapping]] = {}

    def reader(self, ask: Callable[[int], Sequence[CodeMapping]]) -> Callable[[int], Sequence[CodeMapping]]:
        """Return what gives the mappings of a process, and asks for each once."""
        if len(self._known) > _MAX_PROCESSES:
            self._known.clear()
        asked: set[int] = set()

        def mappings(pid: int) -> Sequence[CodeMapping]:
            if pid not in asked:
                asked.add(pid)
                self._known[pid] = ask(pid) or self._known.get(pid, ())
            return self._known[pid]

        return mappings


def question(owner: Owner, pid: int, inner_pid: int, stack: UserStack, mappings: Sequence[CodeMapping]) -> Question:
    """Return the question what functions a stack is made of; `pid` as the host numbers it."""
    frames = code_frames(stack.user)
    registers = None
    if stack.words and frames:
        registers = Registers(frames[0].address, stack.stack_pointer, stack.frame_pointer, stack.words)
    return Question(Stack(owner, pid, inner_pid, frames, mappings, registers))


def code_frames(frames: Sequence[UserFrame]) -> tuple[UserFrame, ...]:
    """Leave out what cannot be the address of code."""
    return tuple(each for each in frames if each.address >= _LEAST_ADDRESS and each.offset < _LEAST_WRONG_OFFSET)


@lru_cache(maxsize=4096)
def user_word(place: Place, redaction: Redaction = DEFAULT) -> str:
    """Name one frame: fsync+0x10 (libc.so.6), app+0x1139 (build id 5f0c...) where no symbol is known."""
    mapping, build_id, name = place.mapping, place.frame.build_id, place.name
    path = mapping.path.removesuffix(b" (deleted)") if mapping else b""
    # A file's name may be hidden by its folder.
    file = safe(redaction.path(path).rpartition(b"/")[2], MOST_NAME)
    if name:
        # Of generated code a name may have the path of its source.
        function = safe(redaction.text(plain(name.text)), MOST_NAME)
        return f"{function}+{name.plus:#x}" + (f" ({file})" if file else "")
    if build_id:
        return f"{file or '[file]'}+{place.offset:#x} (build id {build_id.hex()})"
    if file:
        return f"{file}+{place.offset:#x}"
    return _NO_FILE if mapping else UNKNOWN


def function_word(place: Place, redaction: Redaction = DEFAULT) -> str:
    """Name a frame's function alone, as one for all places in it: fsync (libc.so.6)."""
    word = user_word(place, redaction)
    return re.sub(r"\+0x[0-9a-f]+(?= \(|$)", "", word) if place.name else word


def plain(name: bytes) -> bytes:
    """Give a C++ or Rust name as it is written where it is made of names only: a::b::c; others as they are."""
    parts, at = [], 4 if name.startswith(b"_ZNK") else 3 if name.startswith(b"_ZN") else 0
    while at and (length := _PART.match(name, at)):
        end = length.end() + int(length[1])
        parts.append(name[length.end() : end])
        at = end
    if not parts or name[at : at + 1] != b"E" or at > len(name):
        return name
    if _HASH.fullmatch(parts[-1]):
        parts.pop()
    return b"::".join(parts)


def bounded(words: list[str], most: int) -> list[str]:
    """Leave out the outermost words beyond so many, and say so."""
    if len(words) <= most:
        return words
    return [*words[: most - 1], f"[{len(words) - most + 1} more]"]
