"""Whom containers talk to over TCP, against what programs did that know it."""

from collections.abc import Callable

from engine_runs import Cgroup, Runs, links
from network_runs import Program, Watched, whole
from view_messages import network

from kubestrace_agent.views.network.collector import Connections
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import network_pb2

MS = 1_000_000


def only(result: network_pb2.NetworkResult, role: str) -> network_pb2.NetworkPeer:
    """Give the only row of a role."""
    (row,) = [row for row in result.peers if row.role == role]
    return row


def failures(row: network_pb2.NetworkPeer) -> dict[str, int]:
    """Give them by errno."""
    return {each.errno: each.count for each in row.failed}


TALK = """
server = listening()
step()
client, accepted = pair(server)
client.sendall(b"x" * 1000)
assert all_of(accepted, 1000, socket.MSG_PEEK) and all_of(accepted, 1000) == 1000
accepted.sendall(b"y" * 300)
assert all_of(client, 300) == 300
client.close()
assert accepted.recv(1) == b""
accepted.close()
server.close()
"""


def test_a_thousand_bytes_sent_are_a_thousand_received(runs: Runs) -> None:
    """By both ends, the FIN and what was looked at before not counted; each call has its row."""
    result = whole(runs, TALK)

    client, server = only(result, "client"), only(result, "server")
    assert (client.attempts, client.established, client.closed, client.open) == (1, 1, 1, 0)
    assert (server.attempts, server.established, server.closed, server.open) == (0, 1, 1, 0)
    assert (client.bytes_sent, client.bytes_received) == (1000, 300)
    assert (server.bytes_sent, server.bytes_received) == (300, 1000)
    assert client.address == server.address == "127.0.0.1"
    assert client.port == server.port
    assert list(client.connect.counts) == [1] == list(client.lifetime.counts) == list(server.lifetime.counts)
    assert min(client.connect.max_nanoseconds, client.lifetime.max_nanoseconds) > 0
    assert client.rtt_count == 1
    assert not client.failed
    assert not client.abandoned + client.reset
    (listener,) = result.listeners
    assert (listener.port, listener.accepted, list(listener.accept_delay.counts)) == (client.port, 1, [1])
    assert (listener.backlog_peak, listener.backlog_max) == (1, 16)
    assert (result.calls.connect_attempts, result.calls.accepted) == (1, 1)


def test_what_sendfile_moves_is_counted(runs: Runs) -> None:
    """No call says how much that was."""
    result = whole(
        runs,
        """
server = listening()
file = os.memfd_create("data")
os.write(file, bytes(100000))
step()
client, accepted = pair(server)
os.lseek(file, 0, 0)
left = 100000
while left:
    left -= os.sendfile(client.fileno(), file, None, left)
    accepted.setblocking(False)
    try:
        while accepted.recv(1 << 20): pass
    except BlockingIOError: pass
client.close()
""",
    )

    assert only(result, "client").bytes_sent == 100_000
    assert only(result, "server").bytes_received == 100_000


def test_refused(runs: Runs) -> None:
    """By calls that wait and calls that do not; who asks for the error once more makes no attempt."""
    result = whole(
        runs,
        """
server = listening()
address = server.getsockname()
server.close()
step()
with socket.socket() as one, socket.socket() as other:
    assert error_of(one, address) == errno.ECONNREFUSED
    other.setblocking(False)
    assert error_of(other, address) in (errno.ECONNREFUSED, errno.EINPROGRESS)
""",
    )

    client = only(result, "client")
    assert (client.attempts, client.established, client.closed) == (2, 0, 0)
    assert failures(client) == {"ECONNREFUSED": 2}
    assert result.calls.connect_attempts == 2


def test_nobody_answers(runs: Runs) -> None:
    """Some wait for the kernel to give up, some give up themselves: abandoned, with how long they had waited."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, """
