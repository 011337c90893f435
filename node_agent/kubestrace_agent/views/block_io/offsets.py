"""Where the running kernel keeps what the view of block I/O reads. Used by sources."""

from collections.abc import Iterable

from kubestrace_agent.kernel.loader.btf import Btf, BtfError
from kubestrace_agent.kernel.maps.headers import header

# REQ_OP_READ, and bits of enum req_flag_bits: Linux include/linux/blk_types.h, the same since 4.8.
_NUMBERS = {"BLOCK_READ": 0, "BLOCK_SYNC_FLAG": 1 << 11, "BLOCK_METADATA_FLAG": 1 << 12}
# What is read in one piece, by the piece's name.
_PIECES = {
    "REQUEST": {
        "BLOCK_QUEUE_OFFSET": "request.q",
        "BLOCK_FLAGS_OFFSET": "request.cmd_flags",
        "BLOCK_BYTES_OFFSET": "request.__data_len",
        "BLOCK_SECTOR_OFFSET": "request.__sector",
        "BLOCK_BIO_OFFSET": "request.bio",
        "BLOCK_CREATED_OFFSET": "request.start_time_ns",
    },
    "BIO": {"BLOCK_GROUP_OFFSET": "bio.bi_blkg", "BLOCK_VECTOR_OFFSET": "bio.bi_io_vec"},
    "STATE": {
        "BLOCK_CSS_CGROUP_OFFSET": "cgroup_subsys_state.cgroup",
        "BLOCK_SERIAL_OFFSET": "cgroup_subsys_state.serial_nr",
    },
}
_FIELDS = {
    "BLOCK_DISK_OFFSET": "request_queue.disk",
    "BLOCK_MAJOR_OFFSET": "gendisk.major",
    "BLOCK_NAME_OFFSET": "gendisk.disk_name",
    "BLOCK_PAGE_OFFSET": "bio_vec.bv_page",
    "BLOCK_POLICY_OFFSET": "blkcg_gq.blkcg",
    "BLOCK_POLICY_STATE_AT": "blkcg.css",
    "BLOCK_MEMORY_STATE_AT": "mem_cgroup.css",
    "BLOCK_OBJECT_MEMORY_OFFSET": "obj_cgroup.memcg",
    "BLOCK_SELF_AT": "cgroup.self",
    "BLOCK_SELF_CGROUP_OFFSET": "cgroup.self.cgroup",
    "BLOCK_PARENT_OFFSET": "cgroup.self.parent",
    "BLOCK_ROOT_OFFSET": "cgroup.root",
    "BLOCK_LEVEL_OFFSET": "cgroup.level",
    "BLOCK_HIERARCHY_OFFSET": "cgroup_root.hierarchy_id",
    "BLOCK_NAME_HASH_OFFSET": "kernfs_node.hash",
}
# Fields that a newer kernel has under another name: both hold what the program reads.
_RENAMED = {
    # Linux 7.1: compound_info.
    "BLOCK_HEAD_OFFSET": ("page.compound_head", "page.compound_info"),
    # struct folio begins where its first page does.
    "BLOCK_CHARGED_OFFSET": ("page.memcg_data", "folio.memcg_data"),
}
_POINTER_BYTES = 8


def definitions(_machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to block_io.bpf.c. Raises BtfError."""
    found = {name: btf.offset(path) for name, path in _FIELDS.items()} | _NUMBERS
    for piece, fields in _PIECES.items():
        offsets = {name: btf.offset(path) for name, path in fields.items()}
        found |= offsets | {f"BLOCK_{piece}_BYTES": _bytes(piece, offsets.values())}
    found |= {name: _offset(btf, *paths) for name, paths in _RENAMED.items()}
    states = btf.offset("css_set.subsys")
    if btf.offset("gendisk.first_minor") != found["BLOCK_MAJOR_OFFSET"] + 4:
        raise BtfError("this kernel's gendisk has its minor number in another place")
    return found | {
        "BLOCK_IO_STATE_OFFSET": states + _POINTER_BYTES * btf.value("io_cgrp_id"),
        "BLOCK_MEMORY_STATE_OFFSET": states + _POINTER_BYTES * btf.value("memory_cgrp_id"),
        "BLOCK_FOLIO_BYTES": _bytes("page", (found[name] for name in _RENAMED)),
    }


def _bytes(piece: str, offsets: Iterable[int]) -> int:
    needed = max(offsets) + _POINTER_BYTES
    if needed > header("views/block_io/block_io.h").number("BLOCK_PIECE_BYTES"):
        raise BtfError(f"this kernel's struct {piece.lower()} has fields {needed} bytes from its beginning")
    return needed


def _offset(btf: Btf, path: str, newer: str) -> int:
    """Return where the kernel has a field, by the older of its two names or by the newer one. Raises BtfError."""
    try:
        return btf.offset(path)
    except BtfError:
        return btf.offset(newer)
