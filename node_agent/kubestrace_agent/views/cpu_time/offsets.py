"""Where the running kernel keeps what the view of CPU time reads. Used by sources."""

from kubestrace_agent.kernel.loader import walk_offsets
from kubestrace_agent.kernel.loader.btf import Btf, BtfError

_FIELDS = {
    "CPU_RUN_DELAY_OFFSET": "task_struct.sched_info.run_delay",
    "CPU_QUEUED_OFFSET": "task_struct.sched_info.last_queued",
    "CPU_ARRIVAL_OFFSET": "task_struct.sched_info.last_arrival",
    "CPU_START_OFFSET": "task_struct.start_time",
    "CPU_EXIT_STATE_OFFSET": "task_struct.exit_state",
}


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to cpu_time.bpf.c beside the walk's. Raises BtfError."""
    if not walk_offsets.definitions(machine, btf):
        raise BtfError("this kernel's BPF cannot see what other tasks do (Linux can since 5.15)")
    return {name: btf.offset(path) for name, path in _FIELDS.items()}
