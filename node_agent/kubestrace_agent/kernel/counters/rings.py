"""Who uses io_uring now, from a walk over all tasks. Owned by tracer."""

from kubestrace_agent.kernel.counters.counts import RingUser
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.kernel.maps.headers import header

_HEADER = header("kernel/bpf/rings.h")
_USER = _HEADER.struct("ring_user").whole()
_POLLED = _HEADER.number("RING_POLLED")
_ITERATOR = "tell_rings"


def read(programs: Programs) -> dict[int, tuple[RingUser, ...]]:
    """By slot generation: a user for each process; nothing where the kernel does not run the iterator."""
    users: dict[int, dict[int, RingUser]] = {}
    for generation, pid, inner_pid, flags, name in _USER.iter_unpack(programs.walk(_ITERATOR) or b""):
        known = users.setdefault(generation, {}).get(pid)
        polled = bool(flags & _POLLED) or (known is not None and known.polled)
        users[generation][pid] = RingUser(pid, inner_pid, name.partition(b"\0")[0], polled)
    return {generation: tuple(found.values()) for generation, found in users.items()}
