"""Where the running kernel keeps what is behind a descriptor, to tell waits from work. Used by probe."""

from kubestrace_agent.kernel.loader import call_offsets
from kubestrace_agent.kernel.loader.btf import Btf, BtfError

_FIELDS = {
    "WAIT_FILES_OFFSET": "task_struct.files",
    "WAIT_FDT_OFFSET": "files_struct.fdt",
    "WAIT_FD_OFFSET": "fdtable.fd",
    "WAIT_MAX_FDS_OFFSET": "fdtable.max_fds",
    "WAIT_INODE_OFFSET": "file.f_inode",
    "WAIT_MODE_OFFSET": "inode.i_mode",
    "WAIT_RDEV_OFFSET": "inode.i_rdev",
    "WAIT_SB_OFFSET": "inode.i_sb",
    "WAIT_MAGIC_OFFSET": "super_block.s_magic",
}
# Linux include/uapi/linux/magic.h.
_ANON_INODE_FS_MAGIC = 0x09041934


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to waits.bpf.c; without it no call by a descriptor is a wait."""
    try:
        found = {name: btf.offset(path) for name, path in _FIELDS.items()}
        return found | {
            "WAIT_NATIVE_FD": call_offsets.argument(machine, btf, "NATIVE", 0),
            "WAIT_COMPAT_FD": call_offsets.argument(machine, btf, "COMPAT", 0),
            "ANON_INODE_FS_MAGIC": _ANON_INODE_FS_MAGIC,
        }
    except BtfError:
        return {}
