"""The view files: what the containers' programs did with files, by path. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.histograms import add_into
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views import files_text
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import ComparedRows, ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1.views.files_pb2 import FileRow, FilesRequest, FilesResult

DEFAULT_TOP = 30
MAX_TOP = 200
# Of one path.
MAX_ERRNOS = 5
# The rows may take a third of the room.
_SHARE = 3
_SUMS = (
    "opens",
    "stats",
    "other",
    "reads",
    "read_bytes",
    "writes",
    "write_bytes",
    "synced_writes",
    "syncs",
    "failed",
    "total_nanoseconds",
)
_LOSSES = (
    Loss(
        "filePaths",
        "call that names a file",
        "calls that name files",
        "found no room for their paths: they are in the sums of files.otherPaths.",
        reason="FilePathsLost",
    ),
    Loss(
        "fileCalls",
        "call",
        "calls",
        "of the classes that files counts are in the summary and not in files, or the other way round: both begin one "
        "after the other, and while a session is under way they are read so.",
    ),
)


@dataclass
class Use:
    """What was done with one file, by its path."""

    opens: int = 0
    stats: int = 0
    other: int = 0
    reads: int = 0
    read_bytes: int = 0
    writes: int = 0
    write_bytes: int = 0
    synced_writes: int = 0
    syncs: int = 0
    failed: int = 0
    total_nanoseconds: int = 0
    max_nanoseconds: int = 0
    errnos: dict[str, int] = field(default_factory=dict)
    # Where opening it has led to.
    file: str = ""

    @property
    def calls(self) -> int:
        """All calls."""
        return self.opens + self.stats + self.other + self.reads + self.writes + self.syncs

    def add(self, more: "Use") -> None:
        """Add another's."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(more, name))
        self.max_nanoseconds = max(self.max_nanoseconds, more.max_nanoseconds)
        add_into(self.errnos, more.errnos)
        # Containers may differ; a choice that does not depend on the order.
        self.file = max(self.file, more.file)

    def document(self) -> dict[str, Any]:
        """Return it as the status has it."""
        errnos = sorted(self.errnos.items(), key=lambda item: (-item[1], item[0]))
        moves = self.reads + self.writes
        return {
            "calls": self.calls,
            "opens": self.opens,
            "stats": self.stats,
            "other": self.other,
            "reads": self.reads,
            "readBytes": self.read_bytes,
            "writes": self.writes,
            "writeBytes": self.write_bytes,
            "syncedWrites": self.synced_writes,
            "avgBytes": (self.read_bytes + self.write_bytes) // moves if moves else 0,
            "syncs": self.syncs,
            "errors": self.failed,
            "failed": [{"errno": errno, "count": count} for errno, count in errnos[:MAX_ERRNOS]],
            "totalNanoseconds": self.total_nanoseconds,
            "maxNanoseconds": self.max_nanoseconds,
        }


@dataclass
class Part:
    """By path; what has none, by its kind; and paths that agents have left out, with their number."""

    paths: dict[str, Use] = field(default_factory=dict)
    others: dict[str, Use] = field(default_factory=dict)
    rest: Use = field(default_factory=Use)
    rest_paths: int = 0

    def add(self, more: "Part") -> None:
        """Add another's."""
        for into, of in ((self.paths, more.paths), (self.others, more.others)):
            for name, use in of.items():
                into.setdefault(name, Use()).add(use)
        self.rest.add(more.rest)
        self.rest_paths += more.rest_paths


@dataclass(frozen=True)
class Settings:
    """How many paths are shown."""

    top: int = DEFAULT_TOP