alone()
server = listening()
deaf(server)
step()
gives_up, waits = socket.socket(), socket.socket()
gives_up.setblocking(False)
assert error_of(gives_up, server.getsockname()) == errno.EINPROGRESS
time.sleep(0.3)
gives_up.close()
waits.setsockopt(socket.IPPROTO_TCP, 18, 1200)
assert error_of(waits, server.getsockname()) == errno.ETIMEDOUT
step()
""")  # fmt: skip
    watched = Watched(runs, runs.trace(cgroup))
    program.go()

    result = watched.reported()

    client = only(result, "client")
    assert (client.attempts, client.established, client.abandoned) == (2, 0, 1)
    assert failures(client) == {"ETIMEDOUT": 1}
    assert 300 * MS <= client.longest_abandoned_nanoseconds < 20_000 * MS
    assert client.retransmits >= 1
    assert (client.bytes_sent, client.bytes_received) == (0, 0)
    assert result.pod.counters["TcpExt.TCPSynRetrans"] == client.retransmits


def test_what_the_kernel_refuses_itself_has_its_peer(runs: Runs) -> None:
    """No route, and no port of one's own: there was no packet."""
    result = whole(
        runs,
        """
alone()
server = listening()
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
    file.write("40000 40001")
step()
kept = [socket.create_connection(server.getsockname()) for _ in range(2)]
with socket.socket() as one, socket.socket() as other, socket.socket(socket.AF_INET6) as third:
    assert error_of(one, server.getsockname()) == errno.EADDRNOTAVAIL
    assert error_of(other, ("192.0.2.7", 5432)) == errno.ENETUNREACH
    assert error_of(third, ("2001:db8::7", 5432)) == errno.ENETUNREACH
""",
    )

    rows = {(row.address, row.port): row for row in result.peers if row.role == "client"}
    assert failures(rows["192.0.2.7", 5432]) == {"ENETUNREACH": 1}
    assert failures(rows["2001:db8::7", 5432]) == {"ENETUNREACH": 1}
    (local,) = [row for row in rows.values() if row.address == "127.0.0.1"]
    assert (local.attempts, local.established, failures(local)) == (3, 2, {"EADDRNOTAVAIL": 1})
    assert sum(row.attempts for row in rows.values()) == result.calls.connect_attempts == 5


def test_a_connection_that_is_closed_by_half(runs: Runs) -> None:
    """It is open, and its peer is known to send no more."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, """
server = listening()
step()
client, accepted = pair(server)
client.sendall(b"x" * 10)
client.shutdown(socket.SHUT_WR)
assert all_of(accepted, 10) == 10 and accepted.recv(1) == b""
step()
accepted.sendall(b"y" * 20)
accepted.close()
assert all_of(client, 20) == 20 and client.recv(1) == b""
client.close()
""")  # fmt: skip
    watched = Watched(runs, runs.trace(cgroup))
    program.go()

    before = watched.reported()
    program.end()
    after = watched.reported()

    assert (only(before, "server").open, only(before, "server").half_closed) == (1, 1)
    assert (only(before, "client").open, only(before, "client").half_closed) == (1, 0)
    assert only(before, "server").bytes_received == 10
    assert (only(after, "server").open, only(after, "server").half_closed, only(after, "server").reset) == (0, 0, 0)
    assert (only(after, "client").bytes_sent, only(after, "client").bytes_received) == (10, 20)


def test_a_reset(runs: Runs) -> None:
    """The other end dropped the connection: bytes until then are counted."""
    result = whole(
        runs,
        """
server = listening()
step()
client, accepted = pair(server)
client.sendall(b"x" * 1000)
assert all_of(accepted, 1000) == 1000
accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
accepted.close()
try:
    client.recv(1)
except ConnectionResetError:
    pass
client.close()
""",
    )

    client, server = only(result, "client"), only(result, "server")
    assert (client.closed, client.reset, client.bytes_sent, client.bytes_received) == (1, 1, 1000, 0)
    assert (server.closed, server.reset, server.bytes_received) == (1, 0, 1000)


def test_addresses_of_version_6_and_mapped_ones(runs: Runs) -> None:
    """A peer of version 4 is one peer, whichever sockets talk to it."""
    result = whole(
        runs,
        """
server = listening("::", family=socket.AF_INET6)
port = server.getsockname()[1]
step()
kept = [server]
for family, address in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")):
    client = socket.socket(family)
    client.connect((address, port))
    accepted = server.accept()[0]
    client.sendall(b"x" * 7)
    assert all_of(accepted, 7) == 7
    kept += [client, accepted]
