"""A DNS server for programs in network namespaces of their own, and what the view network tells of their queries."""

import time

from engine_runs import Cgroup, Runs
from network_runs import Program, Watched
from view_messages import network

from kubestrace_agent.views.network.dns_collector import Lookups
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import network_pb2

# For the programs, behind network_runs.PRELUDE: a server at 127.0.0.1:53 (UDP and TCP) that answers by the name.
SERVER = r"""
import tempfile, threading
def apart(resolv="nameserver 127.0.0.1\n"):
    # Namespaces of their own, for the network and for /etc/resolv.conf.
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(0x40020000) == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"lo", 0x41))
    file = tempfile.NamedTemporaryFile(delete=False)
    file.write(resolv.encode()); file.close()
    assert libc.mount(b"none", b"/", None, 0x44000, None) == 0
    assert libc.mount(file.name.encode(), b"/etc/resolv.conf", None, 0x1000, None) == 0
def wire(name):
    return b"".join(bytes([len(part)]) + part for part in name.encode("latin-1").split(b".") if part) + b"\0"
def query(name, kind=1, number=7, flags=0x100):
    return struct.pack(">6H", number, flags, 1, 0, 0, 0) + wire(name) + struct.pack(">2H", kind, 1)
def answer(asked, code=0, records=(), pointer=True, flags=0):
    end = 12
    while asked[end]: end += asked[end] + 1
    question, name = asked[12:end + 5], b"\xc0\x0c" if pointer else asked[12:end + 1]
    body = b"".join(
        name + struct.pack(">HHIH", 28 if len(data) == 16 else 1, 1, 60, len(data)) + data for data in records)
    return asked[:2] + struct.pack(">5H", 0x8180 | flags | code, 1, len(records), 0, 0) + question + body
def said(asked):
    end = 12
    while asked[end]: end += asked[end] + 1
    name, kind = asked[12:end].lower(), asked[end + 2]
    if b"silent" in name: return None
    if b"refuse" in name: return answer(asked, 5)
    if b"fail" in name: return answer(asked, 2)
    if b"slow" in name: time.sleep(0.2)
    if b"missing" in name or b"search" in name: return answer(asked, 3)
    if kind == 28: return answer(asked, 0, [bytes(15) + b"\1"])
    return answer(asked, 0, [b"\x7f\0\0\1"], pointer=b"plain" not in name)
def serve():
    udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for each in udp, tcp: each.bind(("127.0.0.1", 53))
    tcp.listen(8)
    def datagrams():
        while True:
            asked, whose = udp.recvfrom(4096)
            told = said(asked)
            if told: udp.sendto(told, whose)
    def streams():
        while True:
            connection, _ = tcp.accept()
            while True:
                head = connection.recv(2, socket.MSG_WAITALL)
                if len(head) < 2: break
                told = said(connection.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL))
                if told: connection.sendall(struct.pack(">H", len(told)) + told)
            connection.close()
    for each in datagrams, streams: threading.Thread(target=each, daemon=True).start()
def client(connected=True):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 5, 0))
    if connected: made.connect(("127.0.0.1", 53))
    return made
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
