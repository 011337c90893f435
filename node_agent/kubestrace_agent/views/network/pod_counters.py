"""What the kernel counts for a whole network namespace, from /proc/PID/net of any of its processes."""

from collections.abc import Iterator
from pathlib import Path

from kubestrace_agent.views.network.values import PodCounters

_PROC = Path("/proc")
# Of each file, what is reported: the line's name and the field's. Linux net/ipv4/proc.c.
_FILES = {
    "snmp": (
        *("Tcp.RetransSegs", "Tcp.OutSegs", "Tcp.AttemptFails", "Tcp.EstabResets", "Tcp.OutRsts", "Tcp.InErrs"),
        *("Udp.InDatagrams", "Udp.OutDatagrams", "Udp.NoPorts", "Udp.InErrors", "Udp.RcvbufErrors"),
    ),
    "netstat": (
        *("TcpExt.ListenOverflows", "TcpExt.ListenDrops", "TcpExt.TCPTimeouts", "TcpExt.TCPSynRetrans"),
        *("TcpExt.TCPBacklogDrop", "TcpExt.TCPAbortOnMemory"),
    ),
}


def read(pid: int, *, host_network: bool) -> PodCounters | None:
    """Read those of a process's network namespace; None: it has ended, or may not be read."""
    folder = _PROC / str(pid) / "net"
    try:
        numbers = {
            name: value
            for file, wanted in _FILES.items()
            for name, value in _fields((folder / file).read_text(encoding="ascii"))
            if name in wanted
        }
        return PodCounters(host_network, numbers, dict(_levels((folder / "sockstat").read_text(encoding="ascii"))))
    except (OSError, ValueError):
        return None


def _fields(text: str) -> Iterator[tuple[str, int]]:
    """Yield all fields: each pair of lines is a head, and the values below."""
    lines = text.splitlines()
    for head, values in zip(lines[::2], lines[1::2], strict=False):
        name, *names = head.split()
        for field, value in zip(names, values.split()[1:], strict=False):
            yield f"{name.rstrip(':')}.{field}", int(value)


def _levels(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        name, *words = line.split()
        for key, value in zip(words[::2], words[1::2], strict=False):
            yield f"{name.rstrip(':')}.{key}", int(value)
