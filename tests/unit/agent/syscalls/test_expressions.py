"""Regular expressions: they select what glibc's select, which strace uses."""

import ctypes
import re
import warnings

import pytest

from kubestrace_agent.syscalls import expressions, tables
from kubestrace_agent.syscalls.patterns import SyscallPatternError, parse_patterns

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
        ("a{2", "no interval"),
        ("a{x}", "no interval"),
        ("a{2,1}", "no interval"),
        ("a{40000}", "no interval"),
        ("a\\", "ends with"),
        ("(a", 'lacks a ")"'),
        ("[a", 'lacks a "]"'),
        ("[]", 'lacks a "]"'),
        ("[z-a]", "ends before it begins"),
        ("[a-c-e]", "begins where"),
        ("[[:digit:]-z]", "begins where"),
        ("[a-[:digit:]]", "has no place"),
        ("[[:foo:]]", "there are alnum,"),
        ("[[:digit:]", 'lacks a "]"'),
        ("[[:digit", "begins no class"),
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
        ("(a+)+$", "none of a group"),
        ("a*b*c*d*e*", "4 repetitions"),
        (r"(a)\1", "repetitions"),
        ("[[.a.]]", "has no place"),
        ("(" * 120 + ")" * 120, None),
    ],
)
def test_what_means_another_thing_to_strace_or_may_take_long_is_refused(text: str, words: str | None) -> None:
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
    with pytest.raises(SyscallPatternError, match=r'^"/\\d" is no regular expression to use: strace has no "\\d"'):
        parse_patterns([r"/\d"], "x86_64")