""",
    )

    for role in ("client", "server"):
        rows = {row.address: row.established for row in result.peers if row.role == role}
        assert rows == {"::1": 1, "127.0.0.1": 2}, role
    (listener,) = result.listeners
    assert (listener.address, listener.accepted) == ("::", 3)


def test_a_queue_that_overflows_and_a_slow_accept(runs: Runs) -> None:
    """How long connections waited to be accepted, and what the kernel dropped because of that."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, """
alone()
server = listening(backlog=1)
step()
clients = [socket.socket() for _ in range(5)]
for client in clients:
    client.setblocking(False)
    error_of(client, server.getsockname())
time.sleep(0.25)
server.accept()
server.accept()
step()
""")  # fmt: skip
    watched = Watched(runs, runs.trace(cgroup))
    program.go()

    result = watched.reported()

    (listener,) = result.listeners
    assert (listener.backlog_peak, listener.backlog_max) == (2, 1)
    assert listener.accepted == 2
    assert 250 * MS <= listener.accept_delay.max_nanoseconds < 20_000 * MS
    assert result.pod.counters["TcpExt.ListenOverflows"] >= 1
    assert not result.pod.of_node


def test_the_network_of_the_node_is_told_as_such(runs: Runs) -> None:
    """A pod with hostNetwork, a program started here: what is dropped there may be anybody's."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, "step()\nstep()\n")
    watched = Watched(runs, runs.trace(cgroup))
    program.go()

    assert watched.reported().pod.of_node


def test_connections_from_before_the_session(runs: Runs) -> None:
    """They have their side and are open; what they move is counted from now on, also while they are open."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, """
server = listening()
client, accepted = pair(server)
client.sendall(b"x" * 5000)
assert all_of(accepted, 5000) == 5000
step()
client.sendall(b"x" * 1000)
assert all_of(accepted, 1000) == 1000
step()
accepted.sendall(b"y" * 200)
assert all_of(client, 200) == 200
client.close()
assert accepted.recv(1) == b""
accepted.close()
""")  # fmt: skip
    watched = Watched(runs, runs.trace(cgroup))
    program.go()

    before = watched.reported()
    program.end()
    after = watched.reported()

    client, server = only(before, "client"), only(before, "server")
    assert (client.attempts, client.established, client.open, client.bytes_sent) == (0, 0, 1, 1000)
    assert (server.established, server.open, server.bytes_received) == (0, 1, 1000)
    client, server = only(after, "client"), only(after, "server")
    assert (client.closed, client.open, client.bytes_sent, client.bytes_received) == (1, 0, 1000, 200)
    assert (server.closed, server.open, server.bytes_sent, server.bytes_received) == (1, 0, 200, 1000)
    assert not client.lifetime.counts


def test_passed_sockets_are_said(runs: Runs, cgroup: Callable[..., Cgroup]) -> None:
    """They were made elsewhere, so that they are not counted as the container's."""
    own = cgroup()
    program = Program(runs, None, """
server = listening()
client, accepted = pair(server)
step()
client.sendall(b"x" * 100)
step()
""")  # fmt: skip
    own.take(program.run.process.pid)
    watched = Watched(runs, runs.trace(own))
    program.go()

    result = watched.reported()

    assert result.passed_sockets == 3
    assert not result.peers


def test_a_neighbour_is_not_counted(runs: Runs, cgroup: Callable[..., Cgroup]) -> None:
    """Neither its own connections, nor its end of those to the container."""
    own, other = cgroup(), cgroup()
    server = Program(runs, own, """
server = listening()
step(server.getsockname()[1])
accepted = server.accept()[0]
assert all_of(accepted, 1000) == 1000
step()
""")  # fmt: skip
    watched = Watched(runs, runs.trace(own))
    neighbour = Program(runs, other, f"step()\n{TALK.replace('step()', '')}\n"
        "client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\nclient.sendall(b'x' * 1000)\nstep()",
        server.word)  # fmt: skip
    server.run.stdin.write(b"x")
    neighbour.go()
    server.run.hear()

    result = watched.reported()

    row = only(result, "server")
    assert len(result.peers) == 1
    assert (row.established, row.bytes_received, row.open) == (1, 1000, 1)


