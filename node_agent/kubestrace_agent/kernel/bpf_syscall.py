"""bpf(2) by libbpf.so.1: the few calls that the agent makes itself, so that it never loads LLVM.

Every function raises OSError with the errno of the call. File descriptors are plain ints that the caller closes.
"""

import ctypes
import os
import struct
from collections.abc import Iterator

MAP_TYPE_ARRAY = 2
MAP_TYPE_PERCPU_ARRAY = 6
MAP_TYPE_RINGBUF = 27
MAP_TYPE_TASK_STORAGE = 29
TRACE_ITER = 28

_BATCH = 512
_KEY_U32 = struct.Struct("=I")
# struct bpf_map_info up to map_flags: type, id, key_size, value_size, max_entries, map_flags.
_MAP_INFO = struct.Struct("=6I")
# struct bpf_map_create_opts (libbpf's bpf.h) up to map_flags: sz, btf_fd, types of key and value, and of the kernel's
# BTF, inner_map_fd, map_flags.
_CREATE_OPTIONS = struct.Struct("=Q6I")
# struct bpf_prog_load_opts (libbpf's bpf.h) up to attach_btf_id: sz, attempts, expected_attach_type, prog_btf_fd,
# prog_flags, prog_ifindex, kern_version, attach_btf_id, and zeros.
_LOAD_OPTIONS = struct.Struct("=Q7I12x")
_LOAD_ATTEMPTS = 5
_INSTRUCTION_BYTES = 8
# struct bpf_prog_info (Linux include/uapi/linux/bpf.h): recursion_misses.
_PROG_INFO_SIZE = 256
_MISSES_AT = 208
_MISSES = struct.Struct("=Q")
# struct bpf_map_create_opts (libbpf's bpf.h): sz, BTF of key and value, inner_map_fd, map_flags; and BPF_F_MMAPABLE.
_MAP_OPTIONS = struct.Struct("=Q20xI")
_MMAPABLE = 1 << 10
# struct bpf_link_create_opts (libbpf's bpf.h): sz, flags, iter_info, iter_info_len, target_btf_id; and iter_info for a
# task: tid, and zeros up to the largest of its union.
_LINK_OPTIONS = struct.Struct("=QI4xQII")
_TASK_INFO = struct.Struct("=I12x")
# Of an iterator: 1.4 million tasks in calls.
MOST_BYTES = 1 << 25

_libbpf: ctypes.CDLL | None = None


def _lib() -> ctypes.CDLL:
    global _libbpf  # noqa: PLW0603 - loaded on first use, so that importing this needs no library
    if _libbpf is None:
        _libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
        for name in ("bpf_map_lookup_elem", "bpf_map_update_elem", "bpf_map_delete_elem"):
            getattr(_libbpf, name).restype = ctypes.c_int
        silent = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
        _libbpf.libbpf_set_print(silent())
    return _libbpf


def _check(result: int, what: str) -> int:
    """Libbpf 1.x returns -errno and sets errno as well."""
    if result < 0:
        number = -result
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def possible_cpus() -> int:
    """How many values a look-up in a per-CPU map returns."""
    return _check(_lib().libbpf_num_possible_cpus(), "number of CPUs")


def map_info(fd: int) -> tuple[int, int, int, int, int]:
    """Type, key size, value size, entries and flags of a map."""
    info = ctypes.create_string_buffer(256)
    size = ctypes.c_uint32(256)
    _check(_lib().bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)), "BPF_OBJ_GET_INFO_BY_FD")
    kind, _, key_size, value_size, entries, flags = _MAP_INFO.unpack_from(info)
    return kind, key_size, value_size, entries, flags


def recursion_misses(fd: int) -> int:
    """How often a program was not run; 0 where the kernel does not tell (before Linux 5.12)."""
    info = ctypes.create_string_buffer(_PROG_INFO_SIZE)
    size = ctypes.c_uint32(_PROG_INFO_SIZE)
    _check(_lib().bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)), "BPF_OBJ_GET_INFO_BY_FD")
    misses: int = _MISSES.unpack_from(info, _MISSES_AT)[0]
    return misses


def lookup(fd: int, key: bytes, value: "ctypes.Array[ctypes.c_char]") -> bool:
    """Reads a value into a buffer of the map's size (times possible_cpus for per-CPU maps); False: no such key."""
    result = _lib().bpf_map_lookup_elem(fd, key, value)
    if result == -2:  # ENOENT
        return False
    _check(result, "BPF_MAP_LOOKUP_ELEM")
    return True


