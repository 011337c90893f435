"""Where the running kernel keeps what tells waits from work: how often a task slept, and what is behind a descriptor.

Used by probe.
"""

from contextlib import suppress
from typing import Literal

from kubestrace_agent.kernel.loader import call_offsets
from kubestrace_agent.kernel.loader.btf import Btf, BtfError

_FIELDS = {
    "WAIT_SWITCHES_OFFSET": "task_struct.nvcsw",
    "WAIT_FILES_OFFSET": "task_struct.files",
    "WAIT_FDT_OFFSET": "files_struct.fdt",
    "WAIT_FD_OFFSET": "fdtable.fd",
    "WAIT_MAX_FDS_OFFSET": "fdtable.max_fds",
    "WAIT_FLAGS_OFFSET": "file.f_flags",
    "WAIT_OPERATIONS_OFFSET": "file.f_op",
    "WAIT_POLL_OFFSET": "file_operations.poll",
    "WAIT_PRIVATE_OFFSET": "file.private_data",
    "WAIT_SK_OFFSET": "socket.sk",
    "WAIT_SNDBUF_OFFSET": "sock.sk_sndbuf",
    "WAIT_QUEUED_OFFSET": "sock.sk_wmem_queued",
    "WAIT_ALLOCATED_OFFSET": "sock.sk_wmem_alloc",
    "WAIT_HEAD_OFFSET": "pipe_inode_info.head",
    "WAIT_TAIL_OFFSET": "pipe_inode_info.tail",
    "WAIT_USAGE_OFFSET": "pipe_inode_info.max_usage",
    "WAIT_INODE_OFFSET": "file.f_inode",
    "WAIT_MODE_OFFSET": "inode.i_mode",
    "WAIT_SB_OFFSET": "inode.i_sb",
    "WAIT_MAGIC_OFFSET": "super_block.s_magic",
}
# Only where the kernel accounts for each task's input and output.
_READ = {"WAIT_READ_OFFSET": "task_struct.ioac.read_bytes"}
# Linux include/uapi/linux/magic.h.
_ANON_INODE_FS_MAGIC = 0x09041934
_ARGUMENTS = 6
_WORD_BYTES = 8


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to waits.bpf.c; without it no call is a wait."""
    try:
        found = {name: btf.offset(path) for name, path in _FIELDS.items()}
        with suppress(BtfError):
            found |= {name: btf.offset(path) for name, path in _READ.items()}
        return found | {
            "WAIT_NATIVE_ARGUMENTS": _arguments(machine, btf, "NATIVE"),
            "WAIT_COMPAT_ARGUMENTS": _arguments(machine, btf, "COMPAT"),
            "ANON_INODE_FS_MAGIC": _ANON_INODE_FS_MAGIC,
        }
    except BtfError:
        return {}


def _arguments(machine: str, btf: Btf, kind: Literal["NATIVE", "COMPAT"]) -> int:
    """Where a call's arguments stand in struct pt_regs: a byte for each, in words. Raises BtfError."""
    places = (call_offsets.argument(machine, btf, kind, number) for number in range(_ARGUMENTS))
    return sum(place // _WORD_BYTES << 8 * number for number, place in enumerate(places))
