"""Stacks of programs: what stacks.bpf.c took, and what the kernel knows of their addresses. Used by views with stacks.

What addresses mean is asked of the kernel by two iterators, so that it needs no capability beside those for BPF: /proc
tells other processes' mappings to those alone who may trace them, and the kernel's symbols to those with CAP_SYSLOG.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from kubestrace_agent.containers import procfs
from kubestrace_agent.containers.held_files import HeldFile
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.slots import in_hosts_pid_namespace
from kubestrace_agent.symbols.frames import CodeMapping, UserFrame, UserStack

_HEADER = header("kernel/bpf/stacks.h")
_STACK = _HEADER.struct("user_stack")
# Up to its files.
_RECORD = _STACK.fields(
    *("user_bytes", "file_bytes", "words", "user", "stack_pointer", "frame_pointer", "top"), size=_STACK.offset("files")
)
# Where the items of each part begin behind the first three.
_POINTERS = _HEADER.number("USER_FRAMES")
_WORDS = _POINTERS + 2
_FILE = _HEADER.struct("user_frame").fields("status", "build_id", "offset")
# A status that says that both the build id and the offset are there (Linux include/uapi/linux/bpf.h).
_HAS_BUILD_ID = 1
_QUESTION = _HEADER.struct("stack_question")
_SYMBOLS = _HEADER.number("SYMBOLS")
_MAPPING = _HEADER.struct("code_mapping").fields("start", "end", "offset_pages", "path")
# A process with more pieces of code than this compiles them itself.
_MOST_MAPPING_BYTES = 512 * _MAPPING.size
# And with more than this, no two answers are likely to be the same.
_MOST_SAME_BYTES = 64 * _MAPPING.size
_MOST_NAME_BYTES = 1 << 16
_MOST_NAMES = 8192
# Processes whose mappings are remembered, and addresses of each that are known to be in one.
_MOST_PROCESSES, _MOST_ADDRESSES = 1024, 4096
# Stacks that are read together ask once.
_AT_ONCE_SECONDS = 0.05
_Shape = tuple[str, str, str] | None
_NAMES, _MAPPINGS = "bpf_iter__bpf_map", "bpf_iter__task_vma"


def parsed(record: bytes) -> UserStack:
    """Read a struct user_stack, with as many files as are there."""
    user_bytes, file_bytes, count, *words = _RECORD.unpack_from(record)
    user = words[: max(0, user_bytes) // 8]
    files = _FILE.iter_unpack(record[_RECORD.size : _RECORD.size + max(0, file_bytes)])
    frames = [
        UserFrame(address, build_id if status == _HAS_BUILD_ID else b"", offset if status == _HAS_BUILD_ID else 0)
        for address, (status, build_id, offset) in zip(user, files, strict=False)
    ]
    frames += [UserFrame(address) for address in user[len(frames) :]]
    return UserStack(tuple(frames), words[_POINTERS], words[_POINTERS + 1], tuple(words[_WORDS : _WORDS + count]))


@dataclass(slots=True)
class _Mapped:
    """What a process had mapped when the kernel was asked."""

    # What tells the shape of its memory, and that of the next process with its number; None: /proc is of others.
    file: HeldFile[tuple[str, str, str]] | None
    mappings: Sequence[CodeMapping] = ()
    # Before it was asked.
    shape: _Shape = None
    # When it was asked, and when its shape was looked at last; CLOCK_MONOTONIC, in seconds.
    asked_at: float = 0.0
    looked_at: float = 0.0
    inside: set[int] = field(default_factory=set)

    def shape_now(self) -> _Shape:
        """Look at it; None where that cannot be, as of a process that has ended."""
        try:
            return self.file.value() if self.file else None
        except (OSError, ValueError):
            return None

    def holds(self, addresses: set[int]) -> bool:
        """Tell whether each of these addresses is in a mapping."""
        new = addresses - self.inside
        if not all(any(each.start <= address < each.end for each in self.mappings) for address in new):
            return False
        if len(self.inside) > _MOST_ADDRESSES:
            self.inside.clear()
        self.inside |= new
        return True


class Code:
    """Asks the kernel what addresses mean."""

    def __init__(self, programs: Programs, page_bytes: int) -> None:
        self._programs = programs
        self._page_bytes = page_bytes
        # Mapped at the first use.
        self._question = memoryview(b"")
        self._names: dict[int, str] = {}
        # By PID, those that are known for the longest time first.
        self._mapped: OrderedDict[int, _Mapped] = OrderedDict()
        # Whether /proc is of the processes that the kernel's programs see.
        self._sees_processes = False

    def prepare(self) -> None:
        """Be able to ask. Raises UnsupportedKernelError where this kernel does not answer."""
        for program in (_NAMES, _MAPPINGS):
            self._programs.need(program)
        self._question = self._question or self._programs.maps.view("stack_questions", "B")
        self._sees_processes = in_hosts_pid_namespace()

    def kernel_names(self, addresses: Iterable[int]) -> list[str]:
        """What the kernel calls these addresses of its own: "name" or "name [module]"; "" where it has none."""
        addresses = list(addresses)
        new = [address for address in dict.fromkeys(addresses) if address not in self._names]
        if len(self._names) + len(new) > _MOST_NAMES:
            self._names, new = {}, list(dict.fromkeys(addresses))
        for at in range(0, len(new), _SYMBOLS):
            self._ask_names(new[at : at + _SYMBOLS])
        return [self._names.get(address, "") for address in addresses]

    def _ask_names(self, addresses: list[int]) -> None:
        self._ask(0, addresses)
        lines = self._programs.iterate(_NAMES, most=_MOST_NAME_BYTES).decode("ascii", "replace").splitlines()
        for address, line in zip(addresses, lines, strict=False):
            # An address without a name is reported as a number, which is nobody's business.
            self._names[address] = "" if line.startswith("0x") else line

    def _ask(self, pid: int, addresses: list[int]) -> None:
        """Write what the iterators are to look for."""
        written = _QUESTION.fields("pid", "count").pack(pid, len(addresses))
        self._question[: len(written)] = written
        at = _QUESTION.offset("addresses")
        for address in addresses:
            self._question[at : at + 8] = address.to_bytes(8, "little")
            at += 8

    def mappings(self, pid: int, frames: Sequence[UserFrame]) -> Sequence[CodeMapping]:
        """What code a process of the host has mapped now, of which these are frames; nothing if it has ended.

        What it had is taken for that while its memory has the same shape and the frames are in it: to read that file
        takes a tenth of the time, and a program that loads or compiles code changes either. So does another program.
        """
        addresses = {frame.address for frame in frames}
        known, now = self._mapped.get(pid) or self._begun(pid), time.monotonic()
        if now < known.asked_at + _AT_ONCE_SECONDS:
            return known.mappings
        if now < known.looked_at + _AT_ONCE_SECONDS and known.holds(addresses):
            return known.mappings
        shape, known.looked_at = known.shape_now(), now
        if shape is None or shape != known.shape or not known.holds(addresses):
            self._ask_mappings(pid, known)
            known.shape, known.asked_at = shape, now
        return known.mappings

    def _begun(self, pid: int) -> _Mapped:
        file = HeldFile(f"/proc/{pid}/statm", procfs.memory_shape) if self._sees_processes else None
        known = self._mapped[pid] = _Mapped(file)
        if len(self._mapped) > _MOST_PROCESSES:
            self._mapped.popitem(last=False)
        return known

    def _ask_mappings(self, pid: int, known: _Mapped) -> None:
        self._ask(pid, [])
        records = self._programs.iterate(_MAPPINGS, tid=pid, most=_MOST_MAPPING_BYTES)
        parse = _same_mappings if len(records) <= _MOST_SAME_BYTES else _code_mappings
        known.mappings, known.inside = parse(records, self._page_bytes), set()

    def close(self) -> None:
        """Give the memory back."""
        self._question.release()
        self._mapped.clear()


# The views of one agent are made one after the other.
@lru_cache(maxsize=1)
def code_of(programs: Programs, page_bytes: int) -> Code:
    """Who asks, for all views together: they have stacks of the same processes."""
    return Code(programs, page_bytes)


def _code_mappings(records: bytes, page_bytes: int) -> Sequence[CodeMapping]:
    whole = records[: len(records) // _MAPPING.size * _MAPPING.size]
    return tuple(
        CodeMapping(start, end, pages * page_bytes, path.partition(b"\0")[0])
        for start, end, pages, path in _MAPPING.iter_unpack(whole)
    )


# Most processes are asked again and again, and have mapped what they had: what is the same is one object.
_same_mappings = lru_cache(maxsize=1024)(_code_mappings)