def update(fd: int, key: bytes, value: bytes, flags: int = 0) -> None:
    """Inserts or replaces a value."""
    _check(_lib().bpf_map_update_elem(fd, key, value, ctypes.c_uint64(flags)), "BPF_MAP_UPDATE_ELEM")


def update_batch(fd: int, entries: list[tuple[bytes, bytes]]) -> None:
    """Inserts or replaces several values; one by one where the kernel has no batch for this map."""
    done = ctypes.c_uint32(len(entries))
    all_keys, values = b"".join(key for key, _ in entries), b"".join(value for _, value in entries)
    if _lib().bpf_map_update_batch(fd, all_keys, values, ctypes.byref(done), None) < 0:
        for key, value in entries:
            update(fd, key, value)


def push(fd: int, value: bytes) -> None:
    """Puts a value at the end of a queue map."""
    _check(_lib().bpf_map_update_elem(fd, None, value, ctypes.c_uint64(0)), "BPF_MAP_UPDATE_ELEM")


def pop(fd: int, value: "ctypes.Array[ctypes.c_char]") -> bool:
    """Takes the first value of a queue map; False: it is empty."""
    result = _lib().bpf_map_lookup_and_delete_elem(fd, None, value)
    if result == -2:
        return False
    _check(result, "BPF_MAP_LOOKUP_AND_DELETE_ELEM")
    return True


def delete(fd: int, key: bytes) -> bool:
    """Removes a key; False: it was not there."""
    result = _lib().bpf_map_delete_elem(fd, key)
    if result == -2:
        return False
    _check(result, "BPF_MAP_DELETE_ELEM")
    return True


def keys(fd: int, key_size: int) -> Iterator[bytes]:
    """The keys of a hash map; those inserted or removed meanwhile may be missed."""
    previous: bytes | None = None
    following = ctypes.create_string_buffer(key_size)
    while _lib().bpf_map_get_next_key(fd, previous, following) == 0:
        previous = following.raw
        yield previous


