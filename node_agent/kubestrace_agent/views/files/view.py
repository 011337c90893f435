"""The view files: what was done with files, by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.files.collector import NAME, FileUse
from kubestrace_agent.views.files.kernel import Files
from kubestrace_agent.views.files.redaction import hiding
from kubestrace_agent.views.files.sources import PART
from kubestrace_agent.views.view import RequestError, View, ViewRequest, unpacked
from kubestrace_protos.v1.views import files_pb2
from kubestrace_protos.v1.views.files_limits import MAX_PATTERN_CHARACTERS, MAX_PATTERNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    patterns = tuple(unpacked(NAME, request, files_pb2.FilesRequest()).redact)
    _check(patterns)
    return ViewRequest(lambda *_: [FileUse(hiding(patterns))], parts=(PART,), shows_paths=True)


def _check(patterns: Sequence[str]) -> None:
    if len(patterns) > MAX_PATTERNS:
        raise RequestError("InvalidFiles", f"redact has {len(patterns)} patterns, and may have {MAX_PATTERNS}")
    for pattern in patterns:
        if not 1 <= len(pattern) <= MAX_PATTERN_CHARACTERS or not pattern.isascii() or not pattern.isprintable():
            raise RequestError(
                "InvalidFiles",
                f"redact has {pattern!a}, and a pattern is printable ASCII of 1 to {MAX_PATTERN_CHARACTERS} characters",
            )


VIEW = View(NAME, _ask, lambda programs, abis: {PART: Files(programs, abis)}, needs=(PART,))
