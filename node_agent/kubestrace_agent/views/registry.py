"""The views of this agent. A new one is a folder beside this file, and a line here.

A folder holds sources.py (SOURCES, what the loader compiles) and view.py (VIEW). They are imported when they are asked
for: the process that compiles the programs needs the sources alone.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from kubestrace_agent.kernel.loader.sources import CORE
from kubestrace_agent.views.redaction import DEFAULT, Redaction
from kubestrace_agent.views.view import RequestError, View
from kubestrace_protos.v1 import redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from google.protobuf import any_pb2

    from kubestrace_agent.kernel.loader.programs import Programs
    from kubestrace_agent.kernel.loader.sources import Source
    from kubestrace_agent.symbols.names import Names
    from kubestrace_agent.symbols.roots import Owner
    from kubestrace_agent.syscalls import Wanted
    from kubestrace_agent.views.view import Collector, Moment, Part, ViewRequest

# Of views whose programs run at one event, the first here is called first.
_FOLDERS = (
    "resources",
    "cpu_time",
    "slow_calls",
    "processes",
    "errors",
    "timeline",
    "block_io",
    "io_uring",
    "files",
    "network",
    "counters",
    "memory",
    "locks",
    "callers",
    "security",
)


@functools.cache
def sources() -> tuple[Source, ...]:
    """Return what the loader compiles for all views."""
    return tuple(source for folder in _FOLDERS for source in import_module(f"{__package__}.{folder}.sources").SOURCES)


def all_sources() -> tuple[Source, ...]:
    """Return the counting's sources and those of all views, in the order in which they are compiled."""
    return (*CORE, *sources())


@functools.cache
def views() -> Mapping[str, View]:
    """Return all views by their names."""
    found = (import_module(f"{__package__}.{folder}.view").VIEW for folder in _FOLDERS)
    return {view.name: view for view in found if isinstance(view, View)}


def parts(programs: Programs, abis: Sequence[str]) -> dict[str, Part]:
    """Return the modules that speak to the views' programs; `abis` as abi_names gives them."""
    return {name: part for view in views().values() for name, part in view.parts(programs, abis).items()}


@dataclass(frozen=True)
class Support:
    """Whether a node can serve a view; the message says why not, or what of it is not there."""

    name: str
    available: bool
    message: str


def support(problem_of: Callable[[str], str]) -> list[Support]:
    """Return for each view whether it can be had; `problem_of` says why a part cannot, or nothing."""
    found = []
    for view in views().values():
        lacks = [problem for problem in map(problem_of, view.needs) if problem]
        less = [problem for problem in map(problem_of, view.gains_by) if problem]
        found.append(Support(view.name, not lacks, " ".join([*lacks, *less])))
    return found


@dataclass(frozen=True)
class ViewRequests:
    """The views that one session asks for."""

    asked: Mapping[str, ViewRequest]
    # The same for sessions that may share their collectors.
    shared_key: Hashable = None
    # Those that this agent does not know.
    unknown: tuple[str, ...] = ()
    # What the session does not show.
    redaction: Redaction = DEFAULT

    @property
    def parts(self) -> set[str]:
        """All parts that serve them."""
        return {part for asked in self.asked.values() for part in asked.parts}

    @property
    def shows_paths(self) -> bool:
        """Whether paths and peers may be shown."""
        return any(asked.shows_paths for asked in self.asked.values())

    @property
    def drain_seconds(self) -> float:
        """How long what they tell may wait to be read."""
        return min((asked.drain_seconds for asked in self.asked.values()), default=0.5)

    def collectors(self, wanted: Wanted, names: Names, owner: Owner) -> list[Collector]:
        """Return collectors for one container; `wanted` are the session's system calls."""
        return self._redacting(each for asked in self.asked.values() for each in asked.collectors(wanted, names, owner))

    def own_collectors(self, wanted: Wanted) -> list[Collector]:
        """Return collectors for one container that no other session shares."""
        return self._redacting(each for asked in self.asked.values() for each in asked.own_collectors(wanted))

    def _redacting(self, collectors: Iterable[Collector]) -> list[Collector]:
        made = list(collectors)
        for each in made:
            each.redaction = self.redaction
        return made

    def next_snapshot(self, now_ns: int) -> Moment | None:
        """Return when the counts are to be read after a moment; None: whenever that may be."""
        moments = (asked.next_snapshot(now_ns) for asked in self.asked.values())
        return min((moment for moment in moments if moment is not None), default=None)


def requests(wanted: Mapping[str, any_pb2.Any], now_ns: int | None = None, redact: Sequence[str] = ()) -> ViewRequests:
    """Read what a session asks for, which came at a moment (CLOCK_MONOTONIC; None: now). Raises RequestError.

    `redact` are its patterns of what is not to be shown.
    """
    for where, problem in redaction.problems(redact):
        raise RequestError("InvalidRedact", f"redact{where} {problem}")
    moment_ns = time.monotonic_ns() if now_ns is None else now_ns
    known = views()
    asked = {name: known[name].ask(wanted[name], moment_ns) for name in known if name in wanted}
    hidden = Redaction.of(redact)
    key = hidden, *((name, wanted[name].value) for name, each in asked.items() if each.parts)
    return ViewRequests(asked, key, tuple(sorted(wanted.keys() - known.keys())), hidden)


__all__ = ["RequestError", "Support", "ViewRequests", "all_sources", "parts", "requests", "sources", "support", "views"]
