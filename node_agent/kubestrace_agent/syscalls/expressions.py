"""strace's regular expressions (POSIX extended ones, as glibc has them) as Python's. Pure; used by patterns.

What Python alone knows, or takes for something else, is refused. So is what could take long: expressions are matched
by backtracking.
"""

import re
from collections.abc import Iterator

# With this many repetitions a name of 30 letters still takes microseconds.
MAX_REPETITIONS = 4
_UNSAFE = f'an expression may have {MAX_REPETITIONS} repetitions, none of a group, no "(?" or "\\1"'
# glibc's RE_DUP_MAX.
_MAX_TIMES = 0x7FFF
_INTERVAL = re.compile(r"\{(\d*)(,?)(\d*)\}")
# Of ASCII: names of system calls have no other letters.
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": r"\x21-\x7e", "lower": "a-z", "print": r"\x20-\x7e", "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    "space": r"\t-\r ", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
# GNU's: sets of letters, and places between them.
_SETS = {r"\w": r"\w", r"\W": r"\W", r"\s": r"\s", r"\S": r"\S"}
_PLACES = {
    "^": "^", "$": "$", r"\b": r"\b", r"\B": r"\B", r"\<": r"\b(?=\w)", r"\>": r"\b(?<=\w)", r"\`": r"\A", r"\'": r"\Z",
}  # fmt: skip


class ExpressionError(ValueError):
    """This is no such expression, or an unsafe one; the message is the end of a sentence."""


def compiled(text: str) -> re.Pattern[str]:
    """Return what `search`es as strace would. Raises ExpressionError."""
    try:
        return re.compile("".join(_Expression(text).parts()), re.ASCII)
    except RecursionError as error:
        raise ExpressionError("it has too many groups in each other") from error


class _Expression:
    """One pass over the text, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._repetitions = 0
        # What a repetition would repeat: nothing, "one" letter, a "group", or what is "repeated" already.
        self._before = ""

    def parts(self) -> Iterator[str]:
        """Yield the expression in Python's words."""
        while self._at < len(self._text):
            yield self._part()
        if self._depth:
            raise ExpressionError('it lacks a ")"')

    def _part(self) -> str:
        word = self._take(2 if self._text[self._at] == "\\" else 1)
        if word in _PLACES:
            return self._is("", _PLACES[word])
        if word in "*+?{":
            return self._repetition(word)
        if word == "(":
            self._depth += 1
            return self._is("", "(?:")
        # Without a "(" it stands for itself.
        if word == ")" and self._depth:
            self._depth -= 1
            return self._is("group", ")")
        if word == "|":
            return self._is("", word)
        return self._is("one", self._bracket() if word == "[" else _one(word))

    def _is(self, before: str, part: str) -> str:
        self._before = before
        return part

    def _take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += count
        return taken

    def _repetition(self, word: str) -> str:
        self._repetitions += 1
        opens = self._text[self._at - 2 : self._at] == "(?"
        if opens or self._repetitions > MAX_REPETITIONS or (self._before == "group" and word != "?"):
            raise ExpressionError(_UNSAFE)
        if self._before == "repeated":
            raise ExpressionError("it repeats what is repeated already")
        if not self._before:
            raise ExpressionError(f'there is nothing before its "{word}" to be repeated')
        return self._is("repeated", self._interval() if word == "{" else word)

    def _interval(self) -> str:
        match = _INTERVAL.match(self._text, self._at - 1)
        if match is None or not (match[1] or match[2]):
            raise ExpressionError(r'"{" begins no interval such as {2} or {1,3}; the character itself is "\{"')
        least, most = int(match[1] or 0), int(match[3]) if match[3] else None
        if max(least, most or 0) > _MAX_TIMES or (most is not None and most < least):
            raise ExpressionError(f"{match[0]} is no interval")
        self._at = match.end()
        return f"{{{least}{match[2]}{'' if most is None else most}}}"

    def _bracket(self) -> str:
        """Read [...] to its end: in it every character but - and ] stands for itself, and [:class:] for a set."""
        negative = self._text.startswith("^", self._at)
        self._at += negative
        found = [self._member()]
        while not self._text.startswith("]", self._at):
            found.append(self._member())
        self._at += 1
        return f"[{'^' * negative}{''.join(found)}]"

    def _member(self) -> str:
        if self._text.startswith("[:", self._at):
            name, end, _ = self._text[self._at + 2 :].partition(":]")
            if not end or name not in _CLASSES:
                raise ExpressionError(f'"[:{name[:20]}" begins no class; there are {", ".join(_CLASSES)}')
            self._at += len(name) + 4
            member = _CLASSES[name]
        else:
            first = last = self._character()
            if self._is_range():
                self._at += 1
                last = self._character()
            if last < first:
                raise ExpressionError(f'the range "{first}-{last}" ends before it begins')
            member = f"{re.escape(first)}-{re.escape(last)}"
        if self._is_range():
            raise ExpressionError('a range in its "[" begins where another range or a class ends')
        return member

    def _is_range(self) -> bool:
        return self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at)

    def _character(self) -> str:
        if self._text.startswith(("[:", "[.", "[="), self._at):
            raise ExpressionError(f'"{self._text[self._at : self._at + 2]}" has no place there')
        character = self._take(1)
        if not character:
            raise ExpressionError('it lacks a "]"')
        if character == "\\":
            raise ExpressionError(
                r'in "[...]" a "\" is itself, and no name has one; classes are [:digit:], [:alnum:] ...'
            )
        return character


def _one(word: str) -> str:
    """Return one character, a set of them, or any."""
    if word == ".":
        return word
    if word in _SETS:
        return _SETS[word]
    if word == "\\":
        raise ExpressionError(r'it ends with "\"')
    if word[0] == "\\" and word[1].isdecimal():
        raise ExpressionError(_UNSAFE)
    if word[0] == "\\" and word[1].isalpha():
        hint = "; digits are [[:digit:]]" * (word in {r"\d", r"\D"})
        raise ExpressionError(f'strace has no "{word}"{hint}')
    return re.escape(word[-1])
