"""Which fault comes when: pure, and the same for the same seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

NODES = ("node-1", "node-2")
# Of the session that is to see the fault, from the first counted call on.
_LATEST_SECONDS = 8.0


@dataclass(frozen=True)
class Bounds:
    """What may be chosen for a fault."""

    name: str
    # How long it holds.
    least_seconds: float
    most_seconds: float
    # The chance that it holds already when the sessions are created; 0 where they could not be.
    at_start: float = 0.25


@dataclass(frozen=True)
class Planned:
    """One fault of a run."""

    index: int
    name: str
    node: str
    # Sessions are created while it holds; otherwise it comes while they trace.
    at_start: bool
    # From the first counted call on; 0 with `at_start`.
    delay_seconds: float
    hold_seconds: float


def plan(seed: int, count: int, faults: Sequence[Bounds]) -> list[Planned]:
    """Choose `count` faults: each of them once before any comes again, in an order by the seed.

    A longer run begins as a shorter one of the same seed. Raises ValueError without faults.
    """
    if not faults:
        raise ValueError("no faults to choose from")
    # Not for secrets: a run has to be repeatable.
    chance = random.Random(seed)  # noqa: S311
    order: list[Bounds] = []
    while len(order) < count:
        order += chance.sample(faults, len(faults))
    return [_planned(index, bounds, random.Random(f"{seed}/{index}")) for index, bounds in enumerate(order[:count])]  # noqa: S311


def _planned(index: int, bounds: Bounds, chance: random.Random) -> Planned:
    at_start = chance.random() < bounds.at_start
    delay = round(chance.uniform(0, _LATEST_SECONDS), 1)
    hold = round(chance.uniform(bounds.least_seconds, bounds.most_seconds), 1)
    return Planned(index, bounds.name, chance.choice(NODES), at_start, 0.0 if at_start else delay, hold)
