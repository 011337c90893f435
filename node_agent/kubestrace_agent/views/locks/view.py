"""The view locks: for which locks threads wait, and how long those that have them keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.locks.collector import NAME, LockWaits
from kubestrace_agent.views.locks.kernel import Locks
from kubestrace_agent.views.locks.sources import PART
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import locks_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    unpacked(NAME, request, locks_pb2.LocksRequest())
    return ViewRequest(lambda *_: [LockWaits()], parts=(PART,))


VIEW = View(NAME, _ask, lambda programs, abis: {PART: Locks(programs, abis)}, needs=(PART,))
