"""Calls that were chosen, as the kernel reported them. Made by kernel.py, used by the collector."""

from dataclasses import dataclass

from kubestrace_agent.symbols.frames import UserStack
from kubestrace_agent.syscalls import SyscallKey
from kubestrace_agent.views.user_stacks import Ask


@dataclass(frozen=True, slots=True)
class Sample:
    """One call that was chosen, and who made it."""

    key: SyscallKey
    # 0: it did not fail.
    errno: int
    # So many calls of its kind it stands for: a power of two.
    weight: int
    # As the host numbers it, and as its own PID namespace does.
    pid: int
    inner_pid: int
    stack: UserStack
    # What code a process of the host has mapped now, of which these are frames.
    mappings: Ask
