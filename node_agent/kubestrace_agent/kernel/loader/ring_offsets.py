"""Where the running kernel keeps what it knows of rings of io_uring. Used by sources."""

from kubestrace_agent.kernel.loader import call_offsets, walk_offsets
from kubestrace_agent.kernel.loader.btf import Btf, BtfError

_FIELDS = {
    "RING_CONTEXT_OFFSET": "task_struct.io_uring",
    "RING_NODES_OFFSET": "io_uring_task.xa.xa_head",
    "RING_REGISTERED_OFFSET": "io_uring_task.registered_rings",
    "RING_LAST_OFFSET": "io_uring_task.last",
    "RING_PRIVATE_OFFSET": "file.private_data",
    "RING_INODE_OFFSET": "file.f_inode",
    "RING_DENTRY_OFFSET": "file.f_path.dentry",
    "RING_DEVICE_OFFSET": "inode.i_sb",
    "RING_MAGIC_OFFSET": "super_block.s_magic",
}
# Linux include/uapi/linux/magic.h and io_uring.h.
_NUMBERS = {"ANON_INODE_FS_MAGIC": 0x09041934, "IORING_SETUP_SQPOLL": 1 << 1}


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to rings.bpf.c beside the walk's and the calls'. Raises BtfError."""
    if not walk_offsets.definitions(machine, btf):
        raise BtfError("this kernel's BPF cannot see what other tasks do (Linux can since 5.15)")
    call_offsets.definitions(machine, btf)
    return {name: btf.offset(path) for name, path in _FIELDS.items()} | _NUMBERS
