"""Speaks to block_io.bpf.c: what devices did for the slots that ask, and for nobody in particular."""

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.slot_words import SlotWords
from kubestrace_agent.views.block_io.values import BlockCounts, BlockKind, BlockOwner, Lengths, RawBlockIO

_HEADER = header("views/block_io/block_io.h")
_KEY = _HEADER.struct("block_key").whole()
_ROW = _HEADER.struct("block_row")
_NUMBERS = _ROW.fields(
    *("count", "bytes", "errors", "sequential"),
    *("queue_total_ns", "queue_max_ns", "device_total_ns", "device_max_ns", "disk"),
    size=_ROW.offset("queue"),
)
_BUCKETS = _HEADER.number("BUCKETS")
_QUEUE, _DEVICE = _ROW.offset("queue"), _ROW.offset("device")
_CGROUP_BYTES = _HEADER.struct("block_cgroup").size
_REQUEST = _HEADER.struct("block_request")
_SLOT = _HEADER.struct("block_slot")
_OPERATION, _SYNC, _METADATA, _OWNER_SHIFT = map(
    _HEADER.number, ("BLOCK_OPERATION", "BLOCK_SYNC", "BLOCK_METADATA", "BLOCK_OWNER_SHIFT")
)
_HOOKS = ("on_block_attach", "on_block_task", "on_block_complete", "on_block_issue")
_32_BITS = 0xFFFFFFFF


class BlockIO:
    """The Part: True is what a slot may want, what is read are RawBlockIO."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        # slot -> generation, and what had been lost as it asked.
        self._wanting: dict[int, int] = {}
        self._lost_before: dict[int, int] = {}
        self._slots = SlotWords(programs.maps, "block_slots", _SLOT)

    def enable(self, slot: int, generation: int, wanted: bool) -> None:
        """Tell a slot's requests from now on. Raises UnsupportedKernelError where that cannot be."""
        if not wanted or slot in self._wanting:
            return
        for program in _HOOKS:
            self._programs.need(program)
        self._open()
        self._write_generation(slot, generation)
        try:
            self._programs.attach(_HOOKS)
        except BaseException:
            self._write_generation(slot, 0)
            raise
        self._wanting[slot] = generation
        self._lost_before[slot] = self._lost(slot)
        self._look_at_tasks()

    def _look_at_tasks(self) -> None:
        """Have the programs look at every traced task's next call."""
        with self._programs.maps.view("config", "I") as config:
            at = layout.CONFIG.at("followed")
            config[at] = (config[at] + 1) & _32_BITS

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end detaches the programs. Idempotent."""
        generation = self._wanting.pop(slot, None)
        if generation is None:
            return
        del self._lost_before[slot]
        self._write_generation(slot, 0)
        if not self._wanting:
            self._programs.detach(_HOOKS)
        self._forget(generation)

    def _forget(self, generation: int) -> None:
        """Take a slot's rows and cgroups away; with the last one everything."""
        of_all, maps = not self._wanting, self._programs.maps
        for key in list(bpf_syscall.keys(maps.fd("block_rows"), _KEY.size)):
            if of_all or _KEY.unpack(key)[0] == generation:
                bpf_syscall.delete(maps.fd("block_rows"), key)
        for key, owner in list(bpf_syscall.lookup_all(maps.fd("block_cgroups"), _CGROUP_BYTES, layout.SLOT_REF.size)):
            if of_all or layout.SLOT_REF.unpack(owner)[1] == generation:
                bpf_syscall.delete(maps.fd("block_cgroups"), key)
        # Requests of the slot that are still with a device end in a row that nobody reads, until the last one's end.
        for key in list(bpf_syscall.keys(maps.fd("block_requests"), 8)) if of_all else ():
            bpf_syscall.delete(maps.fd("block_requests"), key)

    def _write_generation(self, slot: int, generation: int) -> None:
        self._slots.write(slot, "charged", 0)
        self._slots.write(slot, "generation", generation)

    def _lost(self, slot: int) -> int:
        """All that was lost of a slot and of shared requests, and events for which the kernel did not run a program."""
        lost = self._slots.read(slot, "lost") + self._slots.read(0, "lost")
        return lost + sum(self._programs.skipped(hook) for hook in _HOOKS[2:])

    def lost(self, slot: int) -> int:
        """Count requests for which there was no room since the slot asked; it may be that they were another's."""
        return self._lost(slot) - self._lost_before[slot] if slot in self._wanting else 0

    def read(self) -> dict[int, RawBlockIO]:
        """Return everything that was counted, by slot, each with what is shared."""
        if not self._wanting:
            return {}
        by_generation: dict[int, dict[BlockKind, BlockCounts]] = {}
        rows = bpf_syscall.lookup_all(self._programs.maps.fd("block_rows"), _KEY.size, _ROW.size)
        for key, value in rows:
            generation, device, kind = _KEY.unpack(key)
            counts, disk = _counts(value)
            by_generation.setdefault(generation, {})[_kind(device, disk, kind)] = counts
        shared = by_generation.get(0, {})
        return {slot: by_generation.get(generation, {}) | shared for slot, generation in self._wanting.items()}

    def _open(self) -> None:
        if self._slots.is_open:
            return
        maps = self._programs.maps
        for name, size in (("block_rows", _ROW.size), ("block_requests", _REQUEST.size)):
            maps.check_size(name, size)
        self._slots.open()

    @property
    def needs_drain(self) -> bool:
        """Never: nothing of it fills."""
        return False

    def close(self) -> None:
        """Give the memory back."""
        self._slots.close()


def _kind(device: int, disk: str, kind: int) -> BlockKind:
    owner = BlockOwner(kind >> _OWNER_SHIFT)
    return BlockKind(device, disk, kind & _OPERATION, bool(kind & _SYNC), bool(kind & _METADATA), owner)


def _counts(value: bytes) -> tuple[BlockCounts, str]:
    count, moved, errors, sequential, queue_ns, queue_max, device_ns, device_max, disk = _NUMBERS.unpack(
        value[: _NUMBERS.size]
    )
    queue = Lengths(_buckets(value, _QUEUE), queue_ns, queue_max)
    device = Lengths(_buckets(value, _DEVICE), device_ns, device_max)
    name = disk.split(b"\0", 1)[0].decode(errors="replace")
    return BlockCounts(count, moved, errors, sequential, queue, device), name


def _buckets(value: bytes, at: int) -> dict[int, int]:
    counts = memoryview(value)[at : at + 4 * _BUCKETS].cast("I")
    return {index: count for index, count in enumerate(counts) if count}
