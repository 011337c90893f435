"""A DNS server for programs in network namespaces of their own, and what the view network tells of their queries."""

import time
from pathlib import Path

from engine_runs import Cgroup, Runs
from network_runs import Program, Watched
from view_messages import network

from kubestrace_agent.views.network.dns_collector import Lookups
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import network_pb2

# For the programs, behind network_runs.PRELUDE.
SERVER = f"""
sys.path.insert(0, {str(Path(__file__).parent)!r})
from dns_server import *
"""


class WatchedDns(Watched):
    """A container with the view and its queries, collected as a session does."""

    def __init__(self, runs: Runs, slot: int) -> None:
        self.lookups = Lookups()
        self.lookups.begin(time.monotonic_ns(), 0)
        super().__init__(runs, slot)
        runs.tracer.enable("dns", slot, True)
        self.read()

    def read(self) -> None:
        """Take what there is."""
        super().read()
        told = self.runs.tracer.read("dns").get(self.slot)
        self.lookups.take(told, self.runs.tracer.lost("dns", self.slot), 0)

    def reported(self) -> network_pb2.NetworkResult:
        """Give what there is now."""
        time.sleep(0.1)
        self.read()
        report = agent_pb2.ContainerReport()
        self.collector.write(report)
        self.lookups.write(report)
        assert not report.trust.losses
        return network(report)


def asked(runs: Runs, script: str, cgroup: Cgroup | None = None) -> network_pb2.NetworkResult:
    """Run a script whose first step is before what counts; the result after its end."""
    cgroup = cgroup or runs.cgroup()
    program = Program(runs, cgroup, SERVER + script)
    watched = WatchedDns(runs, runs.trace(cgroup))
    program.run.stdin.write(b"xxxxxxxx")
    program.end()
    return watched.reported()


__all__ = ["SERVER", "Program", "WatchedDns", "asked"]
