"""Where the running kernel keeps what the walk over all tasks reads, beyond the entries of the counting. Used by probe.

What a kernel lacks takes away a part of it only: without the first group, calls that began before counting did are not
found; without the second, nobody knows since when their tasks have not run.
"""

from contextlib import suppress

from kubestrace_agent.kernel.loader.btf import Btf, BtfError

# Linux include/linux/sched.h; the numbers are not in BTF, and have not changed since tasks can be walked.
_NUMBERS = {
    "PF_EXITING": 0x4,
    "PF_IO_WORKER": 0x10,
    "PF_KTHREAD": 0x200000,
    "TASK_STOPPED": 0x4,
    "ENOSYS": 38,
    # Two ticks of the slowest timer that a kernel may be built with (HZ=100).
    "CLOCKS_DIFFER_NS": 20_000_000,
    # Depth of the cgroup tree that is searched for a container: a pod's stand at 4 to 8.
    "WALK_LEVELS": 24,
}
_FIELDS = {
    "FLAGS_OFFSET": "task_struct.flags",
    "ON_CPU_OFFSET": "task_struct.on_cpu",
    "PARENT_OFFSET": "cgroup.self.parent",
    "CSS_CGROUP_OFFSET": "cgroup_subsys_state.cgroup",
}
# Renamed in 5.14.
_STATES = ("task_struct.__state", "task_struct.state")
_CLOCKS = {
    "CFS_RQ_OFFSET": "task_struct.se.cfs_rq",
    "EXEC_START_OFFSET": "task_struct.se.exec_start",
    "RQ_OFFSET": "cfs_rq.rq",
    "RQ_CLOCK_OFFSET": "rq.clock",
    "RQ_CLOCK_TASK_OFFSET": "rq.clock_task",
}
# Where a call's result stands until the program has it back; aarch64 keeps the first argument there.
_RESULTS = {"x86_64": {"RESULT_OFFSET": "pt_regs.ax"}}
_HELPER = "BPF_FUNC_task_pt_regs"


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to the walk; empty where it can find nothing more."""
    if not btf.names(_HELPER):
        return {}
    try:
        found = {name: btf.offset(path) for name, path in (_FIELDS | _RESULTS.get(machine, {})).items()}
        found["STATE_OFFSET"] = _first(btf, _STATES)
    except BtfError:
        return {}
    with suppress(BtfError):
        found |= {name: btf.offset(path) for name, path in _CLOCKS.items()}
    return found | _NUMBERS | {"WALK": 1}


def _first(btf: Btf, paths: tuple[str, ...]) -> int:
    for path in paths[:-1]:
        with suppress(BtfError):
            return btf.offset(path)
    return btf.offset(paths[-1])
