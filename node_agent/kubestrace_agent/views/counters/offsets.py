"""Where the running kernel keeps what the view of counters reads. Used by sources."""

from kubestrace_agent.kernel.loader import walk_offsets
from kubestrace_agent.kernel.loader.btf import Btf, BtfError

_FIELDS = {
    "COUNTERS_MINOR_OFFSET": "task_struct.min_flt",
    "COUNTERS_MAJOR_OFFSET": "task_struct.maj_flt",
    "COUNTERS_VOLUNTARY_OFFSET": "task_struct.nvcsw",
    "COUNTERS_INVOLUNTARY_OFFSET": "task_struct.nivcsw",
    "COUNTERS_MIGRATIONS_OFFSET": "task_struct.se.nr_migrations",
    # Where the kernel was built with CONFIG_SCHED_INFO, as distributions do.
    "COUNTERS_RUN_DELAY_OFFSET": "task_struct.sched_info.run_delay",
    "COUNTERS_RUNTIME_OFFSET": "task_struct.se.sum_exec_runtime",
}


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to counters.bpf.c beside the walk's. Raises BtfError."""
    if not walk_offsets.definitions(machine, btf):
        raise BtfError("this kernel's BPF cannot see what other tasks do (Linux can since 5.15)")
    return {name: btf.offset(path) for name, path in _FIELDS.items()}