def lookup_all(fd: int, key_size: int, value_size: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a hash map, one by one; `value_size` is that of all CPUs for a per-CPU map."""
    for all_keys, all_values in lookup_batches(fd, key_size, value_size):
        for n in range(len(all_keys) // key_size):
            yield all_keys[n * key_size : (n + 1) * key_size], all_values[n * value_size : (n + 1) * value_size]


def lookup_batches(fd: int, key_size: int, value_size: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a hash map as lookup_all has them: those of many entries, one behind the other."""
    keys = ctypes.create_string_buffer(_BATCH * key_size)
    values = ctypes.create_string_buffer(_BATCH * value_size)
    # A place in the map: the kernel wants no less than 4 bytes, whatever the key.
    place, here = ctypes.create_string_buffer(max(4, key_size)), None
    while True:
        count = ctypes.c_uint32(_BATCH)
        result = _lib().bpf_map_lookup_batch(fd, here, place, keys, values, ctypes.byref(count), None)
        if result != -2:  # ENOENT: these were the last
            _check(result, "BPF_MAP_LOOKUP_BATCH")
        if count.value:
            yield ctypes.string_at(keys, count.value * key_size), ctypes.string_at(values, count.value * value_size)
        if result:
            return
        here = place


def lookup_run(fd: int, first: int, count: int, values: "ctypes.Array[ctypes.c_char]", value_size: int) -> None:
    """Read entries of an array that follow each other; `value_size` is that of all CPUs, each rounded up to 8 bytes.

    One by one where the kernel has no batch for this map: arrays of CPUs have it since Linux 5.13.
    """
    if count > 1:
        keys, place, done = (
            ctypes.create_string_buffer(4 * count),
            ctypes.create_string_buffer(4),
            ctypes.c_uint32(count),
        )
        # The batch begins behind the entry that it is given.
        behind = key_u32(first - 1) if first else None
        result = _lib().bpf_map_lookup_batch(fd, behind, place, keys, values, ctypes.byref(done), None)
        if result == 0 and done.value == count:
            return
    for number in range(count):
        into = ctypes.byref(values, number * value_size)
        _check(_lib().bpf_map_lookup_elem(fd, key_u32(first + number), into), "BPF_MAP_LOOKUP_ELEM")


def create_percpu_array(name: str, value_size: int, entries: int) -> int:
    """A new per-CPU array; the file descriptor."""
    fd = _lib().bpf_map_create(MAP_TYPE_PERCPU_ARRAY, name.encode(), 4, value_size, entries, None)
    return _check(fd, "BPF_MAP_CREATE")


def create_shared_array(name: str, value_size: int, entries: int) -> int:
    """A new array that can be mapped into memory; the file descriptor."""
    options = _MAP_OPTIONS.pack(_MAP_OPTIONS.size, _MMAPABLE)
    fd = _lib().bpf_map_create(MAP_TYPE_ARRAY, name.encode(), 4, value_size, entries, options)
    return _check(fd, "BPF_MAP_CREATE")


def create_ring(name: str, size: int) -> int:
    """A new ring buffer of so many bytes, a power of two and whole pages; the file descriptor."""
    fd = _lib().bpf_map_create(MAP_TYPE_RINGBUF, name.encode(), 0, 0, size, None)
    return _check(fd, "BPF_MAP_CREATE")


def create_map(
    name: str, shape: tuple[int, int, int, int, int], *, inner: int = 0, types: tuple[int, int, int] = (0, 0, 0)
) -> int:
    """A new map of such a shape (map_info), with the pattern of a map of maps, or with BTF, key and value types."""
    kind, key_size, value_size, entries, flags = shape
    btf, key_type, value_type = types
    options = _CREATE_OPTIONS.pack(_CREATE_OPTIONS.size, btf, key_type, value_type, 0, inner, flags)
    fd = _lib().bpf_map_create(kind, name.encode()[:15], key_size, value_size, entries, options)
    return _check(fd, f"BPF_MAP_CREATE {name}")


def load_btf(data: bytes) -> int:
    """Give the kernel types; the file descriptor."""
    return _check(_lib().bpf_btf_load(data, ctypes.c_size_t(len(data)), None), "BPF_BTF_LOAD")


def iterator_target(kind: str) -> int:
    """The BTF ID of what iterators of a kind ("task") are attached to."""
    return _check(_lib().libbpf_find_vmlinux_btf_id(kind.encode(), TRACE_ITER), f"the iterator {kind}")


def load_program(name: str, kind: tuple[int, int, int], licence: str, code: bytes) -> int:
    """Give the kernel a program of a type, an attach type and the BTF ID of its target; the file descriptor."""
    program_type, attach_type, target = kind
    options = _LOAD_OPTIONS.pack(_LOAD_OPTIONS.size, _LOAD_ATTEMPTS, attach_type, 0, 0, 0, 0, target)
    count = ctypes.c_size_t(len(code) // _INSTRUCTION_BYTES)
    fd = _lib().bpf_prog_load(program_type, name.encode()[:15], licence.encode(), code, count, options)
    return _check(fd, f"BPF_PROG_LOAD {name}")


def raw_tracepoint_open(name: str, program: int) -> int:
    """Attaches a program; closing the returned file descriptor detaches it."""
    return _check(_lib().bpf_raw_tracepoint_open(name.encode(), program), f"BPF_RAW_TRACEPOINT_OPEN {name}")


def iterator_link(program: int, tid: int = 0) -> int:
    """Makes an iterator program ready to be read; over this task alone where the kernel can (0: over all)."""
    options = None
    if tid:
        info = ctypes.create_string_buffer(_TASK_INFO.pack(tid), _TASK_INFO.size)
        options = _LINK_OPTIONS.pack(_LINK_OPTIONS.size, 0, ctypes.addressof(info), _TASK_INFO.size, 0)
    return _check(_lib().bpf_link_create(program, 0, TRACE_ITER, options), "BPF_LINK_CREATE")


def iterate(link: int, most: int = MOST_BYTES) -> bytes:
    """Runs an iterator over everything; what it wrote, which is no longer than `most` and 64 KiB."""
    fd = _check(_lib().bpf_iter_create(link), "BPF_ITER_CREATE")
    try:
        parts, length = [], 0
        while length < most and (part := os.read(fd, 1 << 16)):
            parts.append(part)
            length += len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def key_u32(value: int) -> bytes:
    """The key of an array map."""
    return _KEY_U32.pack(value)
