"""Reading untyped documents: every wrong field is noted with its path and a sentence, and reading goes on. Pure.

Used by spec and by the views.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any


class Fields:
    """One mapping of a document, with the problems found in the whole document."""

    def __init__(self, value: object, path: str, known: Sequence[str], problems: list[str] | None = None) -> None:
        self.problems: list[str] = [] if problems is None else problems
        self._path = path
        self._value: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        if not isinstance(value, Mapping) and value is not None:
            self.problems.append(f"{path} must be a mapping, not {value!r}")
        for name in self._value:
            if name not in known:
                self.problem(name, f"is not a field of this version; it has {', '.join(known) or 'none'}")

    def problem(self, name: str, sentence: str) -> None:
        """Note that a field is wrong; the sentence continues after its path."""
        self.problems.append(f"{self._path}.{name} {sentence}")

    def has(self, name: str) -> bool:
        """Return whether a field is given; null counts as left out, as for the API server."""
        return self._value.get(name) is not None

    def names(self, name: str) -> bool:
        """Return whether a field is named, also with null: as for a field that is nullable."""
        return name in self._value

    def nested(self, name: str, known: Sequence[str]) -> "Fields":
        """Return a field that is a mapping itself."""
        return Fields(self._value.get(name), f"{self._path}.{name}", known, self.problems)

    def each(self, name: str, known: Sequence[str]) -> list["Fields"]:
        """Return the mappings of a list."""
        return [
            Fields(item, f"{self._path}.{name}[{index}]", known, self.problems)
            for index, item in enumerate(self._list(name))
        ]

    def string(self, name: str) -> str:
        """Return a string that must be there and not be empty."""
        value = self._value.get(name)
        if isinstance(value, str) and value:
            return value
        self.problem(name, "is missing" if value is None else f"must be a non-empty string, not {value!r}")
        return ""

    def named(self, name: str, pattern: re.Pattern[str], what: str) -> str:
        """Return a string that must be there and fit a pattern; `what` describes it: "a pod's name"."""
        value = self.string(name)
        if value and not pattern.fullmatch(value):
            self.problem(name, f"is {value!r}, which is not {what}")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return a string that must be one of these."""
        value = self.string(name)
        if value and value not in choices:
            self.problem(name, f"is {value!r}; it must be one of {', '.join(choices)}")
        return value

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """Return a whole number within bounds."""
        value = self._value.get(name, default)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(name, f"must be a whole number, not {value!r}")
            return default
        if not minimum <= value <= maximum:
            self.problem(name, f"is {value}; it must be from {minimum} to {maximum}")
        return value

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """Return a truth value."""
        value = self._value.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(name, f"must be true or false, not {value!r}")
        return value is True

    def strings(self, name: str) -> tuple[str, ...]:
        """Return a list of strings, empty when left out."""
        values = self._list(name)
        for index, value in enumerate(values):
            if not isinstance(value, str) or not value:
                self.problem(f"{name}[{index}]", f"must be a non-empty string, not {value!r}")
        return tuple(value for value in values if isinstance(value, str))

    def string_map(self, name: str) -> dict[str, str]:
        """Return a mapping of strings to strings."""
        value = self._value.get(name) or {}
        if not isinstance(value, Mapping):
            self.problem(name, f"must be a mapping, not {value!r}")
            return {}
        for key, item in value.items():
            if not isinstance(key, str) or not isinstance(item, str):
                self.problem(f"{name}.{key}", f"must be a string, not {item!r}: put it in quotes")
        return {key: item for key, item in value.items() if isinstance(key, str) and isinstance(item, str)}

    def _list(self, name: str) -> Sequence[Any]:
        value = self._value.get(name)
        if value is None:
            return []
        if isinstance(value, str) or not isinstance(value, Sequence):
            self.problem(name, f"must be a list, not {value!r}")
            return []
        return value
