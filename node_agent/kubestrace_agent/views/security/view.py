"""The view security: what programs did that few have a reason to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.security.collector import NAME, Seen
from kubestrace_agent.views.security.kernel import Security
from kubestrace_agent.views.security.sources import PART
from kubestrace_agent.views.view import RequestError, View, ViewRequest, unpacked
from kubestrace_protos.v1.views import security_pb2
from kubestrace_protos.v1.views.security_limits import MAX_PATTERN_CHARACTERS, MAX_PATTERNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    patterns = tuple(unpacked(NAME, request, security_pb2.SecurityRequest()).sensitive_paths)
    _check(patterns)
    return ViewRequest(lambda *_: [Seen(frozenset(patterns))], parts=(PART,), shows_paths=True)


def _check(patterns: Sequence[str]) -> None:
    if len(patterns) > MAX_PATTERNS:
        raise RequestError(
            "InvalidSecurity", f"sensitive_paths has {len(patterns)} patterns, and may have {MAX_PATTERNS}"
        )
    for pattern in patterns:
        if not 1 <= len(pattern) <= MAX_PATTERN_CHARACTERS or not pattern.isascii() or not pattern.isprintable():
            raise RequestError(
                "InvalidSecurity",
                f"sensitive_paths has {pattern!a}, and a pattern is printable ASCII of 1 to "
                f"{MAX_PATTERN_CHARACTERS} characters",
            )


VIEW = View(NAME, _ask, lambda programs, abis: {PART: Security(programs, abis)}, needs=(PART,))
