"""Where the running kernel keeps what pods.bpf.c reads of cgroups and PIDs. Used by sources."""

import mmap

from kubestrace_agent.kernel.loader.btf import Btf

_NUMBERS = {
    # Depth of the cgroup tree below a container that is searched for it, and above it: a pod's stand at 4 to 8.
    "POD_LEVELS": 24,
    # The runtime brings one process at a time into a container, for some 10 ms.
    "MAX_JOINERS": 4096,
    # struct upid (Linux include/linux/pid.h): an int and a pointer.
    "UPID_BYTES": 16,
}
_FIELDS = {
    "POD_PARENT_OFFSET": "cgroup.self.parent",
    "POD_CSS_CGROUP_OFFSET": "cgroup_subsys_state.cgroup",
    "POD_ROOT_OFFSET": "cgroup.root",
    "POD_LEVEL_OFFSET": "cgroup.level",
    "POD_HIERARCHY_OFFSET": "cgroup_root.hierarchy_id",
    "POD_NAME_OFFSET": "kernfs_node.name",
    "POD_PID_OFFSET": "task_struct.thread_pid",
    "POD_REAL_PARENT_OFFSET": "task_struct.real_parent",
    "POD_PROXY_OFFSET": "task_struct.nsproxy",
    "POD_MOUNTS_OFFSET": "nsproxy.mnt_ns",
    "POD_PID_LEVEL_OFFSET": "pid.level",
    "POD_PID_NUMBERS_OFFSET": "pid.numbers",
}


def definitions(_machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to pods.bpf.c. Raises BtfError."""
    return {name: btf.offset(path) for name, path in _FIELDS.items()} | _NUMBERS | {"PAGE_SIZE": mmap.PAGESIZE}
