"""Code that calls: what a return address looks like, and what a function with a frame pointer. Pure. Used by names.

A function without a frame pointer, as a C library's system calls are, hides who called it from the kernel's walk along
the frame pointers: the walk goes on with that one's caller. The hidden return address is near the top of the stack.
"""

from __future__ import annotations

# So many bytes before a return address hold any call of x86-64; on aarch64 a call has 4.
CALL_BYTES = 7
# And so many from a function's start hold what sets a frame pointer up.
PROLOGUE_BYTES = 24
_ENDBR = b"\xf3\x0f\x1e\xfa"
# push %rbp ... mov %rsp,%rbp, in both encodings.
_PUSH, _MOVES = b"\x55", (b"\x48\x89\xe5", b"\x48\x8b\xec")
# stp x29, x30, [sp, ...]: with the offset masked out, before the call's own index.
_STP_MASK, _STP = 0xFE407FFF, 0xA8007BFD


def follows_call(machine: str, code: bytes) -> bool:
    """Tell whether the last of these bytes are a call; `machine` as platform.machine()."""
    if machine == "aarch64":
        word = int.from_bytes(code[-4:], "little")
        return len(code) >= 4 and (word & 0xFC000000 == 0x94000000 or word & 0xFFFFFC1F == 0xD63F0000)
    if len(code) < CALL_BYTES:
        return False
    # call rel32; call *reg, *(reg), with and without REX; call *disp8(reg); call *disp32(reg), *disp32(%rip).
    return (
        code[-5] == 0xE8
        or (code[-2] == 0xFF and (code[-1] & 0xF8 in {0x10, 0xD0}))
        or (code[-3] == 0xFF and code[-2] & 0xF8 == 0x50)
        or (code[-6] == 0xFF and (code[-5] & 0xF8 == 0x90 or code[-5] == 0x15))
    )


def has_frame_pointer(machine: str, start: bytes) -> bool:
    """Tell by its first bytes whether a function sets up a frame pointer."""
    if machine == "aarch64":
        words = (int.from_bytes(start[at : at + 4], "little") for at in range(0, len(start) - 3, 4))
        return any(word & _STP_MASK == _STP for word in words)
    code = start.removeprefix(_ENDBR)
    return code.startswith(_PUSH) and any(move in code for move in _MOVES)
