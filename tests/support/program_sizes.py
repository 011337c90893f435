"""How large a loaded program is, and its machine code, as the kernel tells."""

import ctypes
import struct
from typing import NamedTuple

# struct bpf_prog_info (Linux include/uapi/linux/bpf.h): jited_prog_len, xlated_prog_len, jited_prog_insns, and
# verified_insns, which came with 5.16.
_MACHINE_CODE_BYTES_AT = 16
_TRANSLATED_AT = 20
_MACHINE_CODE_AT = 24
_VERIFIED_AT = 216
_INFO_SIZE = 232


class Sizes(NamedTuple):
    """Of one program."""

    # Those that the verifier walked through.
    verified_instructions: int
    translated_bytes: int


def sizes_of(fd: int) -> Sizes:
    """Ask for a program's sizes."""
    info = ctypes.create_string_buffer(_INFO_SIZE)
    _ask(fd, info)
    return Sizes(*(struct.unpack_from("=I", info, at)[0] for at in (_VERIFIED_AT, _TRANSLATED_AT)))


def machine_code(fd: int) -> bytes:
    """What the kernel's compiler made of a program."""
    info = ctypes.create_string_buffer(_INFO_SIZE)
    _ask(fd, info)
    code = ctypes.create_string_buffer(struct.unpack_from("=I", info, _MACHINE_CODE_BYTES_AT)[0])
    ctypes.memset(info, 0, _INFO_SIZE)
    struct.pack_into("=I", info, _MACHINE_CODE_BYTES_AT, len(code))
    struct.pack_into("=Q", info, _MACHINE_CODE_AT, ctypes.addressof(code))
    _ask(fd, info)
    return code.raw


def _ask(fd: int, info: "ctypes.Array[ctypes.c_char]") -> None:
    size = ctypes.c_uint32(_INFO_SIZE)
    if ctypes.CDLL("libbpf.so.1").bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)):
        raise OSError("the kernel says nothing of a program")
