"""Who has rings of io_uring, from walks over all tasks and their open files. Owned by tracer."""

import ctypes
import time
from collections.abc import Iterator

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


class Rings:
    """The walks, and what is noted as rings are made."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._next_files_ns = 0
        self._of_files = b""

    def attach(self) -> None:
        """Note who makes a ring from now on, and look at all open files at the next reading."""
        self._next_files_ns = 0
        if _CREATION in self._programs.fds:
            self._programs.attach((_CREATION,))

    def detach(self) -> None:
        """Note nothing more. Idempotent."""
        self._programs.detach((_CREATION,))
        self._of_files = b""
        for _ in self._made():
            pass

    def read(self) -> dict[int, tuple[RingUser, ...]]:
        """By slot generation: a user for each process; nothing where the kernel does not run the iterators."""
        users: dict[int, dict[int, RingUser]] = {}
        # The makers first: what is read of one later is newer.
        for record in (*self._made(), self._programs.walk(_TASKS) or b"", self._files()):
            for generation, pid, inner_pid, flags, *rings, name in _USER.iter_unpack(record):
                own = users.setdefault(generation, {})
                known = own.get(pid)
                found = frozenset(filter(None, rings)) | (known.rings if known else frozenset())
                polled = bool(flags & _POLLED) or (known is not None and known.polled)
                own[pid] = RingUser(pid, inner_pid, name.partition(b"\0")[0], polled, found)
        return {generation: tuple(found.values()) for generation, found in users.items()}

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
