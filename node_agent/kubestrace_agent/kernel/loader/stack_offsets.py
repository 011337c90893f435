"""Where the running kernel keeps what stacks.bpf.c reads. Used by sources."""

from kubestrace_agent.kernel.loader.btf import Btf

_FIELDS = {
    "SEQ_NUMBER_OFFSET": "bpf_iter_meta.seq_num",
    "VMA_START_OFFSET": "vm_area_struct.vm_start",
    "VMA_END_OFFSET": "vm_area_struct.vm_end",
    "VMA_FLAGS_OFFSET": "vm_area_struct.vm_flags",
    "VMA_OFFSET_OFFSET": "vm_area_struct.vm_pgoff",
    "VMA_FILE_OFFSET": "vm_area_struct.vm_file",
    "FILE_PATH_OFFSET": "file.f_path",
}
# Where the frames are that have no frame pointer. On aarch64 nearly all have one.
_POINTERS = {"x86_64": {"POINTER_OFFSET": "pt_regs.sp", "FRAME_OFFSET": "pt_regs.bp"}}


def definitions(machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to stacks.bpf.c. Raises BtfError."""
    return {name: btf.offset(path) for name, path in (_FIELDS | _POINTERS.get(machine, {})).items()}
