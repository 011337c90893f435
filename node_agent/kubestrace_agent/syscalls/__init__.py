"""System calls by name: tables per ABI, strace's classes, patterns as in TraceSession spec.syscalls. Pure."""

from kubestrace_agent.syscalls.numbers import (
    DESCRIPTOR_WAITS,
    UNKNOWN_NUMBERS,
    WAITS,
    SyscallKey,
    Wanted,
    abi_names,
    errno_name,
    name,
    names,
    waits,
)
from kubestrace_agent.syscalls.patterns import Selection, SyscallPatternError, parse_patterns

__all__ = [
    "DESCRIPTOR_WAITS",
    "UNKNOWN_NUMBERS",
    "WAITS",
    "Selection",
    "SyscallKey",
    "SyscallPatternError",
    "Wanted",
    "abi_names",
    "errno_name",
    "name",
    "names",
    "parse_patterns",
    "waits",
]
