"""Where the running kernel keeps what the view of the network reads. Used by sources."""

import errno
import socket
from collections.abc import Mapping
from contextlib import suppress

from kubestrace_agent.kernel.loader.btf import Btf, BtfError
from kubestrace_agent.kernel.maps.headers import header

# What is read in one piece, with its bytes.
_HEAD = {
    "CALL_FAMILY_OFFSET": ("sock.__sk_common.skc_family", 2),
    "CALL_PORT_OFFSET": ("sock.__sk_common.skc_dport", 2),
    "CALL_IPV4_OFFSET": ("sock.__sk_common.skc_daddr", 4),
    "CALL_IPV6_OFFSET": ("sock.__sk_common.skc_v6_daddr", 16),
    "NET_OWN_IPV4_OFFSET": ("sock.__sk_common.skc_rcv_saddr", 4),
    "NET_OWN_IPV6_OFFSET": ("sock.__sk_common.skc_v6_rcv_saddr", 16),
}
_TCP = {
    "NET_SENT_OFFSET": ("tcp_sock.bytes_sent", 8),
    "NET_SENT_AGAIN_OFFSET": ("tcp_sock.bytes_retrans", 8),
    "NET_RECEIVED_OFFSET": ("tcp_sock.bytes_received", 8),
    "NET_RETRANSMITS_OFFSET": ("tcp_sock.total_retrans", 4),
    "NET_RTT_OFFSET": ("tcp_sock.srtt_us", 4),
}
# Pointers that are read in one piece where they are near each other (Linux 6.12 has them so).
_OF_FILE = ("file.f_inode", "file.private_data")
_FIELDS = {
    "NET_PROTOCOL_OFFSET": "sock.sk_protocol",
    "NET_STATE_OFFSET": "sock.__sk_common.skc_state",
    "NET_SPACE_OFFSET": "sock.__sk_common.skc_net.net",
    "NET_OWN_PORT_OFFSET": "inet_sock.inet_sport",
    "NET_ERROR_OFFSET": "sock.sk_err",
    "NET_FLAGS_OFFSET": "sock.__sk_common.skc_flags",
    "NET_BACKLOG_OFFSET": "sock.sk_ack_backlog",
    "NET_BACKLOG_MAX_OFFSET": "sock.sk_max_ack_backlog",
    "NET_SEGMENTS_OFFSET": "tcp_sock.segs_out",
    "NET_SERIAL_OFFSET": "cgroup.self.serial_nr",
    "NET_PARENT_OFFSET": "cgroup.self.parent",
    "NET_STATE_CGROUP_OFFSET": "cgroup_subsys_state.cgroup",
    "NET_UNIX_NAME_OFFSET": "unix_sock.addr",
    "NET_UNIX_PEER_OFFSET": "unix_sock.peer",
    "NET_NAME_LENGTH_OFFSET": "unix_address.len",
    "NET_NAME_TEXT_OFFSET": "unix_address.name",
}
# Until Linux 5.15 a word that may hold something else.
_CGROUPS = ("sock.sk_cgrp_data.cgroup", "sock.sk_cgrp_data.val")
_NUMBERS = {
    "NET_TCP": socket.IPPROTO_TCP,
    "NET_UDP": socket.IPPROTO_UDP,
    "NET_UNIX": socket.AF_UNIX,
    "NET_PEEK": socket.MSG_PEEK,
    "NET_AGAIN": errno.EAGAIN,
    "NET_NO_PORT": errno.EADDRNOTAVAIL,
    "NET_IN_PROGRESS": errno.EINPROGRESS,
    "NET_ALREADY": errno.EALREADY,
    "NET_CONNECTED": errno.EISCONN,
    "NET_INTERRUPTED": errno.EINTR,
    "NET_FAULT": errno.EFAULT,
    "NET_INVALID": errno.EINVAL,
}


def definitions(_machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to network.bpf.c. Raises BtfError."""
    found = {name: btf.offset(path) for name, path in _FIELDS.items()} | _NUMBERS
    head, head_end = _piece(btf, _HEAD)
    tcp, tcp_end = _piece(btf, _TCP)
    # Aligned as the stack is.
    tcp_from = min(tcp.values()) & ~7
    _check("sock", head_end, "NET_HEAD_ROOM")
    _check("tcp_sock", tcp_end - tcp_from, "NET_TCP_ROOM")
    of_file = [btf.offset(path) for path in _OF_FILE]
    locks = btf.bits("sock.sk_userlocks")
    return (
        found
        | {"NET_LOCKS_OFFSET": locks // 8, "NET_LOCKS_SHIFT": locks % 8}
        | head
        | tcp
        | {"NET_HEAD_BYTES": head_end, "NET_TCP_FROM": tcp_from, "NET_TCP_BYTES": tcp_end - tcp_from}
        | {"NET_FILE_FROM": min(of_file), "NET_FILE_BYTES": max(of_file) + 8 - min(of_file)}
        | {"NET_CGROUP_OFFSET": _cgroup(btf), "NET_DONE": btf.value("SOCK_DONE")}
    )


def _piece(btf: Btf, fields: Mapping[str, tuple[str, int]]) -> tuple[dict[str, int], int]:
    """Return where fields are, and where the last of them ends."""
    offsets = {name: btf.offset(path) for name, (path, _) in fields.items()}
    return offsets, max(offsets[name] + size for name, (_, size) in fields.items())


def _check(struct: str, needed: int, room: str) -> None:
    if needed > header("views/network/network.h").number(room):
        raise BtfError(f"this kernel's struct {struct} has its fields over {needed} bytes")


def _cgroup(btf: Btf) -> int:
    for path in _CGROUPS:
        with suppress(BtfError):
            return btf.offset(path)
    raise BtfError("this kernel's BTF has no sock.sk_cgrp_data: its sockets do not know their cgroup")
