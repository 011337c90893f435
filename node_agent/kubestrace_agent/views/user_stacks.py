"""Stacks of programs as the views show them: words, the innermost function first. Used by the views that tell stacks.

Words in brackets are no functions: they say why there is none.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from kubestrace_agent.symbols.names import Question
from kubestrace_agent.symbols.naming import Place, Stack
from kubestrace_agent.symbols.unwind import Registers
from kubestrace_agent.text import safe
from kubestrace_agent.views.redaction import DEFAULT

if TYPE_CHECKING:
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
# Stacks whose words are remembered.
_MOST_STACKS = 4096
# Processes of one container whose mappings are remembered.
_MAX_PROCESSES = 64


# Gives the code that a process has mapped now, of which these are frames.
Ask = Callable[[int, Sequence["UserFrame"]], Sequence["CodeMapping"]]


class Mapped:
    """What processes had mapped when it was asked last: one that has ended says nothing any more."""

    def __init__(self) -> None:
        self._known: dict[int, Sequence[CodeMapping]] = {}

    def reader(self, ask: Ask) -> Ask:
        """Return what gives the mappings of a process, and asks for them."""

        def mappings(pid: int, frames: Sequence[UserFrame]) -> Sequence[CodeMapping]:
            found = ask(pid, frames) or self._known.get(pid, ())
            if len(self._known) > _MAX_PROCESSES:
                self._known.clear()
            self._known[pid] = found
            return found

        return mappings


def question(owner: Owner, pid: int, inner_pid: int, stack: UserStack, ask: Ask) -> Question:
    """Return the question what functions a stack is made of; `pid` as the host numbers it."""
    frames = code_frames(stack.user)
    mappings = ask(pid, frames)
    registers = None
    if stack.words and frames:
        registers = Registers(frames[0].address, stack.stack_pointer, stack.frame_pointer, stack.words)
    return Question(Stack(owner, pid, inner_pid, frames, mappings, registers))


def code_frames(frames: Sequence[UserFrame]) -> tuple[UserFrame, ...]:
    """Leave out what cannot be the address of code."""
    return tuple(each for each in frames if each.address >= _LEAST_ADDRESS and each.offset < _LEAST_WRONG_OFFSET)


def user_word(place: Place, redaction: Redaction = DEFAULT) -> str:
    """Name one frame: fsync+0x10 (libc.so.6), app+0x1139 (build id 5f0c...) where no symbol is known."""
    mapping, build_id, name = place.mapping, place.frame.build_id, place.name
    file = _file_word(place.path, redaction)
    if name:
        return f"{_name_word(name.text, redaction)}+{name.plus:#x}" + (f" ({file})" if file else "")
    if build_id:
        return f"{file or '[file]'}+{place.offset:#x} (build id {build_id.hex()})"
    if file:
        return f"{file}+{place.offset:#x}"
    return _NO_FILE if mapping else UNKNOWN


def function_word(place: Place, redaction: Redaction = DEFAULT) -> str:
    """Name a frame's function alone, as one for all places in it: fsync (libc.so.6)."""
    if not place.name:
        return user_word(place, redaction)
    file = _file_word(place.path, redaction)
    return _name_word(place.name.text, redaction) + (f" ({file})" if file else "")


_Word = Callable[["Place", "Redaction"], str]


class _Words:
    """Words of whole stacks: most stacks are made of the very same places, again and again."""

    def __init__(self) -> None:
        # By what names places, and the id() of each; the places themselves are held, so that no other has its id().
        self._known: OrderedDict[Hashable, tuple[Sequence[Place], tuple[str, ...]]] = OrderedDict()

    def of(self, places: Sequence[Place], word: _Word, redaction: Redaction, most: int) -> tuple[str, ...]:
        """Name places, the innermost first; of more than `most` those."""
        key = word, redaction, most, *map(id, places)
        found = self._known.pop(key, None)
        if found is None:
            found = tuple(places), tuple(bounded([word(place, redaction) for place in places], most))
            if len(self._known) >= _MOST_STACKS:
                self._known.popitem(last=False)
        self._known[key] = found
        return found[1]


_words = _Words()


def words(places: Sequence[Place], word: _Word, redaction: Redaction, most: int) -> tuple[str, ...]:
    """Name the places of a stack by `user_word` or `function_word`; of more than `most` the innermost, and how many."""
    return _words.of(places, word, redaction, most)


# A node's programs share most of their files and functions, and each process has them at addresses of its own.
@lru_cache(maxsize=4096)
def _file_word(path: bytes, redaction: Redaction) -> str:
    """Name a file; its name may be hidden by its folder."""
    return safe(redaction.path(path.removesuffix(b" (deleted)")).rpartition(b"/")[2], MOST_NAME)


@lru_cache(maxsize=16384)
def _name_word(name: bytes, redaction: Redaction) -> str:
    """Name a function; of generated code a name may have the path of its source."""
    return safe(redaction.text(plain(name)), MOST_NAME)


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
