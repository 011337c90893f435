"""Where the running kernel keeps what the view of security reads, beyond what calls.bpf.c does. Used by sources."""

from kubestrace_agent.kernel.loader.btf import Btf

_FIELDS = {
    "SECURITY_MM_OFFSET": "task_struct.mm",
    "SECURITY_PARENT_OFFSET": "task_struct.real_parent",
    "SECURITY_START_OFFSET": "task_struct.start_time",
    "SECURITY_CRED_OFFSET": "task_struct.cred",
    "SECURITY_TERMINAL_OFFSET": "signal_struct.tty",
    "SECURITY_UID_OFFSET": "cred.uid",
    "SECURITY_EUID_OFFSET": "cred.euid",
    "SECURITY_GID_OFFSET": "cred.gid",
    "SECURITY_EGID_OFFSET": "cred.egid",
    "SECURITY_EFFECTIVE_OFFSET": "cred.cap_effective",
    "SECURITY_AMBIENT_OFFSET": "cred.cap_ambient",
    "SECURITY_FLAGS_OFFSET": "file.f_flags",
    "SECURITY_NUMBER_OFFSET": "inode.i_ino",
    "SECURITY_SUPER_OFFSET": "inode.i_sb",
    "SECURITY_LINKS_OFFSET": "inode.i_nlink",
    "SECURITY_DEVICE_OFFSET": "inode.i_rdev",
    "SECURITY_MAGIC_OFFSET": "super_block.s_magic",
    "SECURITY_DENTRY_INODE_OFFSET": "dentry.d_inode",
    "SECURITY_DENTRY_SUPER_OFFSET": "dentry.d_sb",
    "SECURITY_ROOT_OFFSET": "fs_struct.root",
    "SECURITY_STATE_OFFSET": "sock.__sk_common.skc_state",
    "SECURITY_OPEN_FDS_OFFSET": "fdtable.open_fds",
    "SECURITY_ARGUMENTS_OFFSET": "mm_struct.arg_start",
    "SECURITY_ARGUMENTS_END_OFFSET": "mm_struct.arg_end",
    "SECURITY_FILENAME_OFFSET": "linux_binprm.filename",
}
# Linux include/uapi/linux/magic.h.
_NUMBERS = {"OVERLAY_MAGIC": 0x794C7630}


def definitions(_machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to security.bpf.c. Raises BtfError."""
    found = {name: btf.offset(path) for name, path in _FIELDS.items()} | _NUMBERS
    return found | {"SECURITY_INODE_BYTES": btf.size("inode")}
