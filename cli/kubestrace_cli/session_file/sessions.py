"""The TraceSession of a local trace: read from a file or made, and put together with its status at the end."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kubestrace_cli.output import documents
from kubestrace_cli.session_file import metadata
from kubestrace_operator.api import spec

API_VERSION = "kubestrace.io/v1alpha1"
KIND = "TraceSession"
_DEFAULT_NAME = "local"
STANDARD_INPUT = Path("-")
# As the API server has them; it refuses others just as well.
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_BUCKETS_PER_SECOND = spec.MAX_BUCKETS_PER_SECOND
# What was traced in truth: the resource knows pods alone as targets.
TARGET_ANNOTATION = "kubestrace.io/local-target"


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
    views: spec.Views = spec.NO_VIEWS

    @property
    def name(self) -> str:
        """Return namespace/name, as far as they are there."""
        return "/".join(str(self.metadata[key]) for key in ("namespace", "name") if self.metadata.get(key))

    @property
    def generation(self) -> int:
        """Return which generation of the spec the status speaks of."""
        return int(self.metadata.get("generation") or 1)

    def _views(self) -> dict[str, Any]:
        views: dict[str, Any] = {}
        if self.views.timeline is not None:
            views["timeline"] = {"buckets": self.views.timeline}
        if self.views.cpu_time:
            views["cpuTime"] = {}
        if slow := self.views.slow_calls:
            views["slowCalls"] = {"thresholdMilliseconds": slow.threshold_milliseconds, "limit": slow.limit}
            views["slowCalls"] |= {"stacks": True} if slow.stacks else {}
        if self.views.processes is not None:
            views["processes"] = {"top": self.views.processes}
        if self.views.errors is not None:
            views["errors"] = {"samples": self.views.errors}
        return views

    def document(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole resource as a cluster would hold it; one that is given it begins a session of its own."""
        annotations = {**(self.metadata.get("annotations") or {}), TARGET_ANNOTATION: json.dumps(self.traced)}
        wanted: dict[str, Any] = {"target": dict(self.target)}
        if self.duration_seconds is not None:
            wanted["durationSeconds"] = self.duration_seconds
        if self.syscalls:
            wanted["syscalls"] = list(self.syscalls)
        if asked := self._views():
            wanted["views"] = asked
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {**self.metadata, "annotations": annotations},
            "spec": wanted,
            "status": dict(status),
        }


@dataclass(frozen=True)
class Asked:
    """Views that the command line asks for; None: as the file says."""

    # Buckets.
    timeline: int | None = None
    slow_milliseconds: int | None = None
    # Those of slow calls, whoever asked for these.
    stacks: bool = False
    processes: int | None = None
    # Samples of each.
    errors: int | None = None
    cpu_time: bool = False


NOTHING_ASKED = Asked()


def make(
    file: Path | None,
    traced: Mapping[str, Any],
    *,
    duration_seconds: int | None,
    syscalls: tuple[str, ...] | None,
    asked: Asked = NOTHING_ASKED,
) -> Session:
    """Return the session; what is given here holds before the file, and the file before the defaults.

    Raises SessionFileError.
    """
    body = _read(file) if file else {}
    wanted = body.get("spec") or {}
    parsed = _parsed(file, wanted)
    if duration_seconds is None and (wanted.get("durationSeconds") is not None or "command" not in traced):
        duration_seconds = parsed.duration_seconds
    given = body.get("metadata") or {"name": _DEFAULT_NAME}
    views = _views(file, parsed.views, asked)
    _check_room(file, views.timeline, duration_seconds)
    return Session(
        metadata=given,
        target=wanted.get("target") or {"podName": given.get("name") or _DEFAULT_NAME},
        traced=traced,
        duration_seconds=duration_seconds,
        syscalls=parsed.syscalls if syscalls is None else syscalls,
        views=views,
    )


def _views(file: Path | None, views: spec.Views, asked: Asked) -> spec.Views:
    slow_calls = _slow_calls(views.slow_calls, asked.slow_milliseconds)
    if asked.stacks:
        if slow_calls is None:
            raise SessionFileError(file or Path("--stacks"), "no slow calls are asked for: say --slow MILLISECONDS too")
        slow_calls = replace(slow_calls, stacks=True)
    return replace(
        views,
        timeline=views.timeline if asked.timeline is None else asked.timeline,
        slow_calls=slow_calls,
        processes=views.processes if asked.processes is None else asked.processes,
        errors=views.errors if asked.errors is None else asked.errors,
        cpu_time=views.cpu_time or asked.cpu_time,
    )


def _check_room(file: Path | None, timeline: int | None, duration_seconds: int | None) -> None:
    """Refuse buckets that are too short for the duration, which the command line may have changed."""
    if timeline is None or duration_seconds is None or timeline <= (room := duration_seconds * _BUCKETS_PER_SECOND):
        return
    raise SessionFileError(
        file or Path("--timeline"),
        f"{timeline} buckets: one is at least 100 ms long, and {duration_seconds} s have room for {room}",
    )


def _slow_calls(asked: spec.SlowCalls | None, slow_milliseconds: int | None) -> spec.SlowCalls | None:
    if slow_milliseconds is None:
        return asked
    return replace(asked or spec.SlowCalls(), threshold_milliseconds=slow_milliseconds)


def _parsed(file: Path | None, wanted: Mapping[str, Any]) -> spec.TraceSpec:
    try:
        parsed = spec.parse(wanted, target_required=False)
    except spec.InvalidSpecError as error:
        raise SessionFileError(file or STANDARD_INPUT, *error.problems) from error
    if parsed.cancel:
        raise SessionFileError(
            file or STANDARD_INPUT, "spec.cancel is true: the session was cancelled, nothing is traced"
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
        raise SessionFileError(file, f"is no YAML: {error}") from error
    except documents.DocumentError as error:
        raise SessionFileError(file, str(error)) from error
    sessions = [each for each in found if isinstance(each, dict) and each.get("kind") == KIND]
    if len(sessions) != 1:
        raise SessionFileError(file, f"holds {len(sessions) or 'no'} TraceSession{'s' * (len(sessions) > 1)}, not one")
    _check(file, sessions[0])
    return sessions[0]


def _text(file: Path) -> str:
    if file != STANDARD_INPUT:
        return file.read_text(encoding="utf-8")
    if sys.stdin is None:
        raise SessionFileError(file, "is closed")
    return sys.stdin.read()


def _check(file: Path, body: Mapping[str, Any]) -> None:
    problems = []
    if body.get("apiVersion") != API_VERSION:
        problems.append(f"apiVersion is {body.get('apiVersion')!r}, not {API_VERSION!r}")
    problems += [f"{name} is no field; there are {', '.join(_FIELDS)}" for name in body if name not in _FIELDS]
    problems += [f"{part} is no mapping" for part in ("metadata", "spec") if not _is_mapping(body.get(part))]
    if _is_mapping(body.get("metadata")):
        problems += metadata.problems(body.get("metadata") or {})
    if problems:
        raise SessionFileError(file, *problems)


def _is_mapping(value: object) -> bool:
    """Tell whether this is a mapping; null counts as left out, as for the API server."""
    return value is None or isinstance(value, Mapping)
