"""What a slot's programs did with files, as the kernel reported it. Made by kernel.py, used by the collector."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple


class FileKind(IntEnum):
    """What a row is of, as enum file_kind of files.h numbers it."""

    PATH = 0
    FILE = 1
    SOCKET = 2
    PIPE = 3
    NONE = 4
    UNREADABLE = 5
    OTHERS = 6


class FileKey(NamedTuple):
    """Whose calls are counted together: see struct file_key of files.h."""

    generation: int
    kind: int
    inode: int = 0
    number: int = 0
    version: int = 0


class FileName(NamedTuple):
    """What a row is called: a path as the program names it, and names of a walk, the last first, each with a NUL."""

    path: bytes
    walk: bytes
    mode: int


class FileCounts(NamedTuple):
    """What was counted in a row, in the order of struct file_row; everything only grows but the maximum."""

    opens: int
    stats: int
    other: int
    reads: int
    writes: int
    syncs: int
    failed: int
    read_bytes: int
    written_bytes: int
    synced_writes: int
    total_ns: int
    max_ns: int
    # When the maximum began, CLOCK_MONOTONIC.
    since_ns: int
    # Of a path: the file that it has led to, as in FileKey; zeros: to none yet.
    file_inode: int
    file_number: int
    file_version: int


@dataclass(frozen=True, slots=True)
class FilesWanted:
    """When maxima are to begin, CLOCK_MONOTONIC: with the session that began last."""

    since_ns: int


@dataclass(frozen=True, slots=True)
class RawFiles:
    """All of a slot; the names are those of the slot's whole life, and more are added to them."""

    rows: Mapping[FileKey, FileCounts] = field(default_factory=dict)
    # By errno.
    failures: Mapping[FileKey, Mapping[int, int]] = field(default_factory=dict)
    names: Mapping[FileKey, FileName] = field(default_factory=dict)
