"""The view errors: when each kind of failure was first and last, and some of the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.errors.collector import NAME, Failures
from kubestrace_agent.views.errors.kernel import Errors
from kubestrace_agent.views.errors.sources import PART
from kubestrace_agent.views.view import RequestError, View, ViewRequest, unpacked
from kubestrace_protos.v1.views import errors_pb2
from kubestrace_protos.v1.views.errors_limits import MAX_SAMPLES

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    samples = unpacked(NAME, request, errors_pb2.ErrorsRequest()).samples
    if not 1 <= samples <= MAX_SAMPLES:
        raise RequestError("InvalidErrors", f"samples is {samples}, and must be from 1 to {MAX_SAMPLES}")
    return ViewRequest(lambda wanted, *_: [Failures(samples, wanted)], parts=(PART,))


VIEW = View(NAME, _ask, lambda programs, abis: {PART: Errors(programs, abis)}, needs=(PART,))
