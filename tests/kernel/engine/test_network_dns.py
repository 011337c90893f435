"""What containers ask DNS, against a server that knows what it was asked."""

import time

import pytest
from dns_runs import SERVER, Program, WatchedDns, asked
from engine_runs import Runs
from view_messages import network

from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import network_pb2

Row = network_pb2.DnsQuestion


def rows(result: network_pb2.NetworkResult) -> dict[tuple[str, str], Row]:
    """Give the rows by name and type."""
    return {(row.name, row.type): row for row in result.questions}


def numbers(row: Row) -> tuple[int, ...]:
    """Give how many queries, answers, and of these not there, failed and refused; without an answer."""
    return row.queries, row.answers, row.nxdomain, row.servfail, row.failed, row.unanswered


BY_DATAGRAM = """
apart(); serve()
step()
one = client()
for number, name in enumerate("www.good WWW.Good missing fail refuse slow".split()):
    one.send(query(name + ".test", number=number))
    assert one.recv(512)[:2] == bytes([0, number])
one.close()
"""


def test_queries_by_name_and_what_came_of_them(runs: Runs) -> None:
    """Capital letters are the same name; each code has its count, and the server's side is not counted."""
    result = asked(runs, BY_DATAGRAM)

    found = rows(result)
    assert {key: numbers(row) for key, row in found.items()} == {
        ("www.good.test", "A"): (2, 2, 0, 0, 0, 0),
        ("missing.test", "A"): (1, 1, 1, 0, 0, 0),
        ("fail.test", "A"): (1, 1, 0, 1, 0, 0),
        ("refuse.test", "A"): (1, 1, 0, 0, 1, 0),
        ("slow.test", "A"): (1, 1, 0, 0, 0, 0),
    }
    assert {row.server for row in result.questions} == {"127.0.0.1"}
    assert 200_000_000 <= found["slow.test", "A"].times.max_nanoseconds < 2_000_000_000
    assert found["www.good.test", "A"].times.max_nanoseconds < 200_000_000
    assert [(each.address, each.name) for each in result.names] == [("127.0.0.1", "slow.test")]
    assert result.odd_messages == network_pb2.DnsOddMessages()


def test_names_of_a_search_list(runs: Runs) -> None:
    """What getaddrinfo asks for one name: all that its list adds, of both types, and the name itself last."""
    result = asked(
        runs,
        """
apart("nameserver 127.0.0.1\\nsearch ns.search.test search.test\\noptions ndots:5\\n"); serve()
socket.getaddrinfo("localhost", 1)
step()
assert socket.getaddrinfo("www.good.test", 80)
""",
    )

    assert {key: numbers(row)[:3] for key, row in rows(result).items()} == {
        (name, kind): (1, 1, gone)
        for kind in ("A", "AAAA")
        for name, gone in (("www.good.test.ns.search.test", 1), ("www.good.test.search.test", 1), ("www.good.test", 0))
    }
    assert {each.address: each.name for each in result.names} == {"127.0.0.1": "www.good.test", "::1": "www.good.test"}


def test_queries_without_an_answer(runs: Runs) -> None:
    """One whose socket was closed, one that was sent again; one that is a moment old and waited for is none yet."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, SERVER + """
apart(); serve()
step()
closed, again, young = client(), client(), client()
closed.send(query("closed.silent.test"))
closed.close()
for name in ("again.silent.test", "again.silent.test"): again.send(query(name))
step()
young.send(query("young.silent.test"))
step()
""")  # fmt: skip
    watched = WatchedDns(runs, runs.trace(cgroup))
    program.go()
    found = rows(watched.reported())
    assert numbers(found["closed.silent.test", "A"]) == (1, 0, 0, 0, 0, 1)
    assert numbers(found["again.silent.test", "A"]) == (2, 0, 0, 0, 0, 1)
    program.go()
    assert numbers(rows(watched.reported())["young.silent.test", "A"]) == (1, 0, 0, 0, 0, 0)
    program.end()
    found = rows(watched.reported())
    assert numbers(found["again.silent.test", "A"]) == (2, 0, 0, 0, 0, 2)
    assert numbers(found["young.silent.test", "A"]) == (1, 0, 0, 0, 0, 1)


def test_nothing_is_unanswered_where_nobody_knows_what_is_open(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk over the open files that fails says nothing of sockets."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, SERVER + """
apart(); serve()
step()
one = client()
one.send(query("young.silent.test"))
step()
one.send(query("young.silent.test", number=8))
step()
""")  # fmt: skip
    watched = WatchedDns(runs, runs.trace(cgroup))
    monkeypatch.setattr(runs.tracer._programs, "walk", lambda _: None)
    program.go()
    assert numbers(rows(watched.reported())["young.silent.test", "A"]) == (1, 0, 0, 0, 0, 0)
    time.sleep(1.1)
    assert numbers(rows(watched.reported())["young.silent.test", "A"]) == (1, 0, 0, 0, 0, 1)
    monkeypatch.undo()
    program.go()
    program.end()
    assert numbers(rows(watched.reported())["young.silent.test", "A"]) == (2, 0, 0, 0, 0, 2)


def test_each_way_to_send_and_receive(runs: Runs) -> None:
    """Connected or not, in several buffers, by a socket that asks nobody for the sender."""
    result = asked(
        runs,
        """
