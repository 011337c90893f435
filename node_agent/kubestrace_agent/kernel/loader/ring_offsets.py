"""Where the running kernel keeps a task's context of io_uring. Used by sources."""

from kubestrace_agent.kernel.loader import call_offsets, walk_offsets
from kubestrace_agent.kernel.loader.btf import Btf, BtfError


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to rings.bpf.c beside the walk's and the calls'. Raises BtfError."""
    if not walk_offsets.definitions(machine, btf):
        raise BtfError("this kernel's BPF cannot see what other tasks do (Linux can since 5.15)")
    call_offsets.definitions(machine, btf)
    return {"RING_CONTEXT_OFFSET": btf.offset("task_struct.io_uring")}
