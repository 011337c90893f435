"""Speaks to files.bpf.c: what was done with files in the slots that ask, and what these files are called."""

from collections.abc import Sequence

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters import calls
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.rings import RingMaps, SlotRing
from kubestrace_agent.views.files import classes
from kubestrace_agent.views.files.values import FileCounts, FileKey, FileKind, FileName, FilesWanted, RawFiles

_HEADER = header("views/files/files.h")
_KEY = _HEADER.struct("file_key").whole()
_ROW = _HEADER.struct("file_row")
_COUNTS = _ROW.fields(
    *("calls", "failed", "read_bytes", "written_bytes", "synced_writes", "total_ns", "max_ns", "since_ns"),
    *("file_inode", "file_number", "file_version"),
)
_FAILURE = _HEADER.struct("file_failure")
_NUMBER_OF = _FAILURE.fields("number")
_NAME = _HEADER.struct("file_name")
_NAME_HEAD = _NAME.fields("mode", "path_bytes", size=_NAME.offset("text"))
_FIRST_SHARED = _HEADER.number("FIRST_SHARED_FILE_KIND")
_RING = RingMaps(
    name="ks_files",
    array="file_rings",
    ring_bytes=1 << 22,
    record_bytes=_NAME.size,
    slots="file_slots",
    layout=_HEADER.struct("file_slot"),
)
_PROGRAMS = ("on_file_name", "on_file_side", "on_file_call")


class Files:
    """The Part: what is wanted are FilesWanted, what is read are RawFiles."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        self._shared = SlotRing(programs.maps, _RING)
        # By slot: each row is named once.
        self._names: dict[int, dict[FileKey, FileName]] = {}

    def enable(self, slot: int, generation: int, wanted: FilesWanted) -> None:
        """Tell what is done with files in a slot. Raises UnsupportedKernelError where that cannot be."""
        if slot not in self._shared:
            for program in _PROGRAMS:
                self._programs.need(program)
            self._prepare()
            self._shared.add(slot, generation)
            self._shared.write(slot, "rows", 0)
            self._shared.write(slot, "failures", 0)
            self._names[slot] = {}
            self._add_shared_rows(generation)
        self._shared.write(slot, "since_ns", wanted.since_ns)
        self._shared.write(slot, "generation", generation)
        self._programs.attach(_PROGRAMS)

    def _prepare(self) -> None:
        if self._shared:
            return
        maps = self._programs.maps
        for name, struct in (("file_rows", "file_row"), ("file_scratch", "file_scratch")):
            maps.check_size(name, _HEADER.struct(struct).size)
        with maps.view("file_shapes", "Q") as shapes:
            for at, abi, called in calls.indexed(self._abis):
                shapes[at] = classes.shape(called, abi)
            self._programs.choose("on_file_call", (at for at, shape in enumerate(shapes) if shape))

    def _add_shared_rows(self, generation: int) -> None:
        """Rows of all sockets, of what finds no row, and so on: they are there whatever comes."""
        for kind in range(_FIRST_SHARED, len(FileKind)):
            key = FileKey(generation, kind)
            bpf_syscall.update(self._programs.maps.fd("file_rows"), _KEY.pack(*key), bytes(_ROW.size))

    def disable(self, slot: int) -> None:
        """Tell nothing of a slot any more; the last one's end takes the program and the ring away. Idempotent."""
        generation = self._shared.remove(slot)
        if generation is None:
            return
        self._names.pop(slot, None)
        self._shared.write(slot, "generation", 0)
        if not self._shared:
            self._programs.detach(_PROGRAMS)
            self._shared.give_back()
        for name, size in (("file_rows", _KEY.size), ("file_failures", _FAILURE.size)):
            fd = self._programs.maps.fd(name)
            for key in list(bpf_syscall.keys(fd, size)):
                if _KEY.unpack_from(key)[0] == generation:
                    bpf_syscall.delete(fd, key)

    def lost(self, slot: int) -> int:  # noqa: ARG002 - the Part protocol has it
        """Nothing: what finds no room has a row of its own, and what finds none for its name is named later."""
        return 0

    def read(self) -> dict[int, RawFiles]:
        """Return everything that was counted, by slot."""
        if not self._shared:
            return {}
        self._read_names()
        rows: dict[int, dict[FileKey, FileCounts]] = {slot: {} for slot in self._shared.slots}
        failures: dict[int, dict[FileKey, dict[int, int]]] = {slot: {} for slot in self._shared.slots}
        maps = self._programs.maps
        for key, value in bpf_syscall.lookup_all(maps.fd("file_failures"), _FAILURE.size, 8):
            of = FileKey(*_KEY.unpack_from(key))
            if (slot := self._shared.slot_of.get(of.generation)) is not None:
                (number,) = _NUMBER_OF.unpack(key)
                failures[slot].setdefault(of, {})[number] = int.from_bytes(value, "little")
        for key, value in bpf_syscall.lookup_all(maps.fd("file_rows"), _KEY.size, _ROW.size):
            of = FileKey(*_KEY.unpack(key))
            if (slot := self._shared.slot_of.get(of.generation)) is not None:
                rows[slot][of] = FileCounts(*_COUNTS.unpack(value))
        return {slot: RawFiles(rows[slot], failures[slot], self._names[slot]) for slot in rows}

    def _read_names(self) -> None:
        for record in self._shared.records():
            key = FileKey(*_KEY.unpack_from(record))
            slot = self._shared.slot_of.get(key.generation)
            if slot is None:
                continue
            mode, path_bytes = _NAME_HEAD.unpack_from(record)
            text = record[_NAME_HEAD.size :]
            self._names[slot][key] = FileName(text[: max(path_bytes - 1, 0)], text[path_bytes:], mode)
        self._shared.deal_out()

    @property
    def needs_drain(self) -> bool:
        """Whether the ring fills faster than it is read."""
        return self._shared.needs_drain

    def close(self) -> None:
        """Give the memory back."""
        self._shared.close()