apart(); serve()
step()
one, free = client(), client(connected=False)
where = ("127.0.0.1", 53)
os.write(one.fileno(), query("write.test")); assert os.read(one.fileno(), 512)
os.writev(one.fileno(), [query("writev.test")]); assert os.readv(one.fileno(), [bytearray(512)])
one.sendmsg([query("sendmsg.test")]); assert one.recvmsg(512)
free.sendto(query("sendto.test"), where); assert free.recvfrom(512)
free.sendmsg([query("free.test")], [], 0, where); assert free.recv(512)
one.send(query("peek.test")); assert one.recv(512, socket.MSG_PEEK); assert one.recv(512)
""",
    )

    found = {row.name: numbers(row)[:2] for row in result.questions}
    assert found == {f"{name}.test": (1, 1) for name in ("write", "writev", "sendmsg", "sendto", "free", "peek")}
    assert {row.server for row in result.questions} == {"127.0.0.1"}


def test_queries_over_tcp(runs: Runs) -> None:
    """With the length in the same buffer, in one of its own, and in a call of its own."""
    result = asked(
        runs,
        """
apart(); serve()
step()
one = socket.create_connection(("127.0.0.1", 53))
def long(name): return struct.pack(">H", len(query(name)))
one.sendall(long("whole.test") + query("whole.test")); assert one.recv(512)
os.writev(one.fileno(), [long("parts.test"), query("parts.test")])
size, = struct.unpack(">H", one.recv(2)); assert len(one.recv(size)) == size
one.sendmsg([long("missing.test"), query("missing.test")]); assert one.recv(512)
one.close()
""",
    )

    assert {row.name: numbers(row)[:3] for row in result.questions} == {
        "whole.test": (1, 1, 0),
        "parts.test": (1, 1, 0),
        "missing.test": (1, 1, 1),
    }


def test_a_static_program_without_a_resolver(runs: Runs) -> None:
    """What nothing in user space would see."""
    result = asked(
        runs,
        f"""
import subprocess
apart(); serve()
step()
assert subprocess.run([{str(runs.program("asks"))!r}, "Static.test"], timeout=200).returncode == 0
""",
    )

    assert {key: numbers(row)[:2] for key, row in rows(result).items()} == {("static.test", "AAAA"): (2, 2)}
    assert [(each.address, each.name) for each in result.names] == [("::1", "static.test")]


def test_several_queries_in_one_call(runs: Runs) -> None:
    """As glibc sends two; of more than eight the rest is told to be unread."""
    result = asked(
        runs,
        """
class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
class Head(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_size", ctypes.c_uint32), ("parts", ctypes.POINTER(Part)),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_size", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("length", ctypes.c_uint32), ("padding", ctypes.c_uint32)]
def heads(texts):
    rooms = [ctypes.create_string_buffer(text, len(text)) for text in texts]
    parts = [Part(ctypes.addressof(room), len(room)) for room in rooms]
    made = (Head * len(texts))(*[Head(parts=ctypes.pointer(part), count=1) for part in parts])
    made.kept = rooms, parts
    return made
libc = ctypes.CDLL(None)
apart(); serve()
step()
one = client()
assert libc.sendmmsg(one.fileno(), heads([query(f"n{n}.test", number=n) for n in range(10)]), 10, 0) == 10
time.sleep(0.5)
assert libc.recvmmsg(one.fileno(), heads([bytes(512)] * 8), 8, 0, None) == 8
""",
    )

    assert {row.name: numbers(row)[:2] for row in result.questions} == {f"n{n}.test": (1, 1) for n in range(8)}
    assert result.odd_messages.unread == 2


def test_messages_that_are_none(runs: Runs) -> None:
    """Nothing of these becomes a row but what can be read; the rest is counted."""
    result = asked(
        runs,
        """
apart(); serve()
step()
one = client()
head = struct.pack(">6H", 1, 0x100, 1, 0, 0, 0)
odd = [b"x", head, head + b"\\xc0\\x0c\\0\\1\\0\\1", head + b"\\x3fabc\\0\\1", head + b"\\0", bytes(3) + b"\\x78" * 60,
       struct.pack(">6H", 1, 0x100, 2, 0, 0, 0) + wire("two.silent") + b"\\0\\1\\0\\1",
       struct.pack(">6H", 1, 0x8180, 1, 0, 0, 0) + wire("answer.silent") + b"\\0\\1\\0\\1"]
closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
closed.connect(("127.0.0.2", 53))
for each in odd:
    try: closed.send(each)
    except ConnectionRefusedError: closed.send(each)
one.send(query("a\\x1b[31m\\xff b\\n.silent"))
one.send(query("l" * 63 + "." + "o" * 63 + ".silent"))
one.send(query("x.silent", 65))
one.send(query("", 2, 9)[:12] + b"\\0\\0\\2\\0\\1"); one.recv(512)
""",
    )

    assert {(row.name, row.type) for row in result.questions} == {
        ("a\\027\\09131m\\255\\032b\\010.silent", "A"),
        ("x.silent", "HTTPS"),
        (".", "NS"),
        ("", ""),
    }
    (other,) = [row for row in result.questions if row.other]
    assert (other.queries, other.unanswered, other.server) == (1, 1, "")
    assert result.odd_messages.malformed == 8


def test_answers_that_are_hostile(runs: Runs) -> None:
    """Records that point in circles, that claim to be long or many: the query has its answer, and nothing more."""
    result = asked(
        runs,
        """
apart()
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
step()
one = client()
def told(tail, count=0xffff, name="hostile.test"):
    asked = query(name)
    one.send(asked); _, whose = server.recvfrom(512)
    server.sendto(asked[:2] + struct.pack(">5H", 0x8180, 1, count, 0, 0) + asked[12:] + tail, whose)
    one.recv(65000)
loop = bytes([0xc0, 12 + len(wire("hostile.test")) + 4])
told(loop * 200)
told(loop + struct.pack(">HHIH", 1, 1, 60, 0xffff))
told(loop + struct.pack(">HHIH", 28, 1, 60, 16) + b"x" * 9)
told(b"\\x3f" * 400)
told(b"\\x01a" * 100)
told(b"")
told(loop + struct.pack(">HHIH", 1, 1, 60, 3) + b"abc")
told(b"\\0" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([10, 9, 8, 7]), 1, "true.test")
server.sendto(answer(query("never.test")), one.getsockname()); one.recv(512)
""",
    )

    assert {row.name: numbers(row)[:2] for row in result.questions} == {"hostile.test": (7, 7), "true.test": (1, 1)}
    assert [(each.address, each.name) for each in result.names] == [("10.9.8.7", "true.test")]
    assert (result.odd_messages.unmatched, result.odd_messages.malformed) == (1, 0)


def test_a_neighbour_is_not_counted(runs: Runs) -> None:
    """Another container asks the same at the same time; another one with the view alone has nothing of it."""
    first, second = runs.cgroup(), runs.cgroup()
    ours = Program(runs, first, SERVER + BY_DATAGRAM)
    theirs = Program(runs, second, SERVER + BY_DATAGRAM)
    watched = WatchedDns(runs, runs.trace(first))
    theirs.end()
    assert not watched.reported().questions
    ours.end()

    assert sum(row.queries for row in watched.reported().questions) == 6


def test_nothing_runs_once_nobody_asks(runs: Runs) -> None:
    """The program is attached while a slot wants it, and what it knew is gone after that."""
    cgroup = runs.cgroup()
    program = Program(runs, cgroup, SERVER + BY_DATAGRAM)
    watched = WatchedDns(runs, runs.trace(cgroup))
    assert "on_dns_call" in runs.tracer.active
    program.end()
    assert watched.reported().questions
    runs.tracer.enable("dns", watched.slot, None)

    assert "on_dns_call" not in runs.tracer.active
    assert not runs.tracer.read("dns")


def test_queries_for_which_there_is_no_room(runs: Runs) -> None:
    """Queries whose answers find no room are told to be lost, and are not unanswered."""
    cgroup = runs.cgroup()
    program = Program(
        runs,
        cgroup,
        SERVER
        + """
apart()
deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
deaf.bind(ADDRESS)
step()
held = [client() for _ in range(9)]
for number in range(2000):
    for each in held: each.send(query("flood.silent", number=number))
step()
""",
    )
    watched = WatchedDns(runs, runs.trace(cgroup))
    program.go()
    time.sleep(1.1)
    watched.read()
    lost = runs.tracer.lost("dns", watched.slot)
    report = agent_pb2.ContainerReport()
    watched.lookups.write(report)

    (row,) = network(report).questions
    assert report.trust.losses["dns"] == lost > 0
    assert (row.queries, row.answers) == (18000, 0)
    assert row.unanswered == row.queries - lost
    program.end()


def test_a_full_table_counts_into_other(runs: Runs) -> None:
    """2,100 names: the sums are whole."""
    result = asked(
        runs,
        """
apart()
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
step()
one = client()
for n in range(2100):
    one.send(query(f"n{n}.test", number=n)); asked, whose = server.recvfrom(512)
    server.sendto(answer(asked), whose); one.recv(512)
""",
    )

    assert sum(row.queries for row in result.questions) == 2100 == sum(row.answers for row in result.questions)
    assert len(result.questions) == 257
