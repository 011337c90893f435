"""What a search list of a resolver did, as the names show that were asked for. Pure. A part of the view network.

With ndots:5, which pods have by default, a name with fewer than five dots is tried with each suffix of the list before
it is tried itself. The names tell: what is missing is a name that there is, and a suffix.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAX_SUFFIXES = 6


class Asked(NamedTuple):
    """Queries for one name: how many were answered that it is not there (NXDOMAIN), and how many found it."""

    missing: int = 0
    found: int = 0


@dataclass
class Search:
    """Queries for names that are not there, and that a search list makes of others."""

    queries: int = 0
    # The others.
    names: set[str] = field(default_factory=set)
    # Those that stand behind the most queries first.
    suffixes: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it as the status has it."""
        return {"queries": self.queries, "names": len(self.names), "suffixes": self.suffixes}


def search(asked: Mapping[str, Asked]) -> Search:
    """Return what a search list did among these names."""
    found, counts = Search(), dict[str, int]()
    known = frozenset(name for name, each in asked.items() if each.found)
    for name, each in asked.items():
        if not each.missing or name in known:
            continue
        for base, suffix in _splits(name):
            if base in known or _is_elsewhere(base, suffix, known):
                found.queries += each.missing
                found.names.add(base)
                counts[suffix] = counts.get(suffix, 0) + each.missing
                break
    found.suffixes = sorted(counts, key=lambda suffix: (-counts[suffix], suffix))[:MAX_SUFFIXES]
    return found


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield a name as a longer and longer suffix behind what is left."""
    labels = name.split(".")
    for at in range(len(labels) - 1, 0, -1):
        yield ".".join(labels[:at]), ".".join(labels[at:])


def _is_elsewhere(base: str, suffix: str, known: frozenset[str]) -> bool:
    """Whether another suffix of a pod's list has found it: NAMESPACE.svc.DOMAIN comes before svc.DOMAIN and DOMAIN."""
    _, _, rest = suffix.partition(".")
    if not rest.startswith("svc."):
        return False
    return f"{base}.{rest}" in known or f"{base}.{rest.partition('.')[2]}" in known
