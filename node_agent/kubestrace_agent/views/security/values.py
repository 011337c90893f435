"""What programs of a slot did, as the kernel reported it. Made by kernel.py, used by the collector."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kubestrace_agent.syscalls import SyscallKey


class MatchKey(NamedTuple):
    """Calls that are counted together: see struct security_key of security.h."""

    generation: int
    abi: int
    nr: int
    side: int
    detail: int
    error: int
    program: int
    number: int
    object: int
    version: int


@dataclass(frozen=True, slots=True)
class RawMatch:
    """Who made the first call of a row, and what it named."""

    call: SyscallKey
    # Which of its two paths.
    side: int
    detail: int
    error: int
    program: bytes
    # The executable never had a place in a folder, as a memfd.
    detached: bool
    process: bytes
    # As the host and as the innermost pid namespace number it.
    pid: int
    inner_pid: int
    # From outside of the container; or its parent is, and it may be the first process of it.
    outside: bool
    entered: bool
    # A path as it was named, or a socket's address; names of the file or folder, the last first, each with a NUL.
    text: bytes = b""
    names: bytes = b""
    mode: int = 0


@dataclass(frozen=True, slots=True)
class RawDescriptor:
    """What is behind one of the first descriptors of a program."""

    mode: int
    device: int
    # The peer of an internet socket that is connected.
    peer: bytes = b""


@dataclass(frozen=True, slots=True)
class RawSecurityExec:
    """A program that was executed. Times are CLOCK_MONOTONIC."""

    time_ns: int
    pid: int
    inner_pid: int
    parent: int
    # As in RawMatch.
    outside: bool
    entered: bool
    parent_name: bytes
    parent_listens: bool
    # As it was named, argv[0], and the names of its file.
    path: bytes
    argument: bytes
    # What follows it; None: nothing.
    second: bytes | None
    names: bytes
    names_mode: int
    deleted: bool
    detached: bool
    # Of an overlay, from the layer that containers write to; from the file system of the root.
    is_overlay: bool
    is_upper: bool
    is_of_root: bool
    file_mode: int
    users: tuple[int, int]
    groups: tuple[int, int]
    # Capabilities that a user other than root has by the file.
    granted: int
    has_terminal: bool
    descriptors: tuple[RawDescriptor, ...] = ()


@dataclass(frozen=True, slots=True)
class SecurityWanted:
    """The patterns of all sessions, beside the view's own."""

    patterns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RawSecurity:
    """All rows of a slot that are of interest, and the programs that were executed since they were read last."""

    counts: Mapping[MatchKey, int] = field(default_factory=dict)
    told: Mapping[MatchKey, RawMatch] = field(default_factory=dict)
    execs: tuple[RawSecurityExec, ...] = ()
    # Calls of rows that are not told yet: nobody knows whether they are of interest.
    untold: int = 0
