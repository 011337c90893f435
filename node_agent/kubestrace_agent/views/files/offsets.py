"""Where the running kernel keeps what the view of files reads, beyond what calls.bpf.c does. Used by sources."""

from collections.abc import Iterable
from contextlib import suppress

from kubestrace_agent.kernel.loader import call_offsets
from kubestrace_agent.kernel.loader.btf import Btf, BtfError
from kubestrace_agent.kernel.maps.headers import header

_FIELDS = {
    "FILE_FLAGS_OFFSET": "file.f_flags",
    "FILE_NUMBER_OFFSET": "inode.i_ino",
    "FILE_VERSION_OFFSET": "inode.i_generation",
    "FILE_DENTRY_INODE_OFFSET": "dentry.d_inode",
    "FILE_MEMORY_OFFSET": "task_struct.mm",
    "FILE_ENVIRONMENT_END_OFFSET": "mm_struct.env_end",
}
# O_DSYNC, which O_SYNC contains (Linux include/uapi/asm-generic/fcntl.h), and RWF_DSYNC with RWF_SYNC (linux/fs.h).
_NUMBERS = {"FILE_WAITS_FLAG": 0o10000, "FILE_CALL_WAITS_FLAGS": 0x2 | 0x4}
_WORD_BYTES = 8
# An overlay's own inodes have no generation: those of the layer above have. A module on most distributions.
_OVERLAY = "overlay"
_OVERLAY_NUMBERS = {"FILE_OVERLAY_MAGIC": 0x794C7630}  # Linux include/uapi/linux/magic.h


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to files.bpf.c. Raises BtfError."""
    found = {name: btf.offset(path) for name, path in _FIELDS.items()} | _NUMBERS
    known = call_offsets.definitions(machine, btf)
    of_file = (found["FILE_FLAGS_OFFSET"], known["CALL_INODE_OFFSET"])
    of_inode = (found["FILE_NUMBER_OFFSET"], found["FILE_VERSION_OFFSET"], known["CALL_MODE_OFFSET"])
    found |= _of_overlay(btf)
    return found | {"FILE_FILE_BYTES": _bytes("file", of_file), "FILE_INODE_BYTES": _bytes("inode", of_inode)}


def _of_overlay(btf: Btf) -> dict[str, int]:
    """Where an overlay's inode has that of the layer above; nothing where this kernel does not say, or has none."""
    with suppress(BtfError, OSError):
        types = btf if btf.names("ovl_inode") else btf.with_module(_OVERLAY)
        upper = types.offset("ovl_inode.__upperdentry") - types.offset("ovl_inode.vfs_inode")
        return _OVERLAY_NUMBERS | {
            "FILE_UPPER_OFFSET": upper,
            "FILE_SUPER_OFFSET": btf.offset("inode.i_sb"),
            "FILE_MAGIC_OFFSET": btf.offset("super_block.s_magic"),
        }
    return {}


def _bytes(name: str, offsets: Iterable[int]) -> int:
    """How many bytes of a struct are read in one piece."""
    needed = max(offsets) + _WORD_BYTES
    if needed > header("views/files/files.h").number("FILE_PIECE_BYTES"):
        raise BtfError(f"this kernel's struct {name} has fields {needed} bytes from its beginning")
    return needed
