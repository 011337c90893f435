"""Speaks to security.bpf.c: which slots are looked at, and what was seen there."""

from collections.abc import Sequence

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters import calls
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.kernel.maps.rings import RingMaps, SlotRing
from kubestrace_agent.views.security import judging, shapes
from kubestrace_agent.views.security.values import (
    MatchKey,
    RawDescriptor,
    RawMatch,
    RawSecurity,
    RawSecurityExec,
    SecurityWanted,
)

_HEADER, _ORIGINS = header("views/security/security.h"), header("kernel/bpf/origins.h")
_KEY = _HEADER.struct("security_key").whole()
_ROW = _HEADER.struct("security_row")
_COUNT = _ROW.fields("count", size=_ROW.size)
_MATCH, _EXEC = _HEADER.struct("security_match"), _HEADER.struct("security_exec")
_MATCH_HEAD = _MATCH.fields(
    *("origin", "program_state", "program", "call.pid", "call.inner_pid", "call.text_bytes"),
    *("call.modes", "call.process"),
    size=_MATCH.offset("call.text"),
)
_EXEC_HEAD = _EXEC.fields(
    *("time_ns", "effective", "ambient", "origin", "parent", "file_state", "file_mode", "filesystem", "is_upper"),
    *("is_of_root", "user", "effective_user", "group", "effective_group", "has_terminal", "parent_listens"),
    *(
        "modes",
        "devices",
        "peer_bytes",
        "argument_bytes",
        "parent_name",
        "argument",
        "path",
        "call.pid",
        "call.inner_pid",
    ),
    *("call.text_bytes", "call.modes"),
    size=_EXEC.offset("call.text"),
)
_EXEC_GENERATION = _EXEC.fields("generation", size=_EXEC.offset("call.text"))
_RECORD_EXEC = _HEADER.number("RECORD_EXEC")
_RECORD_BYTES = 8
_FDS = _HEADER.number("SECURITY_FDS")
_INSIDE, _OUTSIDE = _ORIGINS.number("FROM_INSIDE"), _ORIGINS.number("FROM_OUTSIDE")
_DELETED, _DETACHED = _ORIGINS.number("FILE_DELETED"), _ORIGINS.number("FILE_DETACHED")
# Linux include/uapi/linux/magic.h.
_OVERLAY = 0x794C7630
_RING = RingMaps(
    name="ks_security",
    array="security_rings",
    ring_bytes=1 << 23,
    record_bytes=max(_MATCH.size, _EXEC.size),
    slots="security_slots",
    layout=_HEADER.struct("security_slot"),
)
_PROGRAMS = ("on_security_side", "on_security_call", "on_security_exec")
# Rows that no pattern fits are taken away when a slot has this many.
_MANY = _HEADER.number("SLOT_SECURITY_ROWS") // 8


