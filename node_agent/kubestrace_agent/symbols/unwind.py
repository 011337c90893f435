"""Walks up a program's stack by what its files say of their frames. Pure. Used by naming.

The kernel follows frame pointers, which most programs do not have: it leaves out who called the function that made the
call, and ends early. What is missing is found in the words that stood at the top of the stack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubestrace_agent.symbols.cfi import Row

_MOST_FRAMES = 40
_WORD = 8


@dataclass(frozen=True, slots=True)
class Registers:
    """As they were when the call returned, and the words from the stack pointer on."""

    instruction_pointer: int
    stack_pointer: int
    frame_pointer: int
    words: Sequence[int]

    def word(self, address: int) -> int | None:
        """Give a word of the stack, if it was read."""
        at, rest = divmod(address - self.stack_pointer, _WORD)
        return self.words[at] if not rest and 0 <= at < len(self.words) else None


class Recorded:
    """The words of a stack, and which of them a walk has looked at: where these are the same, so is the walk."""

    def __init__(self, registers: Registers) -> None:
        self._registers = registers
        self._used: dict[int, int] = {}

    def word(self, address: int) -> int | None:
        """Give a word of the stack, if it was read."""
        found = self._registers.word(address)
        if found is not None:
            self._used[(address - self._registers.stack_pointer) // _WORD] = found
        return found

    @property
    def used(self) -> dict[int, int]:
        """The words that were looked at, by their places from the stack pointer on."""
        return self._used


def walk(
    registers: Registers,
    row_of: Callable[[int, bool], Row | None],
    is_code: Callable[[int], bool],
    word: Callable[[int], int | None] | None = None,
) -> tuple[list[int], bool]:
    """Give the addresses from the inside out, and whether the outermost frame was reached.

    row_of: the row of an address; the second argument is true for the first, which is no return address. `word`: what
    gives the words of the stack, as `registers.word` does.
    """
    word = word or registers.word
    found = [registers.instruction_pointer]
    stack, frame = registers.stack_pointer, registers.frame_pointer
    while len(found) < _MOST_FRAMES:
        row = row_of(found[-1], len(found) == 1)
        if row is not None:
            if row.return_offset is None:
                return found, True
            above = (frame if row.by_frame_pointer else stack) + row.cfa_offset
            back = word(above + row.return_offset)
            saved = frame if row.frame_pointer_offset is None else word(above + row.frame_pointer_offset)
        else:  # of no file, or of one that says nothing: compiled by the program itself, with a frame pointer or not
            above, back, saved = frame + 2 * _WORD, word(frame + _WORD), word(frame)
        if back is None or saved is None or above <= stack or not is_code(back):
            return found, False
        found.append(back)
        stack, frame = above, saved
    return found, False


def joined(walked: Sequence[int], complete: bool, followed: Sequence[int]) -> list[int]:
    """Join what was walked with what the kernel has followed: that goes on where the walk ran out of words."""
    if complete:
        return list(walked)
    for at in range(len(walked) - 1, 0, -1):
        if walked[at] in followed:
            return [*walked[: at + 1], *followed[followed.index(walked[at]) + 1 :]]
    return [*walked, *followed[1:]] if len(walked) == 1 else list(walked)
