"""What the kernel counts for a network namespace, read from files of /proc."""

import os
from pathlib import Path

from kubestrace_agent.containers import network_counters
from kubestrace_agent.containers.network_counters import namespace_of
from kubestrace_protos.v1.network_counters import COUNTERS, LEVELS

SNMP = "Ip: Forwarding\nIp: 1\nTcp: RetransSegs OutSegs\nTcp: {} 500\nUdp: RcvbufErrors\nUdp: 3\n"


def proc(root: Path, retransmitted: int = 7) -> Path:
    """Make the files of process 7, and of the node's first process in another network namespace."""
    for pid in ("7", "1"):
        folder = root / pid / "net"
        folder.mkdir(parents=True)
        (folder / "snmp").write_text(SNMP.format(retransmitted))
        (folder / "netstat").write_text("TcpExt: ListenDrops New\nTcpExt: 4 x\nIpExt: a\nIpExt: 1\n")
        (folder / "sockstat").write_text("sockets: used 9\nTCP: inuse 5 tw 2\nUDP: inuse 1\n")
        (folder / "sockstat6").write_text("TCP6: inuse 3\nUDP6: inuse 0\n")
    return root


def test_the_counters_of_a_process_are_read() -> None:
    """All that are reported, by the kernel's names; who has ended has none."""
    found = network_counters.of_process(os.getpid())

    assert found
    assert found.host_network
    assert found.numbers.keys() == set(COUNTERS.values())
    assert {line for lines in LEVELS.values() for line in lines if "6" not in line} <= found.levels.keys()
    assert network_counters.of_process(1 << 30) is None


def test_a_file_of_counters_that_is_odd_is_none(tmp_path: Path) -> None:
    """No number is made of what is not one."""
    (proc(tmp_path) / "7/net/snmp").write_text("Tcp: RetransSegs\nTcp: many\n")

    assert network_counters.of_process(7, tmp_path) is None


def test_what_is_not_reported_is_not_read(tmp_path: Path) -> None:
    """A field that a new kernel has may be anything."""
    found = namespace_of(7, proc(tmp_path)).read()

    assert found.numbers == {
        "Tcp.RetransSegs": 7, "Tcp.OutSegs": 500, "Udp.RcvbufErrors": 3, "TcpExt.ListenDrops": 4,
    }  # fmt: skip
    assert (found.levels["TCP.inuse"], found.levels["TCP6.inuse"], found.levels["TCP.tw"]) == (5, 3, 2)
    assert not found.host_network


def test_a_namespace_without_ipv6_has_no_sockets_of_it(tmp_path: Path) -> None:
    """And all of its other counters."""
    (proc(tmp_path) / "7/net/sockstat6").unlink()

    found = namespace_of(7, tmp_path).read()

    assert found.levels["TCP.inuse"] == 5
    assert "TCP6.inuse" not in found.levels


def test_processes_of_one_namespace_share_it_and_the_first_process_has_the_nodes() -> None:
    """Told by the inode of a file that each namespace has alone; files are closed when nobody holds it."""
    own, again = namespace_of(os.getpid()), namespace_of(os.getppid())

    assert own is again
    assert own.read().host_network
    opened = len(list(Path("/proc/self/fd").iterdir()))
    del own, again
    assert len(list(Path("/proc/self/fd").iterdir())) == opened - 4
