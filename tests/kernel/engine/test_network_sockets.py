"""Calls of UDP and unix sockets by peer, against programs that know what they did."""

from engine_runs import Runs
from network_runs import Program, Watched, whole

from kubestrace_protos.v1.views import network_pb2

DATAGRAMS = """
import array
def udp(family=socket.AF_INET, address=""):
    made = socket.socket(family, socket.SOCK_DGRAM)
    if address: made.bind((address, 0))
    return made
def chosen(address="127.0.0.1"):
    # A port that the program chose itself.
    for port in range(20000, 30000):
        made = udp()
        try: made.bind((address, port))
        except OSError: continue
        return made
"""


def failures(row: network_pb2.NetworkTalk) -> dict[str, int]:
    """Give them by errno."""
    return {each.errno: each.count for each in row.failed}


def rows(result: network_pb2.NetworkResult, protocol: str, role: str) -> list[network_pb2.NetworkTalk]:
    """Give those of a role."""
    return [row for row in result.talks if (row.protocol, row.role) == (protocol, role)]


def test_datagrams_of_both_sides(runs: Runs) -> None:
    """Each way of sending and receiving counts once with its bytes; looking does not count them."""
    result = whole(runs, DATAGRAMS + """
server, client = chosen(), udp()
address = server.getsockname()
client.bind(("127.0.0.1", 0))
step()
client.sendto(b"a" * 10, address)
client.sendmsg([b"b" * 20, b"b" * 5], [], 0, address)
client.connect(address)
client.send(b"c" * 100)
os.write(client.fileno(), b"d" * 200)
assert len(server.recvfrom(1000, socket.MSG_PEEK)[0]) == 10
assert [len(server.recvfrom(1000)[0]) for _ in range(2)] == [10, 25]
assert len(server.recvmsg(1000)[0]) == 100
assert len(os.read(server.fileno(), 1000)) == 200
server.sendto(b"e" * 7, client.getsockname())
assert len(client.recv(100)) == 7
server.setblocking(False)
try: server.recv(1)
except BlockingIOError: pass
""")  # fmt: skip

    (client,) = rows(result, "udp", "client")
    assert client.address == "127.0.0.1"
    assert 20000 <= client.port < 30000
    assert (client.connects, client.sends, client.receives) == (1, 4, 1)
    assert (client.bytes_sent, client.bytes_received) == (335, 7)
    server = rows(result, "udp", "server")
    assert {row.port for row in server} == {client.port}
    known, unknown = sorted(server, key=lambda row: row.address, reverse=True)
    # What is read without asking for the sender has none.
    assert (known.address, known.receives, known.bytes_received) == ("127.0.0.1", 4, 135)
    assert (known.sends, known.bytes_sent) == (1, 7)
    assert (unknown.address, unknown.receives, unknown.bytes_received, unknown.again) == ("", 2, 200, 1)


def test_datagrams_that_are_refused(runs: Runs) -> None:
    """The error comes with the call after the one that caused it; what the kernel refuses itself has its address."""
    result = whole(runs, DATAGRAMS + """
alone()
gone = udp(address="127.0.0.1")
nobody = gone.getsockname()
gone.close()
step()
client = udp()
client.connect(nobody)
assert client.send(b"x") == 1
try: client.recv(10)
except ConnectionRefusedError: pass
for _ in range(3):
    try: client.sendto(b"x", ("10.9.8.7", 99))
    except OSError as error: assert error.errno == errno.ENETUNREACH
with udp(socket.AF_INET6) as six:
    try: six.sendto(b"x", ("2001:db8::1", 5353))
    except OSError as error: assert error.errno == errno.ENETUNREACH
""")  # fmt: skip

    found = {row.address: row for row in rows(result, "udp", "client")}
    assert failures(found["127.0.0.1"]) == {"ECONNREFUSED": 1}
    assert (failures(found["10.9.8.7"]), found["10.9.8.7"].port) == ({"ENETUNREACH": 3}, 99)
    assert (failures(found["2001:db8::1"]), found["2001:db8::1"].port) == ({"ENETUNREACH": 1}, 5353)