class Security:
    """The Part: what is wanted is SecurityWanted, what is read are RawSecurity."""

    def __init__(self, programs: Programs, abis: Sequence[str]) -> None:
        self._programs = programs
        self._abis = abis
        self._shared = SlotRing(programs.maps, _RING)
        self._patterns: dict[int, judging.Patterns] = {}
        # By slot: rows of interest, and those of none until they are taken away.
        self._told: dict[int, dict[MatchKey, RawMatch]] = {}
        self._innocent: dict[int, set[MatchKey]] = {}
        self._forgotten: dict[int, int] = {}

    def enable(self, slot: int, generation: int, wanted: SecurityWanted) -> None:
        """Look at a slot, with these patterns. Raises UnsupportedKernelError where that cannot be."""
        if slot not in self._shared:
            for program in _PROGRAMS:
                self._programs.need(program)
            self._prepare()
            self._shared.add(slot, generation)
            for name in ("rows", "forgotten"):
                self._shared.write(slot, name, 0)
            self._told[slot], self._innocent[slot], self._forgotten[slot] = {}, set(), 0
        self._patterns[slot] = judging.Patterns.of(wanted.patterns)
        self._shared.write(slot, "generation", generation)
        self._programs.attach(_PROGRAMS)

    def _prepare(self) -> None:
        if self._shared:
            return
        maps = self._programs.maps
        sizes = {"security_rows": "security_row", "security_scratch": "security_scratch"}
        for name, struct in (sizes | {"exec_scratch": "security_exec"}).items():
            maps.check_size(name, _HEADER.struct(struct).size)
        with maps.view("security_shapes", "Q") as known:
            for at, _, called in calls.indexed(self._abis):
                known[at] = shapes.shape(called)
            self._programs.choose("on_security_call", (at for at, shape in enumerate(known) if shape))

    def disable(self, slot: int) -> None:
        """Look at a slot no more; the last one's end takes programs and ring away. Idempotent."""
        generation = self._shared.remove(slot)
        if generation is None:
            return
        for known in (self._told, self._innocent, self._forgotten, self._patterns):
            known.pop(slot, None)
        self._shared.write(slot, "generation", 0)
        if not self._shared:
            self._programs.detach(_PROGRAMS)
            self._shared.give_back()
        rows = self._programs.maps.fd("security_rows")
        for key in list(bpf_syscall.keys(rows, _KEY.size)):
            if _KEY.unpack(key)[0] == generation:
                bpf_syscall.delete(rows, key)

    def lost(self, slot: int) -> int:
        """Count calls that found no row, and programs whose record found no room, since the slot asked."""
        return self._shared.grown(slot, "lost", "lost_execs")

    def read(self) -> dict[int, RawSecurity]:
        """Return what was seen, by slot."""
        if not self._shared:
            return {}
        execs = self._read_records()
        counts: dict[int, dict[MatchKey, int]] = {slot: {} for slot in self._shared.slots}
        untold = dict.fromkeys(counts, 0)
        for key, value in bpf_syscall.lookup_all(self._programs.maps.fd("security_rows"), _KEY.size, _ROW.size):
            of = MatchKey(*_KEY.unpack(key))
            slot = self._shared.slot_of.get(of.generation)
            if slot is None or of in self._innocent[slot]:
                continue
            (count,) = _COUNT.unpack(value)
            if of in self._told[slot]:
                counts[slot][of] = count
            else:
                untold[slot] += count
        for slot in counts:
            self._forget(slot)
        return {
            slot: RawSecurity(counts[slot], self._told[slot], tuple(execs.get(slot, ())), untold[slot])
            for slot in counts
        }

    def _read_records(self) -> dict[int, list[RawSecurityExec]]:
        execs: dict[int, list[RawSecurityExec]] = {}
        for record in self._shared.records():
            if int.from_bytes(record[:_RECORD_BYTES], "little") == _RECORD_EXEC:
                (generation,) = _EXEC_GENERATION.unpack_from(record)
                if (slot := self._shared.slot_of.get(generation)) is not None:
                    execs.setdefault(slot, []).append(_exec(record))
                continue
            key = MatchKey(*_KEY.unpack_from(record, _RECORD_BYTES))
            slot = self._shared.slot_of.get(key.generation)
            if slot is not None:
                self._take(slot, key, _match(key, record, self._abis))
        self._shared.deal_out()
        return execs

    def _take(self, slot: int, key: MatchKey, match: RawMatch) -> None:
        if judging.judged(match, self._patterns[slot]) is None:
            self._innocent[slot].add(key)
        else:
            self._told[slot].setdefault(key, match)

    def _forget(self, slot: int) -> None:
        """Take rows away that no pattern fits, so that others find room."""
        innocent = self._innocent[slot]
        if len(innocent) < _MANY:
            return
        rows = self._programs.maps.fd("security_rows")
        for key in innocent:
            bpf_syscall.delete(rows, _KEY.pack(*key))
        self._forgotten[slot] += len(innocent)
        self._shared.write(slot, "forgotten", self._forgotten[slot])
        innocent.clear()

    @property
    def needs_drain(self) -> bool:
        """Whether the ring fills faster than it is read, or rows do."""
        return self._shared.needs_drain

    def close(self) -> None:
        """Give the memory back."""
        self._shared.close()


def _match(key: MatchKey, record: bytes, abis: Sequence[str]) -> RawMatch:
    origin, state, program, pid, inner_pid, first, second, _, mode, process = _MATCH_HEAD.unpack_from(record)
    text = record[_MATCH_HEAD.size :]
    return RawMatch(
        call=layout.syscall_key(abis, key.abi, key.nr),
        side=key.side,
        detail=key.detail,
        error=key.error,
        program=_string(program),
        detached=state == _DETACHED,
        process=_string(process),
        pid=pid,
        inner_pid=inner_pid,
        outside=origin == _OUTSIDE,
        entered=origin != _INSIDE,
        text=text[:first],
        names=text[first : first + second],
        mode=mode,
    )


def _exec(record: bytes) -> RawSecurityExec:
    time_ns, effective, ambient, *rest = _EXEC_HEAD.unpack_from(record)
    origin, parent, state, file_mode, filesystem, upper, of_root, *rest = rest
    user, effective_user, group, effective_group, terminal, listens, *rest = rest
    modes, devices, peers, rest = rest[:_FDS], rest[_FDS : 2 * _FDS], rest[2 * _FDS : 3 * _FDS], rest[3 * _FDS :]
    argument_bytes, parent_name, argument, path, pid, inner_pid, first, _, mode, _ = rest
    text = record[_EXEC_HEAD.size :]
    descriptors, at = [], first
    for kind, device, size in zip(modes, devices, peers, strict=True):
        descriptors.append(RawDescriptor(kind, device, text[at : at + size]))
        at += size
    return RawSecurityExec(
        time_ns=time_ns,
        pid=pid,
        inner_pid=inner_pid,
        parent=parent,
        outside=origin == _OUTSIDE,
        entered=origin != _INSIDE,
        parent_name=_string(parent_name),
        parent_listens=bool(listens),
        path=_string(path),
        argument=_string(argument),
        second=_second(argument[:argument_bytes]),
        names=text[:first],
        names_mode=mode,
        deleted=state == _DELETED,
        detached=state == _DETACHED,
        is_overlay=filesystem == _OVERLAY,
        is_upper=bool(upper),
        is_of_root=bool(of_root),
        file_mode=file_mode,
        users=(user, effective_user),
        groups=(group, effective_group),
        granted=effective & ~ambient if user else 0,
        has_terminal=bool(terminal),
        descriptors=tuple(descriptors),
    )


def _second(arguments: bytes) -> bytes | None:
    """What follows argv[0]; None: nothing does, as far as it was read."""
    _, _, rest = arguments.partition(b"\0")
    return _string(rest) if rest else None


def _string(text: bytes) -> bytes:
    return text.partition(b"\0")[0]
