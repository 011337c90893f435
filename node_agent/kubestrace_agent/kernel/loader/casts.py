"""Kernel memory read by single instructions, where the kernel lets programs do so (bpf_rdonly_cast, Linux 6.2).

A read by a helper costs some 30 ns, one that the verifier allows by a type some 2 ns. What gives an address a type is a
function of the kernel, which bcc's compiler cannot call. So the sources call a helper of a number that no kernel has,
and that call becomes one of the function before the kernel sees it.
"""

import os
import struct

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader.btf import Btf, BtfError

# Behind all helpers, and told apart from any other constant in a call.
_HELPER = 0x6B737472
_FUNCTION = "bpf_rdonly_cast"
# Two words that are plain numbers: what is read of them is no pointer to the verifier.
_WORDS = "timespec64"
# struct bpf_insn: code, registers, offset, immediate; and the codes that are needed (Linux include/uapi/linux/bpf.h).
_INSTRUCTION = struct.Struct("=BBhi")
_CALL, _EXIT, _MOVE_NUMBER, _LOAD_WORD = 0x85, 0x95, 0xB7, 0x79
# The kind of a call, where a source register would stand: by the BTF ID of a function of the kernel.
_BY_FUNCTION = 2 << 4
_RAW_TRACEPOINT = 17


def definitions(btf: Btf) -> dict[str, int]:
    """Return the constants of reads.h; none where this kernel has nothing of the kind or does not take it."""
    try:
        function, words = btf.function(_FUNCTION), btf.struct_id(_WORDS)
    except BtfError:
        return {}
    return {"CAST_HELPER": _HELPER, "CAST_FUNCTION": function, "CAST_WORDS": words} if _taken(function, words) else {}


def _taken(function: int, words: int) -> bool:
    """Whether the kernel takes a program that reads something so."""
    code = (
        (_MOVE_NUMBER, 1, 0, 0),
        (_MOVE_NUMBER, 2, 0, words),
        (_CALL, _BY_FUNCTION, 0, function),
        (_LOAD_WORD, 0, 0, 0),
        (_EXIT, 0, 0, 0),
    )
    try:
        packed = b"".join(_INSTRUCTION.pack(*each) for each in code)
        os.close(bpf_syscall.load_program("cast", (_RAW_TRACEPOINT, 0, 0), "GPL", packed))
    except OSError:
        return False
    return True


def called(code: bytes, function: int) -> bytes:
    """Return a program whose calls of the helper are calls of the kernel's function with this BTF ID."""
    found = bytearray(code)
    for at in range(0, len(code), _INSTRUCTION.size):
        operation, registers, _, number = _INSTRUCTION.unpack_from(code, at)
        if (operation, registers, number) == (_CALL, 0, _HELPER):
            _INSTRUCTION.pack_into(found, at, _CALL, _BY_FUNCTION, 0, function)
    return bytes(found)
