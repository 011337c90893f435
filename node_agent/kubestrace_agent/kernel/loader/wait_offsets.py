"""Where the running kernel keeps what a call waited for, to tell waits from work. Used by probe."""

from kubestrace_agent.kernel.loader import call_offsets
from kubestrace_agent.kernel.loader.btf import Btf, BtfError

_FIELDS = {
    "WAIT_FILES_OFFSET": "task_struct.files",
    "WAIT_FDT_OFFSET": "files_struct.fdt",
    "WAIT_FD_OFFSET": "fdtable.fd",
    "WAIT_MAX_FDS_OFFSET": "fdtable.max_fds",
    "WAIT_INODE_OFFSET": "file.f_inode",
    "WAIT_FLAGS_OFFSET": "file.f_flags",
    "WAIT_MODE_OFFSET": "inode.i_mode",
    "WAIT_RDEV_OFFSET": "inode.i_rdev",
    "WAIT_SB_OFFSET": "inode.i_sb",
    "WAIT_MAGIC_OFFSET": "super_block.s_magic",
}
_NUMBERS = {
    # Linux include/uapi/linux/magic.h.
    "ANON_INODE_FS_MAGIC": 0x09041934,
    # O_NONBLOCK of x86-64, i386, aarch64 and arm.
    "OPENED_NONBLOCKING": 0x800,
    # FUSE_MINOR of Linux include/linux/miscdevice.h: who serves a file system reads its requests there.
    "FUSE_DEVICE": 10 << 20 | 229,
    "CLONE_VFORK_FLAG": 0x4000,
}


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to waits.bpf.c; without it no call is a wait."""
    try:
        found = {name: btf.offset(path) for name, path in _FIELDS.items()}
        for number in range(6):
            found[f"WAIT_NATIVE_{number}"] = call_offsets.argument(machine, btf, "NATIVE", number)
            found[f"WAIT_COMPAT_{number}"] = call_offsets.argument(machine, btf, "COMPAT", number)
        return found | _NUMBERS
    except BtfError:
        return {}
