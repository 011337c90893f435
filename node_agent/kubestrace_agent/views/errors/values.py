"""Failures, as the kernel reported them. Made by kernel.py, used by the collector."""

from dataclasses import dataclass, field
from typing import NamedTuple

from kubestrace_agent.kernel.counters.counts import RawCall
from kubestrace_agent.syscalls import SyscallKey


@dataclass(frozen=True, slots=True)
class ErrorsWanted:
    """Since when the times of failures are to be reported, CLOCK_MONOTONIC: of the session that began last."""

    since_ns: int


class ErrorTimes(NamedTuple):
    """When calls of one kind failed in one way: for the first time since it is wanted, and for the last; as above.

    Of how many of them the kernel knows that they do no harm, since the first.
    """

    key: SyscallKey
    number: int
    first_ns: int
    last_ns: int
    expected: int = 0


@dataclass(slots=True)
class RawErrors:
    """What failed in a slot: all times, and the calls that were reported since they were read last."""

    times: list[ErrorTimes] = field(default_factory=list)
    calls: list[RawCall] = field(default_factory=list)
