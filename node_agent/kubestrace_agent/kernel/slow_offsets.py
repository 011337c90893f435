"""Where the running kernel keeps what the view of slow calls reads. Used by probe."""

import mmap

from kubestrace_agent.kernel.btf import Btf

# Of the ring that slow calls come by: a power of two.
_RING_BYTES = 1 << 20
_FIELDS = {
    "SLOW_LEADER_OFFSET": "task_struct.group_leader",
    "SLOW_PID_OFFSET": "task_struct.thread_pid",
    "SLOW_COMM_OFFSET": "task_struct.comm",
    "SLOW_FILES_OFFSET": "task_struct.files",
    "SLOW_LEVEL_OFFSET": "pid.level",
    "SLOW_NUMBERS_OFFSET": "pid.numbers",
    "SLOW_FDT_OFFSET": "files_struct.fdt",
    "SLOW_FD_OFFSET": "fdtable.fd",
    "SLOW_MAX_FDS_OFFSET": "fdtable.max_fds",
    "SLOW_INODE_OFFSET": "file.f_inode",
    "SLOW_PRIVATE_OFFSET": "file.private_data",
    "SLOW_MNT_OFFSET": "file.f_path.mnt",
    "SLOW_DENTRY_OFFSET": "file.f_path.dentry",
    "SLOW_MODE_OFFSET": "inode.i_mode",
    "SLOW_PARENT_OFFSET": "dentry.d_parent",
    "SLOW_NAME_OFFSET": "dentry.d_name.name",
    "SLOW_MOUNT_OFFSET": "mount.mnt",
    "SLOW_ABOVE_OFFSET": "mount.mnt_parent",
    "SLOW_MOUNTPOINT_OFFSET": "mount.mnt_mountpoint",
    "SLOW_ROOT_OFFSET": "vfsmount.mnt_root",
    "SLOW_SK_OFFSET": "socket.sk",
    "SLOW_FAMILY_OFFSET": "sock.__sk_common.skc_family",
    "SLOW_PORT_OFFSET": "sock.__sk_common.skc_dport",
    "SLOW_IPV4_OFFSET": "sock.__sk_common.skc_daddr",
    "SLOW_IPV6_OFFSET": "sock.__sk_common.skc_v6_daddr",
}
# The registers of a call's arguments in struct pt_regs (man 2 syscall).
_NATIVE = {
    "x86_64": ("di", "si", "dx", "r10", "r8", "r9"),
    "aarch64": ("orig_x0", "regs", "regs", "regs", "regs", "regs"),
}
_COMPAT = {"x86_64": ("bx", "cx", "dx", "si", "di", "bp"), "aarch64": _NATIVE["aarch64"]}


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to slow_calls.bpf.c. Raises BtfError."""
    found = {name: btf.offset(path) for name, path in _FIELDS.items()} | {
        "SLOW_PAGES": _RING_BYTES // mmap.PAGESIZE,
        "PAGE_SIZE": mmap.PAGESIZE,
    }
    for kind, registers in (("NATIVE", _NATIVE[machine]), ("COMPAT", _COMPAT[machine])):
        for number, register in enumerate(registers):
            offset = btf.offset(f"pt_regs.{register}")
            found[f"SLOW_{kind}_{number}"] = offset + (8 * number if register == "regs" else 0)
    return found
