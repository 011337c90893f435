"""Searching names with an automaton, in time that is bounded whatever the expression. Pure; used by expressions.py.

Thompson's construction: an expression becomes states, and a name moves through all of them at once, letter by letter.
What was worked out for one name is kept for the next. The work is counted, so the bound does not depend on the machine.
"""

import enum
from dataclasses import dataclass
from typing import NamedTuple

# States of one expression once its repetitions are written out.
MAX_STATES = 2000
# Visits of states, for all expressions that share a budget: some tenths of a second.
MAX_VISITS = 500_000


@dataclass(frozen=True)
class Letters:
    """One letter of a set, or one that is not in it."""

    members: frozenset[str]
    negative: bool = False

    def have(self, letter: str) -> bool:
        """Tell whether a letter is meant."""
        return (letter in self.members) != self.negative


class Place(enum.Enum):
    """A place between two letters."""

    START = enum.auto()
    END = enum.auto()
    WORD_EDGE = enum.auto()
    NO_WORD_EDGE = enum.auto()
    WORD_START = enum.auto()
    WORD_END = enum.auto()


@dataclass(frozen=True)
class Sequence:
    """One after the other."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Choice:
    """Any one of these."""

    branches: "tuple[Node, ...]"


@dataclass(frozen=True)
class Repeat:
    """So many times; no `most`: without end."""

    part: "Node"
    least: int
    most: int | None


Node = Letters | Place | Sequence | Choice | Repeat


class Budget:
    """The work that some expressions may cost together."""

    def __init__(self, visits: int = MAX_VISITS) -> None:
        self._left = visits

    def spend(self, visits: int) -> None:
        """Count work. Raises OverflowError when there was too much of it."""
        self._left -= visits
        if self._left < 0:
            raise OverflowError("it takes too long to match; write the names, or a simpler expression")


class _State(NamedTuple):
    """Goes on to `after`: past a letter, at a place, or both freely (neither is given)."""

    letters: Letters | None
    place: Place | None
    after: tuple[int, ...]


# The state that has matched, and a move that ends the search.
_MATCH = 0
_FOUND = -1


class Automaton:
    """One compiled expression."""

    def __init__(self, root: Node, budget: Budget) -> None:
        """Raises OverflowError when it would have too many states."""
        self._budget = budget
        self._states = [_State(None, None, ())]
        self._start = self._add(root, _MATCH)
        # The sets of states that were met, by their number, and where each letter leads from them.
        self._sets: list[frozenset[int]] = []
        self._numbers: dict[frozenset[int], int] = {}
        self._moves: dict[tuple[int, str, str], int] = {}

    def search(self, name: str) -> bool:
        """Tell whether a part of the name matches. Raises OverflowError when that takes too long."""
        at, before = self._number(frozenset()), ""
        for letter in (*name, ""):
            move = at, _kind(before), letter
            found = self._moves.get(move)
            if found is None:
                found = self._moves[move] = self._move(self._sets[at], before, letter)
            if found == _FOUND:
                return True
            at, before = found, letter
        return False

    def _move(self, states: frozenset[int], before: str, letter: str) -> int:
        """Return where a letter leads; the search may begin at any letter, and "" is the end of the name."""
        reached = self._closure({*states, self._start}, before, letter)
        if _MATCH in reached:
            return _FOUND
        known = ((self._states[each].letters, self._states[each].after) for each in reached)
        return self._number(
            frozenset(
                target for letters, after in known if letters and letter and letters.have(letter) for target in after
            )
        )

    def _closure(self, states: set[int], before: str, letter: str) -> set[int]:
        """Return the states that are reached without a letter."""
        reached, waiting = set(states), list(states)
        while waiting:
            state = self._states[waiting.pop()]
            if state.letters is None and (state.place is None or _is_at(state.place, before, letter)):
                new = set(state.after) - reached
                reached |= new
                waiting.extend(new)
        self._budget.spend(len(reached))
        return reached

    def _number(self, states: frozenset[int]) -> int:
        number = self._numbers.get(states)
        if number is None:
            number = self._numbers[states] = len(self._sets)
            self._sets.append(states)
        return number

    # Construction: each node is built in front of the state that follows it.

    def _state(self, after: tuple[int, ...], letters: Letters | None = None, place: Place | None = None) -> int:
        if len(self._states) >= MAX_STATES:
            raise OverflowError("it is too large once its repetitions are written out")
        self._states.append(_State(letters, place, after))
        return len(self._states) - 1

    def _add(self, node: Node, after: int) -> int:
        """Add a node that goes on to a state; return the node's own first state."""
        match node:
            case Letters():
                return self._state((after,), letters=node)
            case Place():
                return self._state((after,), place=node)
            case Sequence():
                for part in reversed(node.parts):
                    after = self._add(part, after)
                return after
            case Choice():
                return self._state(tuple(self._add(branch, after) for branch in node.branches))
            case Repeat():
                return self._repeat(node, after)

    def _repeat(self, node: Repeat, after: int) -> int:
        if node.most is None:
            loop = self._state(())
            self._states[loop] = _State(None, None, (self._add(node.part, loop), after))
            first = loop
        else:
            first = after
            for _ in range(node.most - node.least):
                first = self._state((self._add(node.part, first), after))
        for _ in range(node.least):
            # A part without states of its own would never reach the bound.
            first = self._add(node.part, self._state((first,)))
        return first


def _kind(letter: str) -> str:
    """Return what places see of the letter before them."""
    return "" if not letter else "w" if _is_word(letter) else "-"


def _is_word(letter: str) -> bool:
    return letter == "_" or (letter.isascii() and letter.isalnum())


def _is_at(place: Place, before: str, letter: str) -> bool:
    word_before, word_after = bool(before) and _is_word(before), bool(letter) and _is_word(letter)
    match place:
        case Place.START:
            return not before
        case Place.END:
            return not letter
        case Place.WORD_EDGE:
            return word_before != word_after
        case Place.NO_WORD_EDGE:
            return word_before == word_after
        case Place.WORD_START:
            return word_after and not word_before
        case Place.WORD_END:
            return word_before and not word_after
