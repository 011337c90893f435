"""Reads sessions: from files, and from a cluster by kubectl, which knows the user's kubeconfig and how to log in."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kubestrace_cli.output import documents
from kubestrace_cli.seccomp.options import STANDARD_INPUT
from kubestrace_operator.api.spec import NAME

_RESOURCE = "tracesessions.kubestrace.io"
# A list of many sessions, each up to 64 KiB, or the output of a long local trace.
MOST_BYTES = 256 << 20
_KUBECTL_SECONDS = 60
# Longer than kubectl's own limit, which counts for one request: it may have to log in.
_MOST_SECONDS = 300


class ReadingError(Exception):
    """A session cannot be read; the message says which, why and what to do."""


def file(path: str) -> list[Any]:
    """Return the documents of a file or of standard input."""
    place = "standard input" if path == STANDARD_INPUT else path
    try:
        text = _text(path)
    except OSError as error:
        hint = "" if "/" in path else f" (a session of that name: tsess/{path})"
        raise ReadingError(f"{place}: cannot be read: {error.strerror}{hint}") from error
    except UnicodeDecodeError as error:
        raise ReadingError(f"{place}: is not UTF-8 text: {error.reason} at byte {error.start}") from error
    if not text.strip():
        raise ReadingError(f"{place}: is empty")
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith(("{", "[")):
            raise ReadingError(f"{place}: is not valid JSON: {error}") from error
    try:
        return documents.read(text)
    except documents.DocumentError as error:
        raise ReadingError(f"{place}: {error}") from error


def _text(path: str) -> str:
    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise ReadingError("standard input: is closed")
        return _bounded(path, sys.stdin.read(MOST_BYTES + 1))
    with Path(path).open(encoding="utf-8") as opened:
        return _bounded(path, opened.read(MOST_BYTES + 1))


def _bounded(path: str, text: str) -> str:
    if len(text) > MOST_BYTES:
        raise ReadingError(f"{path}: is larger than {MOST_BYTES >> 20} MiB")
    return text


def cluster(names: Sequence[str], namespace: str | None) -> Any:
    """Return the sessions of a namespace as kubectl gives them: one, or a list."""
    for name in names:
        if not NAME.fullmatch(name):
            raise ReadingError(f"{name!r} is neither a file nor the name of a session")
    where = ["--namespace", namespace] if namespace else []
    words = ["kubectl", "get", _RESOURCE, *names, *where, "-o", "json", f"--request-timeout={_KUBECTL_SECONDS}s"]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_MOST_SECONDS, check=False)
    except FileNotFoundError as error:
        raise ReadingError(
            "kubectl is not installed here, and reads the sessions of a cluster: install it, or save "
            f"`kubectl get tsess {' '.join(names)} -o json` elsewhere and name the file"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ReadingError(f"kubectl did not answer for {_MOST_SECONDS} s: {' '.join(words)}") from error
    except OSError as error:
        raise ReadingError(f"kubectl cannot be executed: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise ReadingError(f"kubectl cannot read {', '.join(names)}: {said}")
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise ReadingError(f"kubectl's answer is not JSON: {error}") from error
