"""The rows of status.containers, as rules about single containers look at them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.findings.finding import Facts, Place, many

Row = Mapping[str, Any]


def numbers_of(facts: Facts, group: str) -> Iterator[tuple[Row, Row]]:
    """Yield containers with a group of the numbers that the kernel counts anyway."""
    for row in facts.status.get("containers", ()):
        numbers = row.get("resources", {}).get(group)
        if numbers:
            yield row, numbers


def places(rows: Sequence[Row]) -> tuple[Place, ...]:
    """Return where that is."""
    return tuple(sorted({Place(row["pod"], row["container"]) for row in rows}))


def named(row: Row) -> str:
    """Return what a container is called in a sentence."""
    return f"container {row['container']} of pod {row['pod']}" if row["pod"] else "the program"


def at_head(row: Row) -> str:
    """Return the same at the head of a sentence."""
    words = named(row)
    return words[0].upper() + words[1:]


def others(rows: Sequence[Row]) -> str:
    """Return a sentence about all but the one that is named."""
    return f" {many(len(rows) - 1, 'other container')} too." if len(rows) > 1 else ""
