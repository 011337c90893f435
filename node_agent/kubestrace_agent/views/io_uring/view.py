"""The view ioUring: what programs had done by io_uring, which no system call shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.io_uring.collector import NAME, RingOperations
from kubestrace_agent.views.io_uring.kernel import IOUring
from kubestrace_agent.views.io_uring.sources import PART
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import io_uring_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    unpacked(NAME, request, io_uring_pb2.IOUringRequest())
    return ViewRequest(lambda *_: [RingOperations()], parts=(PART,))


VIEW = View(NAME, _ask, lambda programs, _abis: {PART: IOUring(programs)}, needs=(PART,))
