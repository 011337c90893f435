"""The Tracer: the loaded programs of this node, attached only while something is traced.

Used by traces (agent) and by the CLI's local mode. A slot is one traced container (or process); its counters only
grow. A trace is the difference of two snapshots of its slot, so that any number of traces share one slot.
"""

import ctypes
import logging
import os
import platform
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters import calls
from kubestrace_agent.kernel.counters.counts import InFlight, RawCounts, Row
from kubestrace_agent.kernel.counters.flights import Flights
from kubestrace_agent.kernel.counters.readers import Reader
from kubestrace_agent.kernel.counters.rings import Rings
from kubestrace_agent.kernel.loader.kept import Folder
from kubestrace_agent.kernel.loader.programs import FOLLOWING, WATCHING, Programs, UnsupportedKernelError, WalkFailures
from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.kernel.maps import index, layout, row_sizes
from kubestrace_agent.kernel.maps.pods import PodMaps
from kubestrace_agent.kernel.maps.row_sizes import RowSizes
from kubestrace_agent.kernel.maps.rows import ROWS_A_CONTAINER, NoMemoryError, NoRowsError, Rows
from kubestrace_agent.kernel.maps.slots import Slot, depth, in_hosts_pid_namespace, leader
from kubestrace_agent.syscalls import SyscallKey, abi_names

if TYPE_CHECKING:
    from kubestrace_agent.views.view import Part

__all__ = ["InFlight", "NodeFullError", "RawCounts", "Row", "Tracer", "UnsupportedKernelError"]

_log = logging.getLogger(__name__)

# Different calls of one container that get a row; the tables have about 370 names, hostile programs more.
_SLOT_ROWS = 640
# The index holds row ids of 15 bits.
_MAX_ROWS = 32768
_16_BITS = 0xFFFF


class NodeFullError(Exception):
    """A limit of this node is reached: no further slot. The message says which, and what to do."""


@dataclass(frozen=True)
class Views:
    """What a tracer is told of views: views.registry has them."""

    # Those of the counting among them.
    sources: tuple[Source, ...]
    # Python's arguments for the process that compiles them.
    probe: tuple[str, ...]
    # Makes the modules that speak to the views' programs, by the names of parts; gets the ABIs as abi_names gives them.
    parts: Callable[[Programs, Sequence[str]], Mapping[str, "Part"]]


