"""A resource's metadata, as strictly as the API server reads it. Pure; used by sessions."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from kubestrace_operator.api import spec

_STRINGS = ("generateName", "resourceVersion", "selfLink", "uid")
_LISTS = ("finalizers", "managedFields", "ownerReferences")
_NUMBERS = ("deletionGracePeriodSeconds", "generation")
_TIMES = ("creationTimestamp", "deletionTimestamp")
_NAMES = {
    "name": (spec.NAME, "a name in Kubernetes (at most 253 of a-z, 0-9, - and .)"),
    "namespace": (spec.DNS_LABEL, "a namespace's name (at most 63 of a-z, 0-9 and -)"),
}
_FIELDS = frozenset({*_STRINGS, *_LISTS, *_NUMBERS, *_TIMES, *_NAMES, "annotations", "labels"})
# int64
_MOST = (1 << 63) - 1
# RFC 3339
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def problems(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong; null counts as left out."""
    given = {name: value for name, value in metadata.items() if value is not None}
    yield from (f"metadata.{name} is not a field" for name in metadata if name not in _FIELDS)
    for name in (*_NAMES, *_STRINGS):
        if not isinstance(given.get(name, ""), str):
            yield f"metadata.{name} must be a string, not {given[name]!r}: put it in quotes"
        elif name in _NAMES and given.get(name) and not _NAMES[name][0].fullmatch(given[name]):
            yield f"metadata.{name} is {given[name]!r}, which is not {_NAMES[name][1]}"
    yield from (f"metadata.{name} must be a list" for name in _LISTS if not isinstance(given.get(name, []), list))
    for name in _NUMBERS:
        if not _is_count(given.get(name, 0)):
            yield f"metadata.{name} is {str(given[name])[:40]}, which is not a whole number from 0 to {_MOST}"
    for name in _TIMES:
        if name in given and not _is_time(given[name]):
            yield f"metadata.{name} is {given[name]!r}, which is not a time such as 2025-01-31T12:00:00Z"
    for part in ("labels", "annotations"):
        yield from _text_problems(part, given.get(part, {}))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _text_problems(part: str, texts: object) -> Iterator[str]:
    if not isinstance(texts, Mapping):
        yield f"metadata.{part} must be a mapping, not {texts!r}"
        return
    for key, value in texts.items():
        if not _is_key(key if part == "labels" else key.lower()):
            yield f"metadata.{part}: {key!r} is not a name such as team or example.com/team"
        if not isinstance(value, str):
            yield f"metadata.{part}.{key} must be a string, not {value!r}: put it in quotes"
        elif part == "labels" and not spec.LABEL_VALUE.fullmatch(value):
            yield f"metadata.labels.{key} is {value!r}, which is not a label's value (at most 63 of A-Za-z0-9-_.)"


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(spec.LABEL_NAME.fullmatch(name)) and (not slash or bool(spec.NAME.fullmatch(prefix)))