def test_several_messages_in_one_call(runs: Runs) -> None:
    """Each has its bytes; 100 of 10 bytes are 1,000."""
    result = whole(runs, DATAGRAMS + """
class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
class Head(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_size", ctypes.c_uint32), ("parts", ctypes.POINTER(Part)),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_size", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("length", ctypes.c_uint32), ("padding", ctypes.c_uint32)]
room = ctypes.create_string_buffer(10)
part = Part(ctypes.addressof(room), 10)
heads = (Head * 100)(*[Head(parts=ctypes.pointer(part), count=1) for _ in range(100)])
server, client = chosen(), udp()
client.connect(server.getsockname())
libc = ctypes.CDLL(None)
step()
assert libc.sendmmsg(client.fileno(), heads, 100, 0) == 100
assert libc.recvmmsg(server.fileno(), heads, 100, 0, None) == 100
""")  # fmt: skip

    (client,), (server,) = rows(result, "udp", "client"), rows(result, "udp", "server")
    assert (client.sends, client.bytes_sent) == (1, 1000)
    assert (server.receives, server.bytes_received) == (1, 1000)


def test_unix_sockets_by_name(runs: Runs) -> None:
    """Streams, abstract names, pairs without a name; who is refused has the path that was tried."""
    result = whole(runs, """
import tempfile
folder = tempfile.mkdtemp(dir="/tmp")
os.chdir(folder)
server, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind("here.sock"); server.listen(1)
abstract.bind("\\0kubestrace-test")
step()
client = socket.socket(socket.AF_UNIX)
client.connect("here.sock")
accepted, _ = server.accept()
client.sendall(b"x" * 300)
os.write(client.fileno(), b"y" * 50)
assert all_of(accepted, 350) == 350
os.write(accepted.fileno(), b"z" * 9)
assert len(os.read(client.fileno(), 100)) == 9
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
    other.sendto(b"w" * 40, "\\0kubestrace-test")
assert len(abstract.recv(100)) == 40
for _ in range(3):
    with socket.socket(socket.AF_UNIX) as one: assert error_of(one, "/nowhere/docker.sock") == errno.ENOENT
server.close()
for _ in range(2):
    with socket.socket(socket.AF_UNIX) as one: assert error_of(one, "here.sock") == errno.ECONNREFUSED
left, right = socket.socketpair()
left.sendall(b"v" * 11)
assert right.recv(100) == b"v" * 11
os.unlink("here.sock"); os.rmdir(folder)
""")  # fmt: skip

    clients = {row.path: row for row in rows(result, "unix", "client")}
    servers = {row.path: row for row in rows(result, "unix", "server")}
    here, tried = clients["here.sock"], clients["/nowhere/docker.sock"]
    assert (here.connects, here.sends, here.bytes_sent, here.bytes_received) == (3, 2, 350, 9)
    assert failures(here) == {"ECONNREFUSED": 2}
    assert (tried.connects, failures(tried)) == (3, {"ENOENT": 3})
    assert (clients["@kubestrace-test"].bytes_sent, servers["@kubestrace-test"].bytes_received) == (40, 40)
    server = servers["here.sock"]
    assert (server.accepts, server.bytes_received, server.bytes_sent) == (1, 350, 9)
    assert (clients[""].bytes_sent, clients[""].bytes_received) == (11, 11)


SENDS = ("sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg")


def test_rows_and_calls_agree(runs: Runs) -> None:
    """The sends and receives of all rows are the summary's, less those of TCP and of what is no such socket."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, DATAGRAMS + """
server, client, (left, right) = chosen(), udp(), socket.socketpair()
listener = listening()
step()
for _ in range(50):
    client.sendto(b"x", server.getsockname())
    server.recvfrom(10)
    left.send(b"y"); right.recv(1)
    os.write(left.fileno(), b"y"); os.read(right.fileno(), 1)
one, two = pair(listener)
for _ in range(20):
    one.send(b"z"); two.recv(1)
libc = ctypes.CDLL(None)
for _ in range(3): assert libc.sendto(0, b"x", 1, 0, None, 0) == -1
for number in range(2300): client.sendto(b"x", (f"127.1.{number // 250}.{number % 250 + 1}", 9))
step()
""")  # fmt: skip
    slot = runs.trace(cgroup)
    watched = Watched(runs, slot)
    program.go()

    result = watched.reported()
    counted = sum(each.calls for each in runs.since(slot).syscalls if each.name in SENDS)

    calls, in_rows = result.calls, sum(row.sends + row.receives for row in result.talks)
    assert in_rows == calls.talk_calls + calls.write_calls
    assert (calls.talk_calls, calls.write_calls) == (200 + 2300, 100)
    assert (calls.tcp_calls, calls.other_calls) == (40, 3)
    assert counted == calls.talk_calls + calls.tcp_calls + calls.other_calls
    assert any(row.other for row in result.talks)
    # What stands in trust.differences.
    nine = sum(
        each.calls for each in runs.since(slot).syscalls if each.name in (*SENDS, "connect", "accept", "accept4")
    )
    told = [getattr(calls, field.name) for field in calls.DESCRIPTOR.fields if field.name != "write_calls"]
    assert nine == sum(told)
