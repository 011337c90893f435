"""Where the running kernel keeps what the view of memory reads. Used by sources."""

from kubestrace_agent.kernel.loader import walk_offsets
from kubestrace_agent.kernel.loader.btf import Btf, BtfError

_FIELDS = {
    "MEMORY_MM_OFFSET": "task_struct.mm",
    "MEMORY_BREAK_OFFSET": "mm_struct.brk",
    "MEMORY_USERS_OFFSET": "mm_struct.mm_users",
}


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to memory.bpf.c beside that of calls and the walk. Raises BtfError."""
    if not walk_offsets.definitions(machine, btf):
        raise BtfError("this kernel's BPF cannot see what other tasks do (Linux can since 5.15)")
    return {name: btf.offset(path) for name, path in _FIELDS.items()}
