"""Who has rings of io_uring, from walks over all tasks and their open files. Owned by tracer."""

import ctypes
import time
from collections.abc import Collection, Iterator

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.counts import RingUser
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps.headers import header

_HEADER = header("kernel/bpf/rings.h")
_USER = _HEADER.struct("ring_user").whole()
_MAKER_BYTES = _HEADER.struct("ring_maker").size
_POLLED = _HEADER.number("RING_POLLED")
_TASKS, _FILES, _CREATION, _MAKERS = "tell_rings", "bpf_iter__task_file", "on_ring_create", "ring_makers"
# A node may have a million open files: looking at them takes at most one part in so many of a CPU's time.
_REST = 100
# Of one slot that are remembered, those of late.
_MOST_MAKERS = 1024

_Users = dict[int, dict[int, RingUser]]


class Rings:
    """The walks, and what is noted as rings are made."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._next_files_ns = 0
        self._of_files = b""
        # By slot generation and PID.
        self._makers: dict[int, dict[int, RingUser]] = {}

    def attach(self) -> None:
        """Note who makes a ring from now on, and look at all open files at the next reading."""
        self._next_files_ns = 0
        if _CREATION in self._programs.fds:
            self._programs.attach((_CREATION,))

    def detach(self) -> None:
        """Note nothing more. Idempotent."""
        self._programs.detach((_CREATION,))
        self._of_files = b""
        self._makers.clear()
        for _ in self._made():
            pass

    def read(self, epoch: int, generations: Collection[int]) -> dict[int, tuple[RingUser, ...]]:
        """Return those of each of these slots: a user for each process that lives, and those that made a ring.

        `epoch` is the snapshot's. Nothing where the kernel does not run the iterators.
        """
        living: dict[int, dict[int, RingUser]] = {}
        # The makers first: who made a ring before the walk and ended after it is in both.
        for record in self._made():
            _take(self._makers, record, epoch)
        _take(living, (self._programs.walk(_TASKS) or b"") + self._files(), 0)
        self._makers = {each: self._makers[each] for each in generations if each in self._makers}
        for makers in self._makers.values():
            for pid in list(makers)[:-_MOST_MAKERS]:
                del makers[pid]
        return {each: tuple((self._makers.get(each, {}) | living.get(each, {})).values()) for each in generations}

    def _made(self) -> Iterator[bytes]:
        """Yield the records of those that made a ring since the last time."""
        if not self._programs.maps.has(_MAKERS):
            return
        makers = self._programs.maps.fd(_MAKERS)
        value = ctypes.create_string_buffer(_USER.size)
        for key in list(bpf_syscall.keys(makers, _MAKER_BYTES)):
            if bpf_syscall.lookup(makers, key, value):
                bpf_syscall.delete(makers, key)
                yield value.raw

    def _files(self) -> bytes:
        """Return what the open files say, of now or of a short while ago."""
        begun = time.monotonic_ns()
        if begun >= self._next_files_ns:
            self._of_files = self._programs.walk(_FILES) or b""
            ended = time.monotonic_ns()
            self._next_files_ns = ended + _REST * (ended - begun)
        return self._of_files


def _take(users: _Users, records: bytes, noted: int) -> None:
    """Add what records say of processes: one may have several."""
    for generation, pid, inner_pid, flags, *rings, name in _USER.iter_unpack(records):
        own = users.setdefault(generation, {})
        # Of those that are noted the newest stand at the end.
        known = own.pop(pid, None)
        found = frozenset(filter(None, rings))
        polled = bool(flags & _POLLED)
        if known is not None and not noted:
            found, polled = found | known.rings, polled or known.polled
        own[pid] = RingUser(pid, inner_pid, name.partition(b"\0")[0], polled, found, noted)
