"""What devices did for a slot, as the kernel reported it. Made by kernel.py, used by the collector."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple


class BlockOwner(IntEnum):
    """How it was found out whose a request is, as enum block_owner of block_io.h numbers them."""

    SHARED = 1
    CONTAINER = 2
    PAGE = 3
    PROCESS = 4


class BlockKind(NamedTuple):
    """Requests that are counted together."""

    # The device's number, major << 20 | minor, and its name.
    device: int
    disk: str
    # REQ_OP_* of Linux include/linux/blk_types.h.
    operation: int
    sync: bool
    metadata: bool
    owner: BlockOwner


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long something took: bucket (as in agent.proto) -> how many, the sum and the longest in nanoseconds."""

    buckets: Mapping[int, int] = field(default_factory=dict)
    total_ns: int = 0
    max_ns: int = 0


@dataclass(frozen=True, slots=True)
class BlockCounts:
    """What was counted of one kind since its first request; everything only grows."""

    count: int = 0
    bytes: int = 0
    errors: int = 0
    sequential: int = 0
    queue: Lengths = field(default_factory=Lengths)
    device: Lengths = field(default_factory=Lengths)


# All of a slot, and what is shared.
RawBlockIO = Mapping[BlockKind, BlockCounts]
