"""System calls by name: tables per ABI, strace's classes, patterns as in TraceSession spec.syscalls. Pure."""

from kubestrace_agent.syscalls.numbers import (
    UNKNOWN_NUMBERS,
    SyscallKey,
    Wanted,
    abi_names,
    errno_name,
    name,
    names,
)
from kubestrace_agent.syscalls.patterns import Selection, SyscallPatternError, parse_patterns

__all__ = [
    "UNKNOWN_NUMBERS",
    "Selection",
    "SyscallKey",
    "SyscallPatternError",
    "Wanted",
    "abi_names",
    "errno_name",
    "name",
    "names",
    "parse_patterns",
]