class Files(View[Settings, FilesResult, Part]):
    """The slice."""

    name = "files"
    profiles = frozenset({Profile.FILES, Profile.STORAGE})
    fields = ("top",)
    result_type = FilesResult
    compared_rows = (
        ComparedRows(
            ("files", "paths"),
            ("path",),
            {"calls": "calls", "errors": "errors", "time": "totalNanoseconds"},
        ),
    )
    known_losses = _LOSSES
    flags = (
        Flag(
            "--files",
            "also count, by path, what COMMAND does with files: opens, stats, reads, writes, bytes, syncs, failures "
            f"and time, for up to N paths; 1 to {MAX_TOP} ({DEFAULT_TOP} without N)",
            field="top",
            metavar="N",
            bounds=(1, MAX_TOP),
            default=DEFAULT_TOP,
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings(fields.integer("top", DEFAULT_TOP, 1, MAX_TOP))

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {"top": settings.top}

    def request(self, settings: Settings, span: Span) -> FilesRequest:
        """Return what agents are asked for."""
        return FilesRequest()

    def merge(self, results: Iterable[ContainerResult[FilesResult]]) -> Part:
        """Return the files of a report: containers' paths of one name are one row."""
        return self.add(_part(each.message) for each in results)

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sum."""
        whole = Part()
        for part in parts:
            whole.add(part)
        return whole

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return the totals, and what has no path."""
        total = Use()
        for use in _all(shown.part):
            total.add(use)
        totals = {name: value for name, value in total.document().items() if name != "failed"}
        others = sorted(shown.part.others.items(), key=lambda item: (-item[1].calls, item[0]))
        rows = [{"kind": kind} | use.document() for kind, use in others]
        return {"files": totals | {"withoutPath": rows}}

    def sections(self, shown: Shown[Settings, Part]) -> Sequence[Section]:
        """Return the rows, and the sums of the others."""
        uses = shown.part.paths
        ordered = worst(uses)
        rows = [_row(path, uses[path]) for path in ordered[: shown.settings.top]]

        def documents(kept: int) -> Mapping[str, Any]:
            others = Use()
            left_out = ordered[min(kept, len(rows)) :]
            for use in (shown.part.rest, *(uses[path] for path in left_out)):
                others.add(use)
            found = {"paths": shown.part.rest_paths + len(left_out)} | others.document()
            return {"files": {"paths": rows[:kept], "otherPaths": found}}

        return (Section(rows, documents, share=_SHARE),)

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the rows for people."""
        uses = shown.part.paths
        rows = [_row(path, uses[path]) for path in worst(uses)[: files_text.MOST]]
        lines = files_text.lines(rows, len(uses) + shown.part.rest_paths)
        return "\n" + "".join(f"{line}\n" for line in lines)


def worst(uses: Mapping[str, Use]) -> list[str]:
    """Return all paths: in turns that with the most time, failures, calls, so that no kind of trouble hides another.

    Files that were read and had no bytes have a turn, too: they cost nothing, and may be why a program ended.
    """
    measures = (
        lambda path: (-uses[path].total_nanoseconds, path),
        lambda path: (-uses[path].failed, -uses[path].total_nanoseconds, path),
        lambda path: (-uses[path].calls, path),
    )
    empty = {path for path, use in uses.items() if use.reads and not (use.read_bytes or use.writes or use.failed)}
    # With the links that lead there: programs know these alone.
    of_empty = sorted((use.file or path, path) for path, use in uses.items() if empty & {use.file, path})
    by_turns = zip_longest(*(sorted(uses, key=measure) for measure in measures), (path for _, path in of_empty))
    return [path for path in dict.fromkeys(chain.from_iterable(by_turns)) if path is not None]


def _all(part: Part) -> Iterator[Use]:
    yield from part.paths.values()
    yield from part.others.values()
    yield part.rest


def _part(result: FilesResult) -> Part:
    return Part(
        paths={row.path: _use(row) for row in result.paths},
        others={row.path: _use(row) for row in result.others},
        rest=_use(result.other_paths),
        rest_paths=result.other_path_count,
    )


def _use(row: FileRow) -> Use:
    sums = {name: getattr(row, name) for name in _SUMS}
    errnos = {each.name: each.count for each in row.errnos}
    return Use(**sums, max_nanoseconds=row.max_nanoseconds, errnos=errnos, file=row.file)


def _row(path: str, use: Use) -> dict[str, Any]:
    return {"path": path} | ({"file": use.file} if use.file else {}) | use.document()
