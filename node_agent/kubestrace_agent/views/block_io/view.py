"""The view blockIO: what block devices did for a container, and how long that took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.block_io.collector import NAME, BlockRequests
from kubestrace_agent.views.block_io.kernel import BlockIO
from kubestrace_agent.views.block_io.sources import PART
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import block_io_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    unpacked(NAME, request, block_io_pb2.BlockIORequest())
    return ViewRequest(lambda *_: [BlockRequests()], parts=(PART,))


VIEW = View(NAME, _ask, lambda programs, _abis: {PART: BlockIO(programs)}, needs=(PART,))