def test_a_nested_cgroup_is_the_containers(runs: Runs, cgroup: Callable[..., Cgroup]) -> None:
    """As those of systemd in a container."""
    own = cgroup()
    program = Program(runs, cgroup(cgroup(own)), TALK)
    watched = Watched(runs, runs.trace(own))

    program.run.stdin.write(b"x")
    program.end()

    assert watched.peer("client").bytes_sent == 1000
    assert watched.peer("server").bytes_received == 1000


def test_a_process_that_is_followed_by_its_pid(runs: Runs) -> None:
    """Its cgroup is everybody's: sockets are known by who makes them, and by the port that they came to."""
    program = Program(runs, None, f"step()\n{TALK}")
    slot = runs.tracer.add_process(program.run.process.pid, wanted=None)
    runs.slots.append(slot)
    watched = Watched(runs, slot)

    program.run.stdin.write(b"xx")
    program.end()

    assert watched.peer("client").bytes_sent == 1000
    assert watched.peer("server").bytes_received == 1000


def test_calls_and_rows_agree(runs: Runs) -> None:
    """Each call that the summary counts is an attempt, asks for the outcome of one, or is of another socket."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, """
server, gone = listening(), listening()
nobody = gone.getsockname()
gone.close()
datagrams, local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX)
step()
for _ in range(20):
    client, accepted = pair(server)
    assert error_of(client, server.getsockname()) == errno.EISCONN
    client.close()
    accepted.close()
for _ in range(5):
    with socket.socket() as client: error_of(client, nobody)
for _ in range(3): datagrams.connect(nobody)
for _ in range(2): error_of(local, "/nowhere")
server.setblocking(False)
for _ in range(4):
    try: server.accept()
    except BlockingIOError: pass
step()
""")  # fmt: skip
    slot = runs.trace(cgroup)
    watched = Watched(runs, slot)
    program.go()

    result, counted = watched.reported(), {"connect": 0, "accept4": 0}
    for each in runs.since(slot).syscalls:
        if each.name in counted:
            counted[each.name] += each.calls

    calls = result.calls
    assert (calls.connect_attempts, calls.connect_again, calls.connect_other) == (25, 20, 5)
    assert (calls.accepted, calls.accept_failed, calls.accept_other) == (20, 4, 0)
    assert counted == {"connect": 50, "accept4": 24}
    assert sum(row.attempts for row in result.peers) == 25


def test_more_peers_than_there_are_rows(runs: Runs) -> None:
    """The others are in one row, and the sums are right."""
    result = whole(
        runs,
        """
step()
for number in range(2100):
    with socket.socket() as client:
        assert error_of(client, (f"127.9.{number // 256}.{number % 256}", 1)) == errno.ECONNREFUSED
""",
    )

    assert sum(row.attempts for row in result.peers) == 2100
    assert sum(sum(failures(row).values()) for row in result.peers) == 2100
    (others,) = [row for row in result.peers if row.other]
    assert (len(result.peers), others.attempts, failures(others)) == (513, 2100 - 512, {"ECONNREFUSED": 2100 - 512})
    assert result.calls.connect_attempts == 2100


def test_a_second_session_begins_at_zero(runs: Runs) -> None:
    """What was counted before is not its own, and connections that are open are."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, TALK + "\nserver = listening()\nopen = pair(server)\nstep()\n")
    watched = Watched(runs, runs.trace(cgroup))
    program.go()
    second = Connections()
    watched.read()
    second.begin(0, 0)
    second.take(watched.collector.now, 0, 0)
    report = agent_pb2.ContainerReport()
    second.write(report)

    rows = list(network(report).peers)

    assert [(row.attempts, row.established, row.bytes_sent, row.open) for row in rows] == [(0, 0, 0, 1)] * 2


def test_nothing_is_attached_or_held_afterwards(runs: Runs) -> None:
    """The last slot's end detaches the programs and empties the maps."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, TALK)
    watched = Watched(runs, runs.trace(cgroup))
    program.run.stdin.write(b"x")
    program.end()
    assert watched.reported().peers

    runs.disable(watched.slot)

    assert links() == []
