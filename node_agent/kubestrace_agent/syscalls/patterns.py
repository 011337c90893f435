"""Which system calls a session asks for, in strace's words. Pure.

`name`, `%class`, `/regex`, `all`, `none`, each of them after `?`, which makes it no error that there is no such call,
and after `!`, which takes away: what is selected is the union of the others (all calls when there are none) without
those. Names without % that only a class has (`file`) are not classes here.
"""

import difflib
import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubestrace_agent.syscalls import tables
from kubestrace_agent.syscalls.numbers import UNKNOWN_NUMBERS, SyscallKey, abi_names, names
from kubestrace_protos.v1 import expressions
from kubestrace_protos.v1.automata import Budget

_MAX_PATTERN = 256
# As the schema of TraceSession has it; a wrong name costs a search for the nearest.
_MAX_PATTERNS = 128
# Stands for the calls that no table knows, as `all` has them too; no call has this name.
_OTHERS = ""
# strace's short form.
_CLASS_ALIASES = {"net": "network"}


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


class _WrongPatternError(Exception):
    """One pattern is wrong; the message is its problem."""


class _NothingFoundError(_WrongPatternError):
    """There is no such call or class; after a `?` that is fine."""


def parse_patterns(patterns: Sequence[str], architecture: str) -> Selection:
    """Patterns for a machine ("x86_64", "aarch64"); none: all. Raises SyscallPatternError.

    Takes a bounded time, some tenths of a second at most, and none for patterns that were parsed lately.
    """
    if len(patterns) > _MAX_PATTERNS:
        raise SyscallPatternError([f"{len(patterns)} syscall patterns are given, and {_MAX_PATTERNS} may be."])
    if any(len(pattern) > _MAX_PATTERN for pattern in patterns):
        raise SyscallPatternError([f"A syscall pattern is longer than {_MAX_PATTERN} characters."])
    answer = _parsed(tuple(patterns), architecture)
    if isinstance(answer, tuple):
        raise SyscallPatternError(list(answer))
    return answer


@functools.lru_cache(maxsize=256)
def _parsed(patterns: tuple[str, ...], architecture: str) -> Selection | tuple[str, ...]:
    """Return what is selected, or the problems."""
    # All expressions of a session together.
    budget = Budget()
    wanted: set[str] = set()
    unwanted: set[str] = set()
    problems = []
    for pattern in patterns:
        negative = pattern.startswith("!")
        try:
            (unwanted if negative else wanted).update(_matching(pattern[negative:].strip(), pattern, budget))
        except _WrongPatternError as error:
            problems.append(str(error))
    everything = _all_names() | {_OTHERS}
    if all(pattern.startswith("!") for pattern in patterns):
        wanted = set(everything)
    chosen = wanted - unwanted
    # Of every machine: a session may name what this one lacks.
    if not chosen and not problems:
        problems.append("The patterns select no system call.")
    if problems:
        return tuple(problems)
    return Selection(None if chosen == everything else frozenset(_keys_of(chosen, architecture)))


def _keys_of(chosen: set[str], architecture: str) -> Iterable[SyscallKey]:
    for abi in abi_names(architecture):
        yield from (SyscallKey(abi, number) for number, name in names(abi).items() if name in chosen)
        if _OTHERS in chosen:
            yield SyscallKey(abi, UNKNOWN_NUMBERS)


@functools.cache
def _all_names() -> frozenset[str]:
    """Of every machine, so that a session may say `open` and run on nodes of any kind."""
    every = (tables.X86_64, tables.I386, tables.X32, tables.AARCH64, tables.ARM)
    return frozenset(name for table in every for name in table.values())


def _matching(word: str, pattern: str, budget: Budget) -> Iterable[str]:
    """The names that a pattern without its `!` stands for."""
    may_be_missing = word.startswith("?") and word != "?"
    word = word.removeprefix("?")
    if "," in word and not word.startswith("/"):
        number = "two" if word.count(",") == 1 else str(word.count(",") + 1)
        raise _WrongPatternError(f'"{pattern}" has a comma in it: write it as {number} items of the list.')
    try:
        return _found(word, pattern, budget)
    except _NothingFoundError:
        if may_be_missing:
            return set()
        raise


def _found(word: str, pattern: str, budget: Budget) -> Iterable[str]:
    if word == "all":
        return _all_names() | {_OTHERS}
    if word == "none":
        return set()
    if word.startswith("%"):
        return _class(word[1:], pattern)
    if word.startswith("/"):
        return _regex(word[1:], pattern, budget)
    if word in _all_names():
        return {word}
    if re.fullmatch(r"syscall_\d+", word):
        raise _WrongPatternError(f'"{pattern}": calls without a name cannot be chosen one by one.')
    raise _NothingFoundError(f'"{pattern}" names no system call{_nearest(word, _names_and_classes())}')


def _class(name: str, pattern: str) -> frozenset[str]:
    members = tables.CLASSES.get(_CLASS_ALIASES.get(name, name))
    if members is None:
        raise _NothingFoundError(f'"{pattern}" names no class of system calls{_nearest("%" + name, _class_words())}')
    return members


def _regex(text: str, pattern: str, budget: Budget) -> set[str]:
    try:
        expression = expressions.compiled(text, budget)
        # Sorted: a budget that is spent is spent at the same name everywhere.
        found = {name for name in sorted(_all_names()) if expression.search(name)}
    except (expressions.ExpressionError, OverflowError) as error:
        raise _WrongPatternError(expressions.problem(pattern, error)) from error
    if not found:
        raise _NothingFoundError(f'"{pattern}" matches no system call.')
    return found


def _class_words() -> list[str]:
    return ["%" + name for name in (*tables.CLASSES, *_CLASS_ALIASES)]


def _names_and_classes() -> list[str]:
    return sorted(_all_names()) + _class_words()


def _nearest(word: str, candidates: Sequence[str]) -> str:
    """The nearest names as the end of a sentence; classes count without their %, which is easily forgotten."""
    near = [name for name in candidates if name.lstrip("%") == word.lstrip("%")]
    near += [name for name in difflib.get_close_matches(word, candidates, n=3, cutoff=0.6) if name not in near]
    if not near:
        return "."
    quoted = [f'"{name}"' for name in near[:3]]
    return f"; did you mean {' or '.join(([', '.join(quoted[:-1])] if quoted[:-1] else []) + quoted[-1:])}?"