class Tracer:
    """One per node: the loaded programs. One owner, no locks: call it from one thread at a time.

    Every method but `load` is quick (map updates, no compilation); the first slot also attaches the programs and the
    last one's removal detaches them.
    """

    def __init__(self, programs: Programs, max_containers: int, sizes: RowSizes, views: Views) -> None:
        self._programs = programs
        self._maps = maps = programs.maps
        maps.check_size("config", layout.CONFIG.size)
        maps.check_size("indexes", layout.INDEX.size)
        maps.check_size("first_chunk", sizes.row_on_cpu_bytes)
        self._config = maps.view("config", "I")
        # The programs of pods add to generation and processes: half of each is theirs.
        self._config_halves = maps.view("config", "H")
        self._indexes = maps.view("indexes", "B")
        self._lost = maps.view("lost", "Q")
        self._rows = Rows(maps, sizes)
        self._abis = abi_names(platform.machine())
        self._reader = Reader(maps, self._rows, self._abis)
        self._parts = views.parts(programs, self._abis)
        calls.write_rules(maps, self._abis)
        self._flights = Flights(programs, self._abis)
        self._rings = Rings(programs)
        self._max_containers = max_containers
        self._slots: dict[int, Slot] = {}
        # The slot that was freed longest ago comes first: nobody in the kernel knows its last owner any more.
        self._free = deque(range(1, maps.entries("indexes")))
        self._generations = 0
        self._changed = False
        # Where containers of watched pods will stand.
        self._pod_levels: frozenset[int | None] = frozenset()
        # Why rows could not be made at the last snapshot.
        self._no_room = ""
        self._closed = False

    @classmethod
    def load(
        cls,
        views: Views,
        *,
        max_containers: int = 512,
        parts: Iterable[str] | None = None,
        sizes: RowSizes | None = None,
        folder: Path | None = None,
    ) -> Self:
        """Compile and load in a short-lived child process, or take what is kept. Raises UnsupportedKernelError.

        Compiling takes a second, and three with all parts of views (None), loading what is kept a quarter and half of
        one. Parts that are not loaded cannot be enabled later. `sizes`: those of this machine. `folder`: where
        compiled programs are kept; None: nowhere.
        """
        sizes = sizes or row_sizes.of_machine()
        # Twice as many slots as may be used at once: each rests for a while before it is used again.
        tables = {"MAX_SLOTS": 2 * max_containers + 1, "MAX_ROWS": _MAX_ROWS, "SLOT_ROWS": _SLOT_ROWS}
        keep = Folder(folder) if folder is not None else None
        constants = tables | sizes.definitions()
        programs = Programs.load(constants, views.sources, views.probe, parts=parts, folder=keep)
        return cls(programs, max_containers, sizes, views)

    def add_container(self, cgroup_path: Path, *, wanted: frozenset[SyscallKey] | None) -> int:
        """Count the calls of this cgroup (a directory of the cgroup2 tree) and those nested below it: a slot.

        `wanted` is Selection.keys(): None is all. Of two slots, one nested in the other, the inner one counts.
        Adding one cgroup twice is the caller's error (ValueError): keep slots per cgroup and count references.
        Raises FileNotFoundError when the cgroup is gone or no cgroup, and NodeFullError at the cap.
        """
        return self._begun(self.reserve_container(cgroup_path, wanted=wanted))

    def reserve_container(self, cgroup_path: Path, *, wanted: frozenset[SyscallKey] | None) -> int:
        """As add_container, without counting: views can be wanted that are to see the very first call. Then `begin`."""
        (cgroup_path / "cgroup.procs").stat()  # any other folder is no cgroup
        cgroup_id = cgroup_path.stat().st_ino
        if any(slot.cgroup_id == cgroup_id for slot in self._slots.values()):
            raise ValueError(f"{cgroup_path} is traced already")
        return self._add(Slot(0, cgroup_id, None, depth(cgroup_path), 0), wanted)

    def add_process(self, pid: int, *, wanted: frozenset[SyscallKey] | None) -> int:
        """Count the calls of this process, all its threads, and the children it makes from now on.

        Raises ProcessLookupError when there is no such process, UnsupportedKernelError where it cannot be followed.
        """
        return self._begun(self.reserve_process(pid, wanted=wanted))

    def reserve_process(self, pid: int, *, wanted: frozenset[SyscallKey] | None) -> int:
        """As add_process, without counting; as reserve_container."""
        if not in_hosts_pid_namespace():
            raise UnsupportedKernelError(
                "PidNamespace", "A process is followed by its PID on the host: run in the host's PID namespace."
            )
        os.kill(pid, 0)
        return self._add(Slot(0, None, leader(pid), 0, 0), wanted)

    def _add(self, slot: Slot, wanted: frozenset[SyscallKey] | None) -> int:
        self._reserve(new=1)
        number = self._free.popleft()
        self._generations += 1
        slot.generation = self._generations
        slot.lost_before = self._lost[number]
        slot.wanted = wanted
        self._write_index(number, wanted)
        at, used_at = number * layout.INDEX.size, layout.INDEX.offset("used")
        self._indexes[at + used_at : at + layout.INDEX.size] = bytes(layout.INDEX.size - used_at)
        try:
            self._programs.attach(self._programs.counting + (() if slot.pid is None else FOLLOWING))
            self._programs.attach(self._programs.beside)
            self._rings.attach()
        except BaseException:
            self._free.appendleft(number)
            self._detach_unused()
            raise
        self._slots[number] = slot
        return number

    def _reserve(self, new: int) -> None:
        if new and len(self._slots) + new > self._max_containers:
            raise NodeFullError(f"This node traces {len(self._slots)} containers already, its limit.")
        promised = sum(max(0, ROWS_A_CONTAINER - len(slot.readings)) for slot in self._slots.values())
        try:
            self._rows.reserve(promised + new * ROWS_A_CONTAINER)
        except NoRowsError:
            raise NodeFullError(f"The rows of this node's table of counters ({_MAX_ROWS}) are all in use.") from None
        except NoMemoryError as error:
            raise NodeFullError(str(error)) from None

    def _begun(self, slot: int) -> int:
        try:
            self.begin(slot)
        except BaseException:
            self.remove(slot)
            raise
        return slot

    def begin(self, slot: int) -> None:
        """Count a slot that was reserved from now on. Raises NodeFullError: then it is still to be removed."""
        entered = self._slots[slot]
        target = layout.SLOT_REF.pack(slot, entered.generation)
        self._write_levels()
        # From this moment on calls are counted: nothing was in the maps before.
        if entered.cgroup_id is not None:
            bpf_syscall.update(self._maps.fd("containers"), entered.cgroup_id.to_bytes(8, "little"), target)
        elif entered.pid is not None:
            bpf_syscall.update(self._maps.fd("slots_by_pid"), bpf_syscall.key_u32(entered.pid), target)
        self._change()

    def follow(self, slot: int, pids: Iterable[int]) -> None:
        """Count these processes in the slot of another one, too, and the children that they make from now on."""
        target = layout.SLOT_REF.pack(slot, self._slots[slot].generation)
        for pid in pids:
            bpf_syscall.update(self._maps.fd("slots_by_pid"), bpf_syscall.key_u32(pid), target)
        self._change()

    def followed(self, slot: int) -> list[int]:
        """Return the processes that are counted in a slot because they were named, or are children of such a one."""
        return sorted(int.from_bytes(key, sys.byteorder) for key in self._followed(slot))

    def _change(self) -> None:
        """Void the cgroup caches of all CPUs; once more at the next snapshot: a CPU may read a generation too early."""
        self._void_caches()
        self._changed = True

    def _void_caches(self) -> None:
        half = layout.CONFIG_GENERATION_HALF
        self._config_halves[half] = (self._config_halves[half] + 1) & _16_BITS

    def _write_levels(self) -> None:
        """Where in the tree containers stand, deepest first; all that fit when one's place is not known."""
        depths = {slot.level for slot in self._slots.values() if slot.cgroup_id is not None} | self._pod_levels
        known = sorted((depth for depth in depths if depth is not None), reverse=True)
        levels = list(range(layout.MAX_LEVELS, 0, -1)) if None in depths else known
        if len(levels) > layout.MAX_LEVELS:
            raise NodeFullError(f"Containers stand at more than {layout.MAX_LEVELS} depths of the cgroup tree.")
        for position, level in enumerate(levels):
            self._config[layout.CONFIG.at("levels") + position] = level
        self._config[layout.CONFIG.at("level_count")] = len(levels)
        followed = sum(slot.pid is not None for slot in self._slots.values())
        self._config_halves[layout.CONFIG_PROCESSES_HALF] = followed

    def has_many_free(self, but: int = 0) -> bool:
        """Whether fewer than half of the slots are in use, with so many more."""
        return 2 * (len(self._slots) + but) < self._max_containers

    def reserve_slot(self, *, wanted: frozenset[SyscallKey] | None) -> int:
        """A slot for a cgroup that does not exist yet: the programs of pods enter it. Raises NodeFullError.

        `remove` ends it, whether it was entered or not.
        """
        return self._add(Slot(0, None, None, None, 0), wanted)

    def adopt(self, slot: int, cgroup_id: int, level: int) -> None:
        """Note where the programs have entered a slot of reserve_slot."""
        entered = self._slots[slot]
        entered.cgroup_id, entered.level = cgroup_id, level
        self._write_levels()

    def generation(self, slot: int) -> int:
        """The generation of a slot, which is never used twice."""
        return self._slots[slot].generation

    def pod_maps(self) -> PodMaps:
        """The maps of the programs of pods, whose owner closes them before the Tracer is closed.

        Raises UnsupportedKernelError where this kernel does not take these programs: containers are then counted from
        the moment they are found.
        """
        for program in WATCHING:
            self._programs.need(program)
        return PodMaps(self._maps)

    def watch_pods(self, levels: frozenset[int | None]) -> None:
        """Have the programs of pods at work, for containers at these depths of the cgroup tree (None: any).

        Raises UnsupportedKernelError where they cannot be attached. Idempotent.
        """
        self._programs.attach(WATCHING)
        self._programs.move_behind(WATCHING, "sched_process_exec")
        self._pod_levels = levels
        self._write_levels()
        self._change()

    def unwatch_pods(self) -> None:
        """Detach the programs of pods."""
        self._programs.detach(WATCHING)
        self._pod_levels = frozenset()
        self._write_levels()

    def set_wanted(self, slot: int, wanted: frozenset[SyscallKey] | None) -> None:
        """Change what a slot counts: pass the union of what its traces want, and subtract with each one's own.

        With an empty set no call is counted that begins from now on; those under way are, when they return.
        """
        known = self._slots[slot]
        if known.stopped:
            self._mark_stopped(slot, stopped=False)
            self._rows.resume(known.generation)
        if _is_wider(wanted, known.wanted):
            at = slot * layout.INDEX.size + layout.INDEX.offset("widened")
            widened = int.from_bytes(self._indexes[at : at + 4], "little") + 1
            self._indexes[at : at + 4] = widened.to_bytes(4, "little")
        known.wanted = wanted
        self._write_index(slot, wanted)

    def stop(self, slots: Collection[int]) -> None:
        """Count nothing more of these slots, in the rows and in all views: after this they stand still.

        So what is read of them one after the other are the same calls. Those that are in flight now are left out. It
        takes a grace period of the kernel (some 10 ms). `set_wanted` lets them go on.
        """
        if not slots:
            return
        for slot in slots:
            self._write_index(slot, frozenset())
            self._mark_stopped(slot, stopped=True)
        self._rows.stop([self._slots[slot].generation for slot in slots])

    def _mark_stopped(self, slot: int, *, stopped: bool) -> None:
        self._slots[slot].stopped = stopped
        self._indexes[slot * layout.INDEX.size + layout.INDEX.offset("stopped")] = int(stopped)

    def _write_index(self, number: int, wanted: frozenset[SyscallKey] | None) -> None:
        entries, others = index.blank(wanted, self._abis)
        at, others_at = number * layout.INDEX.size, layout.INDEX.offset("others_wanted")
        self._indexes[at : at + others_at] = entries.tobytes()
        self._indexes[at + others_at] = int(others)

    def enable(self, part: str, slot: int, wanted: Any) -> None:
        """Have a part of a view tell of a slot from now on, or another thing than before; None: no longer.

        Raises UnsupportedKernelError where this kernel does not take its programs: everything else goes on. Whatever is
        raised, the part tells nothing of the slot then.
        """
        if wanted is None:
            self._parts[part].disable(slot)
            return
        try:
            self._parts[part].enable(slot, self._slots[slot].generation, wanted)
        except BaseException:
            # What it had begun: a ring, rows, programs that are attached.
            self._parts[part].disable(slot)
            raise

    def read(self, part: str) -> Mapping[int, Any]:
        """What a part tells of the slots that want it: ask each second, or events find no room."""
        return self._parts[part].read()

    def needs_drain(self, part: str) -> bool:
        """Whether a part has so much to tell that it should be read at once."""
        return self._parts[part].needs_drain

    def lost(self, part: str, slot: int) -> int:
        """What a part had no room for since the slot wants it."""
        return self._parts[part].lost(slot)

    def problem_of(self, part: str) -> str:
        """Why a part of a view cannot be had on this kernel; empty: it can."""
        return self._programs.problem_of(part)

    def remove(self, slot: int) -> None:
        """Stop counting it. Take the last snapshot before; the slot's number may come back for another container."""
        for part in self._parts.values():
            part.disable(slot)
        gone = self._slots.pop(slot)
        if gone.cgroup_id is not None:
            bpf_syscall.delete(self._maps.fd("containers"), gone.cgroup_id.to_bytes(8, "little"))
        else:
            self._forget_processes(slot)
        self._write_levels()
        self._change()
        self._rows.end(gone.generation)
        self._forget_odd_errnos(gone.generation)
        self._free.append(slot)
        self._detach_unused()

    def _forget_processes(self, slot: int) -> None:
        """Of a family: with the fork hook still at work, so once more for a child that came meanwhile."""
        for _ in range(2):
            for key in self._followed(slot):
                bpf_syscall.delete(self._maps.fd("slots_by_pid"), key)

    def _followed(self, slot: int) -> list[bytes]:
        """Return the keys of a slot's processes."""
        processes, value = self._maps.fd("slots_by_pid"), ctypes.create_string_buffer(layout.SLOT_REF.size)
        keys = list(bpf_syscall.keys(processes, 4))
        return [
            key
            for key in keys
            if bpf_syscall.lookup(processes, key, value) and layout.SLOT_REF.unpack(value.raw)[0] == slot
        ]

    def _forget_odd_errnos(self, generation: int) -> None:
        for key in self._reader.odd_errnos():
            if layout.ODD_ERRNO.unpack(key)[0] == generation:
                bpf_syscall.delete(self._maps.fd("odd_errnos"), key)

    def _detach_unused(self) -> None:
        if not any(slot.pid is not None for slot in self._slots.values()):
            self._programs.detach(FOLLOWING)
        if not self._slots:
            self._rings.detach()
            self._programs.detach(self._programs.counting + self._programs.beside)

    def snapshot(self, slots: Iterable[int]) -> dict[int, RawCounts]:
        """Counters since each slot was made, exact, with the calls that living tasks are inside of now.

        Pure values: keep the one of a trace's start and subtract by traces.delta; maxima need no folding by
        the caller, whatever other snapshots were taken between. Take one at least every 10 minutes while a slot
        lives (counters in the kernel are 32 bits wide), each second for a trace that reports. One call for many
        slots costs hardly more than one for one.
        """
        if self._changed:
            self._changed = False
            self._void_caches()
        epoch, now = self._reader.next_epoch()
        in_flight = self._flights.read(now)
        ring_users = self._rings.read(epoch, {slot.generation for slot in self._slots.values()})
        self._reader.read(self._slots.values(), self._slots.values())
        self.make_room()
        return {
            number: replace(
                self._counts(number, epoch, now),
                in_flight=tuple(in_flight.get(self._slots[number].generation, ())),
                ring_users=ring_users.get(self._slots[number].generation, ()),
            )
            for number in slots
        }

    def peek(self, slots: Collection[int]) -> dict[int, RawCounts]:
        """Return counters of some slots between two snapshots, without calls in flight and users of io_uring.

        No epoch ends, so that nothing of the other slots has to be read.
        """
        now = time.monotonic_ns()
        self._reader.read(self._slots.values(), [self._slots[number] for number in slots])
        return {number: self._counts(number, self._reader.last_epoch, now) for number in slots}

    def _counts(self, number: int, epoch: int, now_ns: int) -> RawCounts:
        """What was read of a slot."""
        slot = self._slots[number]
        return RawCounts(
            epoch=epoch,
            time_ns=now_ns,
            rows=slot.rows(),
            lost_calls=self._lost[number] - slot.lost_before,
            at_attach=slot.at_attach,
            attach_first=slot.attach_first,
        )

    def make_room(self) -> None:
        """Keep rows free; to be called each second. At the node's limit further kinds of calls are counted as lost.

        So they are without memory.
        """
        problem = ""
        try:
            self._reserve(new=0)
        except (NodeFullError, OSError) as error:
            problem = str(error)
        # Asked each second, logged once.
        if problem and problem != self._no_room:
            _log.warning("no further rows can be made: %s", problem)
        self._no_room = problem

    def join(self, slots: Collection[int]) -> dict[int, RawCounts]:
        """Return snapshots for further traces of some slots to begin with.

        Calls that are in flight now are kept apart when they end: they are RawCounts.at_attach of later snapshots.
        """
        joined_ns = time.monotonic_ns()
        for slot in slots:
            at = slot * layout.INDEX.size + layout.INDEX.offset("joined_ns")
            self._indexes[at : at + 8] = joined_ns.to_bytes(8, "little")
        with self._maps.view("config", "Q") as config:
            config[layout.CONFIG.at("joined_ns")] = joined_ns
        return {slot: replace(counts, joined_ns=joined_ns) for slot, counts in self.snapshot(slots).items()}

    def trim(self, slot: int, position: int) -> None:
        """Forget calls in flight at attach before a position (RawCounts.attach_end), which no trace needs any more."""
        known = self._slots[slot]
        gone = max(0, position - known.attach_first)
        known.at_attach, known.attach_first = known.at_attach[gone:], known.attach_first + gone

    @property
    def skipped_calls(self) -> int:
        """Calls of this node at whose end the counting was skipped, whoever made them.

        The kernel runs a program once at a time on each CPU. Where it may preempt one (Linux 7), all tasks that come to
        that CPU in the meantime go by uncounted. With a second pair of programs few do, and those are among lost_calls.
        """
        return 0 if self._programs.twice else self._programs.skipped("on_sys_exit")

    @property
    def walk_failures(self) -> WalkFailures:
        """Reads of the kernel's lists of tasks that failed since the programs were loaded."""
        return self._programs.walk_failures

    @property
    def program_parts(self) -> dict[int, str]:
        """The part of each loaded program by its file descriptor; from any thread."""
        return self._programs.parts

    @property
    def attached(self) -> bool:
        """Whether any program is attached: only while there is a slot."""
        return self._programs.attached

    @property
    def active(self) -> frozenset[str]:
        """The programs that the kernel runs now, by name."""
        return self._programs.active

    def close(self) -> None:
        """Detach and give everything back. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for part in self._parts.values():
            part.close()
        self._rows.close()
        self._reader.close()
        for shared in (self._config, self._config_halves, self._indexes, self._lost):
            shared.release()
        self._programs.close()


def _is_wider(wanted: frozenset[SyscallKey] | None, before: frozenset[SyscallKey] | None) -> bool:
    """Whether calls are wanted that were not before."""
    return before is not None and (wanted is None or not wanted <= before)
