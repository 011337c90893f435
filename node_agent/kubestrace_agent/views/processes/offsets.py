"""Where the running kernel keeps what the view of processes reads. Used by sources."""

from contextlib import suppress

from kubestrace_agent.kernel.loader.btf import Btf, BtfError

_FIELDS = {
    "PROCESS_MM_OFFSET": "task_struct.mm",
    "PROCESS_PARENT_OFFSET": "task_struct.real_parent",
    "PROCESS_START_OFFSET": "task_struct.start_time",
    "PROCESS_CODE_OFFSET": "task_struct.exit_code",
    "PROCESS_FLAGS_OFFSET": "signal_struct.flags",
    "PROCESS_GROUP_CODE_OFFSET": "signal_struct.group_exit_code",
    "PROCESS_ARGUMENTS_OFFSET": "mm_struct.arg_start",
    "PROCESS_ARGUMENTS_END_OFFSET": "mm_struct.arg_end",
    # How often a task has executed a program, with those that it was forked from.
    "PROCESS_IMAGE_OFFSET": "task_struct.self_exec_id",
    "PROCESS_OOM_OFFSET": "signal_struct.oom_mm",
    "PROCESS_FILENAME_OFFSET": "linux_binprm.filename",
}


def definitions(_machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to processes.bpf.c beside call_offsets. Raises BtfError."""
    found = {name: btf.offset(path) for name, path in _FIELDS.items()}
    # A kernel may be built without seccomp.
    with suppress(BtfError):
        found["PROCESS_SECCOMP_OFFSET"] = btf.offset("task_struct.seccomp.mode")
    return found
