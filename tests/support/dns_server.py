"""A DNS server for programs that tests trace, in namespaces of their own. It answers by words in the name.

Traced programs import it: nothing here needs more than the standard library.
"""

import ctypes
import fcntl
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Sequence

ADDRESS = ("127.0.0.1", 53)
_NEW_MOUNTS_AND_NETWORK, _REC_PRIVATE, _BIND = 0x40020000, 0x44000, 0x1000
_SET_FLAGS, _UP = 0x8914, 0x41
_AAAA = 28
_NOTHING, _REFUSED, _SERVFAIL, _NXDOMAIN = 0, 5, 2, 3


def apart(resolv_conf: str = "nameserver 127.0.0.1\n") -> None:
    """Enter a network without anybody, and mounts with another /etc/resolv.conf."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(_NEW_MOUNTS_AND_NETWORK) == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH22x", b"lo", _UP))
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(resolv_conf)
    assert libc.mount(b"none", b"/", None, _REC_PRIVATE, None) == 0
    assert libc.mount(file.name.encode(), b"/etc/resolv.conf", None, _BIND, None) == 0


def wire(name: str) -> bytes:
    """Return a name as messages have it."""
    return b"".join(bytes([len(part)]) + part for part in name.encode("latin-1").split(b".") if part) + b"\0"


def query(name: str, kind: int = 1, number: int = 7) -> bytes:
    """Return a query."""
    return struct.pack(">6H", number, 0x100, 1, 0, 0, 0) + wire(name) + struct.pack(">2H", kind, 1)


def _end(asked: bytes) -> int:
    """Return where the name of a message's question ends: at its 0."""
    at = 12
    while asked[at]:
        at += asked[at] + 1
    return at


def answer(asked: bytes, code: int = _NOTHING, records: Sequence[bytes] = (), *, pointer: bool = True) -> bytes:
    """Return the answer to a query, with addresses; their name is a pointer, or written out."""
    end = _end(asked)
    name = b"\xc0\x0c" if pointer else asked[12 : end + 1]
    body = b"".join(
        name + struct.pack(">HHIH", _AAAA if len(data) == 16 else 1, 1, 60, len(data)) + data for data in records
    )
    head = struct.pack(">5H", 0x8180 | code, 1, len(records), 0, 0)
    return asked[:2] + head + asked[12 : end + 5] + body


def said(asked: bytes) -> bytes | None:
    """Return what the server says; None: nothing."""
    end = _end(asked)
    name, kind = asked[12:end].lower(), asked[end + 2]
    codes = {b"refuse": _REFUSED, b"fail": _SERVFAIL, b"missing": _NXDOMAIN, b"search": _NXDOMAIN}
    if b"silent" in name:
        return None
    if b"slow" in name:
        time.sleep(0.2)
    for word, code in codes.items():
        if word in name:
            return answer(asked, code)
    if kind == _AAAA:
        return answer(asked, records=[bytes(15) + b"\1"])
    return answer(asked, records=[b"\x7f\0\0\1"], pointer=b"plain" not in name)


def _datagrams(udp: socket.socket) -> None:
    while True:
        asked, whose = udp.recvfrom(4096)
        if told := said(asked):
            udp.sendto(told, whose)


def _streams(tcp: socket.socket) -> None:
    while True:
        connection, _ = tcp.accept()
        while len(head := connection.recv(2, socket.MSG_WAITALL)) == 2:
            told = said(connection.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL))
            if told:
                connection.sendall(struct.pack(">H", len(told)) + told)
        connection.close()


def serve() -> None:
    """Answer until the program ends, by UDP and by TCP."""
    udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    udp.bind(ADDRESS)
    tcp.bind(ADDRESS)
    tcp.listen(8)
    threading.Thread(target=_datagrams, args=(udp,), daemon=True).start()
    threading.Thread(target=_streams, args=(tcp,), daemon=True).start()


def client(*, connected: bool = True) -> socket.socket:
    """Return a socket that asks the server and waits for at most five seconds, without being non-blocking."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 5, 0))
    if connected:
        made.connect(ADDRESS)
    return made
