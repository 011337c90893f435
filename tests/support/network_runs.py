"""Programs in containers with the view network, and what it tells of them."""

import sys
import time

from engine_runs import Cgroup, Run, Runs
from view_messages import network

from kubestrace_agent.views.network.collector import Connections
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import network_pb2

# For the programs: a network namespace of their own, and steps that wait for a word.
PRELUDE = """
import ctypes, errno, fcntl, os, socket, struct, sys, time
def alone():
    assert ctypes.CDLL(None).unshare(0x40000000) == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"lo", 0x41))
def step(word="ready"):
    print(word, flush=True)
    sys.stdin.read(1)
def error_of(connection, address):
    try:
        connection.connect(address)
    except OSError as error:
        return error.errno
    return 0
def listening(address="127.0.0.1", backlog=16, family=socket.AF_INET):
    server = socket.socket(family)
    server.bind((address, 0))
    server.listen(backlog)
    return server
def pair(server):
    client = socket.create_connection(server.getsockname()[:2])
    return client, server.accept()[0]
def all_of(connection, size, flags=0):
    got = 0
    while got < size:
        got += len(connection.recv(size - got, flags))
    return got
def deaf(server):  # drops all that comes to it
    program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    server.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 1, ctypes.addressof(program)))
"""


class Watched:
    """A container with the view, collected as a session does."""

    def __init__(self, runs: Runs, slot: int) -> None:
        self.runs, self.slot = runs, slot
        self.collector = Connections()
        self.collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("sockets", slot, True)
        self.read()

    def read(self) -> None:
        """Take what there is."""
        told = self.runs.tracer.read("sockets").get(self.slot)
        self.collector.take(told, self.runs.tracer.lost("sockets", self.slot), 0)

    def reported(self) -> network_pb2.NetworkResult:
        """Give what there is now."""
        time.sleep(0.1)
        self.read()
        report = agent_pb2.ContainerReport()
        self.collector.write(report)
        assert not report.trust.losses
        return network(report)

    def peer(self, role: str) -> network_pb2.NetworkPeer:
        """Give the only row of a role."""
        (row,) = [row for row in self.reported().peers if row.role == role]
        return row


class Program:
    """A script of Python in a container that waits at its steps."""

    def __init__(self, runs: Runs, cgroup: Cgroup | None, script: str, *arguments: str) -> None:
        self.run = Run(cgroup, sys.executable, "-c", PRELUDE + script, *arguments)
        runs.running.append(self.run)
        self.word = self.run.hear().decode()

    def go(self) -> str:
        """Have it go on until its next step."""
        self.word = self.run.say().decode()
        return self.word

    def end(self) -> None:
        """Have it go on to its end."""
        self.run.finish()


def whole(runs: Runs, script: str) -> network_pb2.NetworkResult:
    """Run a script whose first step is before what counts; the result after its end."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, script)
    watched = Watched(runs, runs.trace(cgroup))
    program.run.stdin.write(b"xxxxxxxx")
    program.end()
    return watched.reported()
