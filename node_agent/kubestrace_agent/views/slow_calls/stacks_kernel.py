"""Stacks of slow calls: which slots ask for them, what the kernel took, and what it calls its own addresses.

The stacks come by the ring of slow calls, each before its call. What they mean is asked of the kernel by two iterators,
so that it needs no capability beside those for BPF: /proc tells other processes' mappings to those alone who may trace
them, and the kernel's symbols to those with CAP_SYSLOG.
"""

from collections.abc import Iterable, Mapping

from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.symbols.frames import CodeMapping, UserFrame
from kubestrace_agent.views.slow_calls.values import RawStack

_HEADER = header("views/slow_calls/slow_stacks.h")
IS_STACK = _HEADER.number("IS_STACK")
_STACK = _HEADER.struct("slow_stack")
# A record up to its files.
_RECORD = _STACK.fields(
    *("end_ns", "waited_ns", "tid", "kernel_bytes", "user_bytes", "file_bytes", "words"),
    *("kernel", "user", "stack_pointer", "frame_pointer", "top"),
    size=_STACK.offset("files"),
)
# Where the items of each part begin among those behind the first seven.
_USER = _HEADER.number("KERNEL_FRAMES")
_POINTERS = _USER + _HEADER.number("USER_FRAMES")
_WORDS = _POINTERS + 2
_FILE = _HEADER.struct("user_frame").fields("status", "build_id", "offset")
# A status that says that both the build id and the offset are there (Linux include/uapi/linux/bpf.h).
_HAS_BUILD_ID = 1
RECORD_BYTES = _STACK.size
_QUESTION = _HEADER.struct("stack_question")
_SYMBOLS = _HEADER.number("SYMBOLS")
_MAPPING = _HEADER.struct("code_mapping").fields("start", "end", "offset_pages", "path")
_SLOT = header("views/slow_calls/slow_calls.h").struct("slow_slot")
# A process with more pieces of code than this compiles them itself.
_MOST_MAPPING_BYTES = 512 * _MAPPING.size
_MOST_NAME_BYTES = 1 << 16
_MOST_NAMES = 8192
_PROGRAMS = ("on_slow_stack", "on_stack_enter", "on_stack_switch")
_NAMES, _MAPPINGS = "bpf_iter__bpf_map", "bpf_iter__task_vma"


class SlowStacks:
    """The Part: a slot wants them or not; they are read with the slow calls. Asked for behind those of the slot."""

    def __init__(self, programs: Programs, page_bytes: int) -> None:
        self._programs = programs
        self._page_bytes = page_bytes
        # Slot -> what was lost there before it was asked for.
        self._lost_before: dict[int, int] = {}
        # Mapped at the first use.
        self._slots = memoryview(b"")
        self._question = memoryview(b"")
        self._names: dict[int, str] = {}

    def enable(self, slot: int, generation: int, wanted: bool) -> None:  # noqa: ARG002 - as Part has it
        """Take the stacks of a slot's calls. Raises UnsupportedKernelError where that cannot be."""
        if slot in self._lost_before:
            return
        for program in (*_PROGRAMS, _NAMES, _MAPPINGS):
            self._programs.need(program)
        maps = self._programs.maps
        self._slots = self._slots or maps.view("slow_slots", "Q")
        self._question = self._question or maps.view("stack_questions", "B")
        self._lost_before[slot] = self._slots[_at(slot, "stacks_lost")]
        self._slots[_at(slot, "stacks")] = 1
        self._programs.attach(_PROGRAMS)
        self._follow()

    def _follow(self) -> None:
        """Have the programs look at every traced task's next call: those that were there have no storage yet."""
        with self._programs.maps.view("config", "I") as config:
            at = layout.CONFIG.at("followed")
            config[at] = (config[at] + 1) & 0xFFFFFFFF

    def disable(self, slot: int) -> None:
        """Take no stacks of a slot any more. Idempotent."""
        if self._lost_before.pop(slot, None) is None:
            return
        self._slots[_at(slot, "stacks")] = 0
        if not self._lost_before:
            self._programs.detach(_PROGRAMS)

    def read(self) -> Mapping[int, None]:
        """Nothing: SlowCalls reads them."""
        return {}

    @property
    def asked(self) -> bool:
        """Whether any slot wants them."""
        return bool(self._lost_before)

    @property
    def needs_drain(self) -> bool:
        """Never: SlowCalls says that."""
        return False

    def lost(self, slot: int) -> int:
        """Count the stacks that were not taken since the slot asked, although their calls may have been reported."""
        return self._slots[_at(slot, "stacks_lost")] - self._lost_before[slot] if slot in self._lost_before else 0

    def close(self) -> None:
        """Give the memory back."""
        self._slots.release()
        self._question.release()

    def parsed(self, record: bytes) -> tuple[int, RawStack]:
        """A record of the ring: the thread of its call, and the stack."""
        _, waited, tid, kernel_bytes, user_bytes, file_bytes, count, *words = _RECORD.unpack_from(record)
        kernel = tuple(words[: max(0, kernel_bytes) // 8])
        user = words[_USER : _USER + max(0, user_bytes) // 8]
        files = _FILE.iter_unpack(record[_RECORD.size : _RECORD.size + max(0, file_bytes)])
        frames = [
            UserFrame(address, build_id if status == _HAS_BUILD_ID else b"", offset if status == _HAS_BUILD_ID else 0)
            for address, (status, build_id, offset) in zip(user, files, strict=False)
        ]
        frames += [UserFrame(address) for address in user[len(frames) :]]
        stack = RawStack(
            kernel=kernel if kernel_bytes >= 0 else None,
            waited_ns=waited,
            user=tuple(frames),
            stack_pointer=words[_POINTERS],
            frame_pointer=words[_POINTERS + 1],
            words=tuple(words[_WORDS : _WORDS + count]),
            code=self,
        )
        return tid, stack

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

    def mappings(self, pid: int) -> list[CodeMapping]:
        """What code a process of the host has mapped now; nothing if it has ended."""
        self._ask(pid, [])
        records = self._programs.iterate(_MAPPINGS, tid=pid, most=_MOST_MAPPING_BYTES)
        records = records[: len(records) // _MAPPING.size * _MAPPING.size]
        return [
            CodeMapping(start, end, pages * self._page_bytes, path.partition(b"\0")[0])
            for start, end, pages, path in _MAPPING.iter_unpack(records)
        ]


def _at(slot: int, field: str) -> int:
    """Where a field of a slot's struct stands, in words."""
    return (slot * _SLOT.size + _SLOT.offset(field)) // 8
