"""Where the running kernel keeps what the views read that tell where a process comes from. Used by sources."""

from kubestrace_agent.kernel.loader.btf import Btf

_FIELDS = {
    "ORIGIN_EXE_OFFSET": "mm_struct.exe_file",
    "ORIGIN_REAPER_OFFSET": "pid_namespace.child_reaper",
    "ORIGIN_CGROUP_PARENT_OFFSET": "cgroup.self.parent",
    "ORIGIN_CSS_CGROUP_OFFSET": "cgroup_subsys_state.cgroup",
}


def definitions(_machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to origins.bpf.c beside call_offsets. Raises BtfError."""
    return {name: btf.offset(path) for name, path in _FIELDS.items()}
