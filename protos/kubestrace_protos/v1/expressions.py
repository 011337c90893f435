"""strace's regular expressions (POSIX extended ones, as glibc has them): parsing. Pure.

Operator and agents share this, so that both refuse the same expressions with the same words. An expression becomes a
small automaton (automata.py), which takes the same time whatever the expression: nothing here backtracks.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from kubestrace_protos.v1.automata import Automaton, Budget, Choice, Letters, Node, Place, Repeat, Sequence

_FOREIGN = r'POSIX expressions have no "(?" and no "\1"'
# glibc's RE_DUP_MAX.
_MAX_TIMES = 0x7FFF
_INTERVAL = re.compile(r"\{(\d*)(,?)(\d*)\}")


def _characters(first: int, last: int) -> frozenset[str]:
    return frozenset(map(chr, range(first, last + 1)))


_DIGIT, _UPPER, _LOWER = (_characters(ord(first), ord(last)) for first, last in ("09", "AZ", "az"))
_GRAPH = _characters(0x21, 0x7E)
_ALNUM = _DIGIT | _UPPER | _LOWER
_SPACE = frozenset("\t\n\v\f\r ")
# Of ASCII: names of system calls have no other letters.
_CLASSES = {
    "alnum": _ALNUM, "alpha": _UPPER | _LOWER, "blank": frozenset("\t "), "cntrl": _characters(0, 0x1F) | {"\x7f"},
    "digit": _DIGIT, "graph": _GRAPH, "lower": _LOWER, "print": _GRAPH | {" "}, "punct": _GRAPH - _ALNUM,
    "space": _SPACE, "upper": _UPPER, "xdigit": _DIGIT | frozenset("ABCDEFabcdef"),
}  # fmt: skip
_WORD = _ALNUM | {"_"}
# GNU's: sets of letters, and places between them.
_SETS = {
    r"\w": Letters(_WORD), r"\W": Letters(_WORD, negative=True),
    r"\s": Letters(_SPACE), r"\S": Letters(_SPACE, negative=True), ".": Letters(frozenset(), negative=True),
}  # fmt: skip
_PLACES = {
    "^": Place.START, "$": Place.END, r"\`": Place.START, r"\'": Place.END,
    r"\b": Place.WORD_EDGE, r"\B": Place.NO_WORD_EDGE, r"\<": Place.WORD_START, r"\>": Place.WORD_END,
}  # fmt: skip


class ExpressionError(ValueError):
    """This is no such expression, or one that is too large; the message is the end of a sentence."""


def expression_in(pattern: str) -> str | None:
    """Return the expression of an item of spec.syscalls, as in "!?/^open"; None for names and classes."""
    word = pattern.removeprefix("!").strip().removeprefix("?")
    return word[1:] if word.startswith("/") else None


def problem(pattern: str, error: Exception) -> str:
    """Return the sentence for an item of spec.syscalls whose expression cannot be used."""
    return f'"{pattern}" is not a usable regular expression: {error}.'


def problems(patterns: Iterable[str]) -> list[str]:
    """Return a sentence for each expression among the items of spec.syscalls that is none, whatever it would match."""
    found = []
    for pattern in patterns:
        expression = expression_in(pattern)
        try:
            if expression is not None:
                compiled(expression)
        except ExpressionError as error:
            found.append(problem(pattern, error))
    return found


def compiled(text: str, budget: Budget | None = None) -> Automaton:
    """Return what searches as strace would. Raises ExpressionError.

    `budget` bounds the work of several expressions together; without it each has one of its own.
    """
    try:
        return Automaton(_Parser(text).parsed(), budget or Budget())
    except OverflowError as error:
        raise ExpressionError(str(error)) from error


@dataclass
class _Group:
    """An open group: its branches, of which the last one grows."""

    branches: list[list[Node]] = field(default_factory=lambda: [[]])
    # What a repetition would repeat: nothing, "one" node, or what is "repeated" already.
    before: str = ""

    def add(self, node: Node, before: str) -> None:
        self.branches[-1].append(node)
        self.before = before

    def node(self) -> Node:
        return Choice(tuple(Sequence(tuple(branch)) for branch in self.branches))


class _Parser:
    """One pass over the text, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._groups = [_Group()]

    def parsed(self) -> Node:
        """Return the whole expression."""
        while self._at < len(self._text):
            self._part()
        if len(self._groups) > 1:
            raise ExpressionError('it lacks a ")"')
        return self._groups[0].node()

    def _part(self) -> None:
        group = self._groups[-1]
        word = self._take(2 if self._text[self._at] == "\\" else 1)
        if word in _PLACES:
            group.add(_PLACES[word], "")
        elif word in "*+?{":
            self._repetition(group, word)
        elif word == "(":
            self._groups.append(_Group())
        # Without a "(" it stands for itself.
        elif word == ")" and len(self._groups) > 1:
            self._groups.pop()
            self._groups[-1].add(group.node(), "one")
        elif word == "|":
            group.branches.append([])
            group.before = ""
        else:
            group.add(self._bracket() if word == "[" else _one(word), "one")

    def _take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += count
        return taken

    def _repetition(self, group: _Group, word: str) -> None:
        if self._text[self._at - 2 : self._at] == "(?":
            raise ExpressionError(_FOREIGN)
        if group.before == "repeated":
            raise ExpressionError("it repeats what is repeated already")
        if not group.before:
            raise ExpressionError(f'there is nothing before its "{word}" to be repeated')
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(word) or self._interval()
        group.add(Repeat(group.branches[-1].pop(), least, most), "repeated")

    def _interval(self) -> tuple[int, int | None]:
        match = _INTERVAL.match(self._text, self._at - 1)
        if match is None or not (match[1] or match[2]):
            raise ExpressionError(r'"{" does not begin an interval such as {2} or {1,3}; the character itself is "\{"')
        least = int(match[1] or 0)
        most = int(match[3]) if match[3] else None if match[2] else least
        if max(least, most or 0) > _MAX_TIMES or (most is not None and most < least):
            raise ExpressionError(f"{match[0]} is not a valid interval: write {{least,most}}, at most {_MAX_TIMES}")
        self._at = match.end()
        return least, most

    def _bracket(self) -> Letters:
        """Read [...] to its end: in it every character but - and ] stands for itself, and [:class:] for a set."""
        negative = self._text.startswith("^", self._at)
        self._at += negative
        found = self._member()
        while not self._text.startswith("]", self._at):
            found |= self._member()
        self._at += 1
        return Letters(found, negative=negative)

    def _member(self) -> frozenset[str]:
        if self._text.startswith("[:", self._at):
            name, end, _ = self._text[self._at + 2 :].partition(":]")
            if not end or name not in _CLASSES:
                raise ExpressionError(f'"[:{name[:20]}" does not begin a class; there are {", ".join(_CLASSES)}')
            self._at += len(name) + 4
            member = _CLASSES[name]
        else:
            first = last = self._character()
            if self._is_range():
                self._at += 1
                last = self._character()
            if last < first:
                raise ExpressionError(f'the range "{first}-{last}" ends before it begins')
            # Beyond ASCII only the ends are kept: no name has such letters.
            member = _characters(ord(first), min(ord(last), 0x7F)) | {first, last}
        if self._is_range():
            raise ExpressionError('a range in its "[" begins where another range or a class ends')
        return member

    def _is_range(self) -> bool:
        return self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at)

    def _character(self) -> str:
        if self._text.startswith(("[:", "[.", "[="), self._at):
            raise ExpressionError(f'"{self._text[self._at : self._at + 2]}" is not allowed there')
        character = self._take(1)
        if not character:
            raise ExpressionError('it lacks a "]"')
        if character == "\\":
            raise ExpressionError(
                r'in "[...]" a "\" is itself, and no name has one; classes are [:digit:], [:alnum:] ...'
            )
        return character


def _one(word: str) -> Letters:
    """Return one character, a set of them, or any."""
    if word in _SETS:
        return _SETS[word]
    if word == "\\":
        raise ExpressionError(r'it ends with "\"')
    if word[0] == "\\" and word[1].isdecimal():
        raise ExpressionError(_FOREIGN)
    if word[0] == "\\" and word[1].isalpha():
        hint = "; digits are [[:digit:]]" * (word in {r"\d", r"\D"})
        raise ExpressionError(f'strace has no "{word}"{hint}')
    return Letters(frozenset(word[-1]))
