"""The TraceSession of a local trace: read from a file or made, and put together with its status at the end."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from kubestrace_cli.output import documents
from kubestrace_cli.session_file import metadata
from kubestrace_operator.api import spec
from kubestrace_operator.comparison.baseline import LOCAL_TARGET
from kubestrace_operator.views import profiles, registry
from kubestrace_operator.views.profiles import Profile

API_VERSION = "kubestrace.io/v1alpha1"
KIND = "TraceSession"
_DEFAULT_NAME = "local"
STANDARD_INPUT = Path("-")
# In the place of a file's name in messages, where there is none.
_COMMAND_LINE = Path("the command line")
# As the API server has them; it refuses others just as well.
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")


class SessionFileError(Exception):
    """The session's file cannot be used; `problems` holds one sentence for each thing that is wrong with it."""

    def __init__(self, path: Path, *problems: str) -> None:
        super().__init__(f"{'standard input' if path == STANDARD_INPUT else path}: " + "; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Session:
    """What is traced for how long; `duration_seconds` is None when COMMAND's end ends the trace.

    `target` is what the resource says, `traced` what the command line named: {"pid": 7}, {"command": ["ls"]} and so on.
    """

    metadata: Mapping[str, Any]
    target: Mapping[str, Any]
    traced: Mapping[str, Any]
    duration_seconds: int | None
    syscalls: tuple[str, ...]
    profile: Profile = profiles.DEFAULT
    # Patterns of what is not shown.
    redact: tuple[str, ...] = ()
    # The settings of the views that are on.
    views: registry.Chosen = field(default_factory=dict)
    # The session of a cluster that the file names to be compared with.
    compare_to: str = ""

    @property
    def name(self) -> str:
        """Return namespace/name, as far as they are there."""
        return "/".join(str(self.metadata[key]) for key in ("namespace", "name") if self.metadata.get(key))

    @property
    def generation(self) -> int:
        """Return which generation of the spec the status speaks of."""
        return int(self.metadata.get("generation") or 1)

    def document(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole resource as a cluster would hold it; one that is given it begins a session of its own."""
        annotations = {**(self.metadata.get("annotations") or {}), LOCAL_TARGET: json.dumps(self.traced)}
        wanted: dict[str, Any] = {"target": dict(self.target)}
        if self.duration_seconds is not None:
            wanted["durationSeconds"] = self.duration_seconds
        if self.syscalls:
            wanted["syscalls"] = list(self.syscalls)
        if self.profile != profiles.DEFAULT:
            wanted["profile"] = self.profile.value
        if self.redact:
            wanted["redact"] = list(self.redact)
        duration_seconds = self.duration_seconds or spec.DEFAULT_DURATION_SECONDS
        if overrides := registry.overrides(self.profile, self.views, duration_seconds):
            wanted["views"] = overrides
        if self.compare_to:
            wanted["compareTo"] = self.compare_to
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {**self.metadata, "annotations": annotations},
            "spec": wanted,
            "status": dict(status),
        }


def make(
    file: Path | None,
    traced: Mapping[str, Any],
    *,
    duration_seconds: int | None,
    syscalls: tuple[str, ...] | None,
    profile: Profile | None = None,
    redact: tuple[str, ...] = (),
    views: Mapping[str, Mapping[str, Any]] | None = None,
) -> Session:
    """Return the session; what is given here takes precedence over the file, and the file over the defaults.

    `views` is what the command line asks for, by the view's name, as a spec has it. Raises SessionFileError.
    """
    body = _read(file) if file else {}
    wanted = dict(body.get("spec") or {})
    if duration_seconds is not None:
        wanted["durationSeconds"] = duration_seconds
    if profile is not None:
        wanted["profile"] = profile.value
    wanted |= _with_patterns(wanted.get("redact"), redact)
    parsed = _parsed(file, _with_views(file, wanted, views or {}))
    has_duration = wanted.get("durationSeconds") is not None or "command" not in traced
    given = body.get("metadata") or {"name": _DEFAULT_NAME}
    return Session(
        metadata=given,
        target=wanted.get("target") or {"podName": given.get("name") or _DEFAULT_NAME},
        traced=traced,
        duration_seconds=parsed.duration_seconds if has_duration else None,
        syscalls=parsed.syscalls if syscalls is None else syscalls,
        profile=parsed.profile,
        redact=parsed.redact,
        views=parsed.views,
        compare_to=parsed.compare_to,
    )


def _with_patterns(of_file: object, given: tuple[str, ...]) -> dict[str, object]:
    """Return the patterns of file and command line together; of a file that has something else, that."""
    if not given:
        return {}
    return {"redact": [*of_file, *given] if isinstance(of_file, list) else of_file or list(given)}


def _with_views(
    file: Path | None, wanted: Mapping[str, Any], asked: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return the spec with what the command line asks of views; a view that it names is on."""
    views = wanted.get("views") or {}
    if not asked or not isinstance(views, Mapping):
        return wanted
    merged = dict(views)
    profile = wanted.get("profile")
    of_profile = {view.name for view in registry.in_profile(profile)} if profile in registry.PROFILES else set()
    for name, fields in asked.items():
        known = views.get(name) or {}
        if not isinstance(known, Mapping):
            continue
        on = (name in views or name in of_profile) and known.get("enabled") is not False
        if missing := _missing(name, fields, on=on):
            raise SessionFileError(file or _COMMAND_LINE, missing)
        merged[name] = {**known, **fields, "enabled": True}
    return {**wanted, "views": merged}


def _missing(name: str, fields: Mapping[str, Any], *, on: bool) -> str:
    """Return what a view needs beside these flags; empty: nothing."""
    (flags,) = (view.flags for view in registry.VIEWS if view.name == name)
    turns_on = any(not flag.needs and flag.field in fields for flag in flags) or not fields or "enabled" in fields
    return "" if on or turns_on else next(flag.needs for flag in flags if flag.field in fields)


def _parsed(file: Path | None, wanted: Mapping[str, Any]) -> spec.TraceSpec:
    try:
        parsed = spec.parse(wanted, target_required=False)
    except spec.InvalidSpecError as error:
        raise SessionFileError(file or _COMMAND_LINE, *error.problems) from error
    if parsed.cancel:
        raise SessionFileError(
            file or _COMMAND_LINE, "spec.cancel is true: the session was cancelled, nothing is traced"
        )
    if parsed.suspend:
        raise SessionFileError(file or STANDARD_INPUT, "spec.suspend is true: nothing is traced until it is false")
    return parsed


def _read(file: Path) -> Mapping[str, Any]:
    """Return the one TraceSession of a YAML (or JSON) file."""
    try:
        found = documents.read(_text(file))
    except OSError as error:
        raise SessionFileError(file, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SessionFileError(file, f"is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except documents.DocumentError as error:
        raise SessionFileError(file, str(error)) from error
    sessions = [each for each in found if isinstance(each, dict) and each.get("kind") == KIND]
    if len(sessions) != 1:
        raise SessionFileError(file, f"must hold one TraceSession, but holds {len(sessions) or 'none'}")
    _check(file, sessions[0])
    return sessions[0]


def _text(file: Path) -> str:
    """Read it, as far as it may be long: a device such as /dev/zero has no end."""
    if file == STANDARD_INPUT:
        if sys.stdin is None:
            raise SessionFileError(file, "is closed")
        return _bounded(file, sys.stdin)
    with file.open(encoding="utf-8") as opened:
        return _bounded(file, opened)


def _bounded(file: Path, opened: TextIO) -> str:
    text = opened.read(documents.MOST_BYTES + 1)
    if len(text) > documents.MOST_BYTES:
        raise SessionFileError(file, documents.TOO_LARGE)
    return text


def _check(file: Path, body: Mapping[str, Any]) -> None:
    problems = []
    if body.get("apiVersion") != API_VERSION:
        problems.append(f"apiVersion is {body.get('apiVersion')!r}, not {API_VERSION!r}")
    problems += [f"{name} is not a field; there are {', '.join(_FIELDS)}" for name in body if name not in _FIELDS]
    problems += [f"{part} is not a mapping" for part in ("metadata", "spec") if not _is_mapping(body.get(part))]
    if _is_mapping(body.get("metadata")):
        problems += metadata.problems(body.get("metadata") or {})
    if problems:
        raise SessionFileError(file, *problems)


def _is_mapping(value: object) -> bool:
    """Return whether this is a mapping; null counts as left out, as for the API server."""
    return value is None or isinstance(value, Mapping)
