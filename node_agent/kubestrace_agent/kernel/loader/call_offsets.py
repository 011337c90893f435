"""Where the running kernel keeps what the views that tell single calls read. Used by probe."""

from typing import Literal

from kubestrace_agent.kernel.loader.btf import Btf

_FIELDS = {
    "CALL_LEADER_OFFSET": "task_struct.group_leader",
    "CALL_PID_OFFSET": "task_struct.thread_pid",
    "CALL_COMM_OFFSET": "task_struct.comm",
    "CALL_FILES_OFFSET": "task_struct.files",
    "CALL_LEVEL_OFFSET": "pid.level",
    "CALL_NUMBERS_OFFSET": "pid.numbers",
    "CALL_FDT_OFFSET": "files_struct.fdt",
    "CALL_FD_OFFSET": "fdtable.fd",
    "CALL_MAX_FDS_OFFSET": "fdtable.max_fds",
    "CALL_INODE_OFFSET": "file.f_inode",
    "CALL_PRIVATE_OFFSET": "file.private_data",
    "CALL_PATH_OFFSET": "file.f_path",
    "CALL_PATH_MNT_OFFSET": "path.mnt",
    "CALL_PATH_DENTRY_OFFSET": "path.dentry",
    "CALL_FS_OFFSET": "task_struct.fs",
    "CALL_PWD_OFFSET": "fs_struct.pwd",
    "CALL_MODE_OFFSET": "inode.i_mode",
    "CALL_PARENT_OFFSET": "dentry.d_parent",
    "CALL_HASHED_OFFSET": "dentry.d_hash.pprev",
    "CALL_NAME_OFFSET": "dentry.d_name.name",
    "CALL_MOUNT_OFFSET": "mount.mnt",
    "CALL_ABOVE_OFFSET": "mount.mnt_parent",
    "CALL_MOUNTPOINT_OFFSET": "mount.mnt_mountpoint",
    "CALL_ROOT_OFFSET": "vfsmount.mnt_root",
    "CALL_SK_OFFSET": "socket.sk",
    "CALL_FAMILY_OFFSET": "sock.__sk_common.skc_family",
    "CALL_PORT_OFFSET": "sock.__sk_common.skc_dport",
    "CALL_IPV4_OFFSET": "sock.__sk_common.skc_daddr",
    "CALL_IPV6_OFFSET": "sock.__sk_common.skc_v6_daddr",
}
# The registers of a call's arguments in struct pt_regs (man 2 syscall).
_NATIVE = {
    "x86_64": ("di", "si", "dx", "r10", "r8", "r9"),
    "aarch64": ("orig_x0", "regs", "regs", "regs", "regs", "regs"),
}
_COMPAT = {"x86_64": ("bx", "cx", "dx", "si", "di", "bp"), "aarch64": _NATIVE["aarch64"]}


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to calls.bpf.c. Raises BtfError."""
    found = {name: btf.offset(path) for name, path in _FIELDS.items()}
    for kind in ("NATIVE", "COMPAT"):
        found |= {f"CALL_{kind}_{number}": argument(machine, btf, kind, number) for number in range(6)}
    return found


def argument(machine: str, btf: Btf, kind: Literal["NATIVE", "COMPAT"], number: int) -> int:
    """Where a call's argument stands in struct pt_regs. Raises BtfError."""
    register = (_NATIVE if kind == "NATIVE" else _COMPAT)[machine][number]
    return btf.offset(f"pt_regs.{register}") + (8 * number if register == "regs" else 0)
