"""System calls by name: tables per ABI, strace's classes, patterns as in TraceSession spec.syscalls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# SyscallKey.number of "every number of this ABI that no table knows", in selections only.
UNKNOWN_NUMBERS = -1


class SyscallKey(NamedTuple):
    """A system call as the kernel tells them apart."""

    # "x86_64", "i386", "x32", "aarch64", "arm".
    abi: str
    number: int


class SyscallPatternError(ValueError):
    """Patterns that name nothing. `problems`: one sentence for each, with the nearest names offered."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Selection:
    """What patterns select on one machine."""

    _keys: frozenset[SyscallKey] | None

    def keys(self) -> frozenset[SyscallKey] | None:
        """The calls selected; None is all. UNKNOWN_NUMBERS stands for numbers that no table knows."""
        return self._keys


def parse_patterns(patterns: Sequence[str], architecture: str) -> Selection:
    """Patterns in strace's words for a machine ("x86_64", "aarch64"); none: all. Raises SyscallPatternError."""
    raise NotImplementedError


def abi_names(machine: str) -> tuple[str, ...]:
    """ABIs of a machine as the programs number them: native, compat, x32."""
    return {"x86_64": ("x86_64", "i386", "x32"), "aarch64": ("aarch64", "arm")}[machine]


def names(abi: str) -> dict[int, str]:
    """Number -> name."""
    return {}
