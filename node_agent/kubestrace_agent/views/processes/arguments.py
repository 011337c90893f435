"""Command lines of traced processes, bounded and without what looks like a secret. Pure; used by records.

A rule replaces the value and keeps the name, so that one sees that an option was given. Rules cannot know every secret:
that is why arguments are read only where a session asks.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from kubestrace_agent.text import safe
from kubestrace_agent.views.redaction import DEFAULT
from kubestrace_agent.views.secret_words import HIDDEN, KNOWN_TOKEN, NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kubestrace_agent.views.processes.values import Words
    from kubestrace_agent.views.redaction import Redaction

CUT = "..."
# Of one command line, as it is told.
_MAX_WORDS, _MAX_WORD, _MAX_ALL = 32, 200, 600

_OWN_NAME = rf"[\w.-]*{NAME}"
_QUOTED = r"\"[^\"]*\"?|'[^']*'?"
# NAME=VALUE and NAME: VALUE within a word, as in a URL's query, a script or JSON.
_ASSIGNED = re.compile(
    rf"({NAME}[\"']?\s*(?:=|:(?!//))\s*)(?!\s)(?:{_QUOTED}|(?:bearer|basic|digest)\s+\S+|[^\s&;\"']+)",
    re.IGNORECASE,
)
# A word that is all of one option or variable: its value may have spaces.
_WHOLE = re.compile(rf"(-{{0,2}}{_OWN_NAME}[=:])(?!//).*", re.IGNORECASE | re.DOTALL)
# The value follows in the next word, here or in a script.
_OPTION = re.compile(rf"--?{_OWN_NAME}", re.IGNORECASE)
_FOLLOWED = re.compile(rf"((?:^|(?<=\s))--?{_OWN_NAME}\s+)(?:{_QUOTED}|[^\s-]\S*)", re.IGNORECASE)
_HEADER = re.compile(
    r"((?:proxy-)?authorization\s*:\s*|(?:set-)?cookie\s*:\s*|x-[\w-]*(?:token|key|auth|secret)[\w-]*\s*:\s*)[^\"']+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE)
# user:pass@, with or without a scheme: up to the last @, as a password may have one.
_USER = re.compile(r"((?<![^\s:@/\"'=])[^\s:@/\"'=]*:)(?!//)[^\s\"']+(?=@[\w\[])")
_KEY_BLOCK = re.compile(r"-----BEGIN.*?(?:-----END[^-]*-----|$)", re.DOTALL)
# Letters and digits mixed for so long are no words; with both cases also where _ and - are among them.
_RANDOM = re.compile(r"[A-Za-z0-9+]{20,}={0,2}")
_RANDOM_URL = re.compile(r"(?<![\w/.-])[\w-]{24,}(?![\w/.-])")
_BASE64 = re.compile(r"(?<![\w./+-])[A-Za-z0-9+/]{28,}={0,2}(?![\w./-])")
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_DIGIT, _LOWER, _UPPER = re.compile(r"\d"), re.compile(r"[a-z]"), re.compile(r"[A-Z]")
_LEAST_DIGITS = 2
# Options of one letter are secrets for some programs only: the name of the program, and the option.
_SHORT = (
    (re.compile(r"(?:mysql|mariadb)", re.IGNORECASE), re.compile(r"-p(?=.)")),
    (re.compile(r"(?:curl|wget|http|https|xh)$", re.IGNORECASE), re.compile(r"-u(?=.)|-U(?=.)")),
    (re.compile(r"(?:sshpass|redis-cli|mongo|mongosh|mongodump|mongorestore|ldap|rabbitmqadmin|sqlcmd)", re.IGNORECASE),
     re.compile(r"-[pawP](?=.)")),
)  # fmt: skip
_SHORT_FOLLOWED = (
    (
        re.compile(r"(?:curl|wget|http|https|xh)$", re.IGNORECASE),
        ("-u", "-U", "--user", "--proxy-user", "-a", "--auth"),
    ),
    (re.compile(r"(?:sshpass|mongo|mongosh|mongodump|mongorestore|rabbitmqadmin)", re.IGNORECASE), ("-p",)),
    (re.compile(r"(?:redis-cli)", re.IGNORECASE), ("-a",)),
    (re.compile(r"(?:ldap)", re.IGNORECASE), ("-w",)),
    (re.compile(r"(?:sqlcmd)", re.IGNORECASE), ("-P",)),
    (re.compile(r"(?:docker|podman|nerdctl|helm|crane|skopeo)$", re.IGNORECASE), ("-p",)),
)


@functools.lru_cache(maxsize=256)
def arguments(words: Words, redaction: Redaction = DEFAULT) -> tuple[str, ...]:
    """Return the words behind argv[0], safe to print; CUT stands where there were more, or a word was longer."""
    text = words.text
    cut = len(text) < words.bytes
    if cut:
        # What the cut left of a word may be the first half of a secret.
        text = re.sub(rb"[^\s\0]+\Z", b"", text)
    name, *rest = text.decode("latin-1").split("\0")
    while rest and not rest[-1]:
        rest.pop()
    # The session's patterns last: what the rules look for must not be cut before.
    shown = (redaction.text(word.encode("latin-1")).decode("latin-1") for word in _hidden(name, rest))
    return tuple(_bounded(shown, cut=cut))


@functools.lru_cache(maxsize=1024)
def redacted(text: bytes) -> bytes:
    """Return a text of one line, as a title, without what looks like a secret."""
    return _word(text.decode("latin-1")).encode("latin-1")


def _bounded(words: Iterable[str], *, cut: bool) -> Iterator[str]:
    room = _MAX_ALL
    for position, word in enumerate(words):
        if position == _MAX_WORDS or room <= 0:
            yield CUT
            return
        shown = safe(word.encode("latin-1"), min(_MAX_WORD, room))
        room -= len(shown) + 1
        yield shown
    if cut:
        yield CUT


def _hidden(name: str, words: Sequence[str]) -> list[str]:
    program = name.rpartition("/")[2]
    attached = [pattern for programs, pattern in _SHORT if programs.match(program)]
    followed = {option for programs, options in _SHORT_FOLLOWED if programs.match(program) for option in options}
    found: list[str] = []
    hide_next = False
    for word in words:
        if hide_next and not _OPTION.fullmatch(word):
            found.append(HIDDEN)
            hide_next = False
            continue
        short = next((match for pattern in attached if (match := pattern.match(word))), None)
        hide_next = word in followed or (not short and bool(_OPTION.fullmatch(word)))
        found.append(short[0] + HIDDEN if short else _word(word))
    return found


def _word(word: str) -> str:
    """Apply the rules to one word, which may be a whole script."""
    whole = _WHOLE.fullmatch(word)
    if whole:
        return whole[1] + HIDDEN
    word = _KEY_BLOCK.sub(HIDDEN, word)
    word = _USER.sub(rf"\1{HIDDEN}", word)
    word = _HEADER.sub(rf"\1{HIDDEN}", word)
    word = _BEARER.sub(rf"\1 {HIDDEN}", word)
    word = _FOLLOWED.sub(rf"\1{HIDDEN}", word)
    word = _ASSIGNED.sub(rf"\1{HIDDEN}", word)
    word = KNOWN_TOKEN.sub(HIDDEN, word)
    word = _UUID.sub(HIDDEN, word)
    word = _RANDOM_URL.sub(lambda found: HIDDEN if _has_both_cases(found[0]) else found[0], word)
    word = _BASE64.sub(lambda found: HIDDEN if _has_both_cases(found[0]) else found[0], word)
    return _RANDOM.sub(lambda found: HIDDEN if _is_mixed(found[0]) else found[0], word)


def _is_mixed(text: str) -> bool:
    letters = _LOWER.search(text) or _UPPER.search(text)
    return bool(letters) and len(_DIGIT.findall(text)) >= _LEAST_DIGITS


def _has_both_cases(text: str) -> bool:
    return bool(_LOWER.search(text) and _UPPER.search(text) and _DIGIT.search(text))
