"""Two snapshots of a slot -> what was counted between them, as the wire carries it. Pure."""

from dataclasses import dataclass, field

from kubestrace_agent.kernel.counts import RawCounts
from kubestrace_agent.syscalls import SyscallKey
from kubestrace_protos.v1 import agent_pb2


@dataclass(frozen=True, slots=True)
class Difference:
    """Syscalls by falling total time, and the numbers of Trust that counting knows.

    `trust` holds unmatched_calls, unreturned_calls, lost_calls and io_uring; gaps and agent_cpu_millicores are the
    caller's to add.
    """

    syscalls: list[agent_pb2.SyscallCounts] = field(default_factory=list)
    trust: agent_pb2.Trust = field(default_factory=agent_pb2.Trust)


def difference(
    start: RawCounts | None, now: RawCounts, *, wanted: frozenset[SyscallKey] | None, architecture: str
) -> Difference:
    """Everything counted after `start` up to `now`; both of the same slot. start=None: since the slot was made.

    `wanted` is the trace's own Selection.keys() (a shared slot may count more); `architecture` is the machine's
    (platform.machine()): rows of another ABI carry its name.
    """
    raise NotImplementedError
