"""The view files: what was done with files, by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.files.collector import NAME, FileUse
from kubestrace_agent.views.files.kernel import Files
from kubestrace_agent.views.files.sources import PART
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import files_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    unpacked(NAME, request, files_pb2.FilesRequest())
    return ViewRequest(lambda *_: [FileUse()], parts=(PART,), shows_paths=True)


VIEW = View(NAME, _ask, lambda programs, abis: {PART: Files(programs, abis)}, needs=(PART,))
