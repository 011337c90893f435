"""Addresses of a program, and the code that it has mapped. Used by naming, and by views that tell stacks."""

from dataclasses import dataclass
from typing import NamedTuple


class CodeMapping(NamedTuple):
    """Code in a process's memory: of a file, from a place in it (bytes), or of none (an empty path)."""

    start: int
    end: int
    offset: int
    path: bytes


class UserFrame(NamedTuple):
    """An address in a program, and where it is in which file; no build id: not known."""

    address: int
    build_id: bytes = b""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class UserStack:
    """Who made a call, as it was when the call returned: frames by their frame pointers, innermost first.

    The words stand from the stack pointer on, to find return addresses by: never to be shown.
    """

    user: tuple[UserFrame, ...]
    stack_pointer: int
    frame_pointer: int
    words: tuple[int, ...]
