"""Texts and numbers of the API server's answers that are kept while all else of the answer goes."""

import sys


def own(text: str) -> str:
    """Return a copy: a text in the midst of an answer with thousands of objects keeps the memory around it."""
    return text.encode().decode()


def own_number(number: int) -> int:
    """Return a copy: a number is an object among the others of an answer, too."""
    return int(str(number))


def shared(text: str) -> str:
    """Return the one copy of a text that many objects have."""
    return sys.intern(own(text))
