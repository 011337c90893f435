"""Regular expressions: they select what glibc's select, which strace uses."""

import ctypes
import re
import warnings

import pytest

from kubestrace_agent.syscalls import tables
from kubestrace_agent.syscalls.patterns import SyscallPatternError, parse_patterns
from kubestrace_protos.v1 import expressions
from kubestrace_protos.v1.automata import MAX_VISITS, Budget

# Beside real names some that only expressions with odd characters find.
NAMES = [*sorted({*tables.X86_64.values(), *tables.ARM.values()}), "", "a)", "a]b", "a}", "[x", "a-b", "A1", "a b"]
_libc = ctypes.CDLL(None)
# regex.h
_EXTENDED, _NO_SUBEXPRESSIONS = 1, 8
_REGEX_BYTES = 256


def by_glibc(text: str) -> list[str] | None:
    """Return the names that an expression finds, None when it is none."""
    made = ctypes.create_string_buffer(_REGEX_BYTES)
    if _libc.regcomp(made, text.encode(), _EXTENDED | _NO_SUBEXPRESSIONS):
        return None
    found = [name for name in NAMES if _libc.regexec(made, name.encode(), 0, None, 0) == 0]
    _libc.regfree(made)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "^dup|[[:digit:]]$", "^[[:alpha:]]+$", "[[:alnum:]_]{12,}", "^[^[:lower:]]", "[[:punct:]]",
        "[[:space:][:upper:]]",
        r"^\w{4}$", r"\W", r"\s", r"^\S{3}$", r"\<read\>", r"\bstat", r"stat\b", r"\Bat\B", r"\`open", r"at\'",
        "^(read|write)v?$", "^open", "e{2}", "e{1,2}t", "e{,1}d$", "(ab)?a", "()", "a||b", "|a", "a|", "x^a", "a$b",
        "a)", "a]", "a}", "[]]", "[]a]b", "[^]a-z_]", "[a-]b", "[-a]b", "[--a]", "[[-a]", "[[a]", "[a&&b]y", "[a||b]y",
        "[a~~b]y", "[:alpha:]", r"\_at", r"a\.", r"\[x", r"\(", r"\{", "^.{3}$", "a{0}dup", "é", "[é]", "(a(b(c)?)?)?d",
        "",
        "[*+?]", "a.b",
        "(a+)+$", "a*b*c*d*e*", "^([a-z]+_?)*[0-9]?$", "(ab|a){2,}", "(a|b)*t.{3}$", "(()*)*a", "^(.?.?.?)*t$",
        "a{,3}t",
    ],
)  # fmt: skip
def test_an_expression_finds_what_it_finds_for_strace(text: str) -> None:
    """The same names, and no word of warning from Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expression = expressions.compiled(text)

    assert [name for name in NAMES if expression.search(name)] == by_glibc(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("*a", 'nothing before its "*"'),
        ("a|*b", "nothing before"),
        ("(*a)", "nothing before"),
        ("(?:a)", 'no "(?"'),
        ("^*a", "nothing before"),
        (r"\b+", "nothing before"),
        ("{2}", "nothing before"),
        ("a{2", "not begin an interval"),
        ("a{x}", "not begin an interval"),
        ("a{2,1}", "not a valid interval"),
        ("a{40000}", "not a valid interval"),
        ("a\\", "ends with"),
        ("(a", 'lacks a ")"'),
        ("[a", 'lacks a "]"'),
        ("[]", 'lacks a "]"'),
        ("[z-a]", "ends before it begins"),
        ("[a-c-e]", "begins where"),
        ("[[:digit:]-z]", "begins where"),
        ("[a-[:digit:]]", "is not allowed"),
        ("[[:foo:]]", "there are alnum,"),
        ("[[:digit:]", 'lacks a "]"'),
        ("[[:digit", "not begin a class"),
    ],
)
def test_what_strace_refuses_is_refused(text: str, words: str) -> None:
    """With the end of a sentence that says why."""
    assert by_glibc(text) is None

    with pytest.raises(expressions.ExpressionError, match=re.escape(words)):
        expressions.compiled(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"^dup\d", r"digits are \[\[:digit:\]\]"),
        (r"a\n", "strace has no"),
        (r"[\d]", "no name has one"),
        ("a*?", "repeated already"),
        ("a++", "repeated already"),
        (r"(a)\1", r'no "\\1"'),
        ("a{2000}", "too large"),
        ("(a{40}){60}", "too large"),
        ("((a{9}){9}){90}", "too large"),
        ("[[.a.]]", "is not allowed"),
        ("(" * 120 + ")" * 120, None),
    ],
)
def test_what_means_another_thing_to_strace_or_is_too_large_is_refused(text: str, words: str | None) -> None:
    """Python's own words are no silent other choice; deep groups are none of them."""
    if words is None:
        assert expressions.compiled(text).search("")
        return
    with pytest.raises(expressions.ExpressionError, match=words):
        expressions.compiled(text)


def test_a_pattern_with_classes_selects_by_them() -> None:
    """As strace -e '/^dup|[[:digit:]]$', and a refusal names the pattern."""
    keys = parse_patterns(["/^dup|[[:digit:]]$"], "x86_64").keys()

    assert keys is not None
    names = {tables.X86_64[key.number] for key in keys if key.abi == "x86_64"}
    assert {"dup", "dup3", "wait4", "accept4", "pipe2"} <= names
    with pytest.raises(SyscallPatternError, match=r'^"/\\d" is not a usable regular expression: strace has no "\\d"'):
        parse_patterns([r"/\d"], "x86_64")


@pytest.mark.parametrize("text", ["[a-z_0-9]*" * 20 + "Z", "(a|_|e|[a-z])*e" + ".?" * 100 + "Z", "(.*e)*" * 30 + "Z"])
def test_the_work_of_an_expression_is_bounded(text: str) -> None:
    """Whatever it is, it costs so many visits of states at most; backtracking would take years for these."""
    spent = CountingBudget()
    expression = expressions.compiled(text, spent)
    try:
        found = [name for name in NAMES if expression.search(name)]
    except OverflowError:
        found = []

    assert found == []
    # The last move may pass the bound by its own states.
    assert spent.visits <= MAX_VISITS + 2000


class CountingBudget(Budget):
    """Notes what is spent."""

    visits = 0

    def spend(self, visits: int) -> None:
        """Note it."""
        self.visits += visits
        super().spend(visits)


def test_the_expressions_of_a_session_share_one_budget() -> None:
    """Many that are just cheap enough are refused together, with the pattern that was one too many."""
    patterns = [f"/(.*e)*{'(.*a)*' * 30}[Z{number}]$" for number in range(128)]

    with pytest.raises(SyscallPatternError, match="takes too long to match"):
        parse_patterns(patterns, "x86_64")
