"""The view network: whom a container talks to over TCP, by peer, and what it asks DNS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubestrace_agent.views.network.collector import NAME, Connections
from kubestrace_agent.views.network.dns import Questions
from kubestrace_agent.views.network.dns_collector import Lookups
from kubestrace_agent.views.network.kernel import Sockets
from kubestrace_agent.views.network.sources import DNS_PART, PART
from kubestrace_agent.views.view import View, ViewRequest, unpacked
from kubestrace_protos.v1.views import network_pb2

if TYPE_CHECKING:
    from google.protobuf import any_pb2


def _ask(request: any_pb2.Any, _now_ns: int) -> ViewRequest:
    asked = unpacked(NAME, request, network_pb2.NetworkRequest())
    if asked.dns:
        # The second adds to what the first has written.
        return ViewRequest(lambda *_: [Connections(), Lookups()], parts=(PART, DNS_PART))
    return ViewRequest(lambda *_: [Connections()], parts=(PART,))


VIEW = View(
    NAME,
    _ask,
    lambda programs, abis: {PART: Sockets(programs, abis), DNS_PART: Questions(programs, abis)},
    needs=(PART,),
    gains_by=(DNS_PART,),
)
