"""What one container's programs did with files in one session, as the wire carries it. Pure."""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from kubestrace_agent.syscalls import errno_name
from kubestrace_agent.views import file_paths as paths
from kubestrace_agent.views.files import classes
from kubestrace_agent.views.files.sources import PART
from kubestrace_agent.views.files.values import FileCounts, FileKey, FileKind, FileName, FilesWanted, RawFiles
from kubestrace_agent.views.view import Collector, put, put_lost
from kubestrace_protos.v1.views import files_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kubestrace_agent.kernel.counters.counts import RawCounts
    from kubestrace_protos.v1 import agent_pb2

NAME = "files"
# Rows that are reported by each measure; the others in one.
_MOST_ROWS = 300
_OTHERS = {
    FileKind.SOCKET: "socket",
    FileKind.PIPE: "pipe",
    FileKind.NONE: "closed",
    FileKind.UNREADABLE: "unreadable",
}
_NOTHING = FileCounts(*(0,) * len(FileCounts._fields))
# Those that add up, by their place in FileCounts.
_SUMS = FileCounts._fields.index("max_ns")
_CALLS = 6


@dataclass(slots=True)
class Use:
    """What was done with what has one path."""

    # In the order of FileCounts, up to the maximum.
    sums: list[int] = field(default_factory=lambda: [0] * _SUMS)
    max_ns: int = 0
    errnos: Counter[int] = field(default_factory=Counter)
    file: bytes = b""

    @property
    def calls(self) -> int:
        """All calls."""
        return sum(self.sums[:_CALLS])

    def add(self, more: Use) -> None:
        """Add another's."""
        self.sums = [one + other for one, other in zip(self.sums, more.sums, strict=True)]
        self.max_ns = max(self.max_ns, more.max_ns)
        self.errnos.update(more.errnos)
        self.file = self.file or more.file

    def message(self, path: str, file: str = "") -> files_pb2.FileRow:
        """Return it as the wire has it."""
        opens, stats, other, reads, writes, syncs, failed, read_bytes, written, synced, total_ns = self.sums
        return files_pb2.FileRow(
            path=path,
            file=file,
            opens=opens,
            stats=stats,
            other=other,
            reads=reads,
            read_bytes=read_bytes,
            writes=writes,
            write_bytes=written,
            synced_writes=synced,
            syncs=syncs,
            failed=failed,
            errnos=[files_pb2.FileErrno(name=errno_name(number), count=self.errnos[number]) for number in self.errnos],
            total_nanoseconds=total_ns,
            max_nanoseconds=self.max_ns,
        )


@dataclass(eq=False)
class FileUse(Collector):
    """The files of one container for one session: two readings of the kernel's rows, the first of them the start."""

    name: ClassVar[str] = NAME
    part: ClassVar[str] = PART
    # Names fill their ring, and that says itself when it needs a drain.
    may_wait: ClassVar[bool] = True
    redacts: ClassVar[bool] = True

    _since_ns: int = 0
    _start: RawFiles | None = None
    _now: RawFiles | None = None
    # Maxima that the kernel has begun anew since, for another session.
    _longest: dict[FileKey, int] = field(default_factory=dict)

    @property
    def wanted(self) -> FilesWanted:
        """Maxima from now on."""
        return FilesWanted(self._since_ns)

    @staticmethod
    def union(wanted: Sequence[FilesWanted]) -> FilesWanted:
        """Since the last beginning: those who began before have read until then."""
        return FilesWanted(max(each.since_ns for each in wanted))

    def begin(self, monotonic_ns: int, lost: int) -> None:  # noqa: ARG002 - the rows say what found no room
        """Begin with what is reported next."""
        self._since_ns = monotonic_ns

    def begin_counts(self, start: RawCounts | None, begin_ns: int) -> None:  # noqa: ARG002 - the start alone says it
        """Take all that is reported where nothing was counted before: some calls may have been made already."""
        if start is None:
            self._start = RawFiles()

    def take(self, reported: RawFiles | None, lost: int, unix_minus_monotonic_ns: int) -> None:  # noqa: ARG002
        """Take the newest reading."""
        if reported is None:
            return
        self._start = reported if self._start is None else self._start
        for key, before in self._now.rows.items() if self._now else ():
            if before.since_ns >= self._since_ns and key in reported.rows and _began_anew(before, reported.rows[key]):
                self._longest[key] = max(self._longest.get(key, 0), before.max_ns)
        self._now = reported

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Tell what was done since the start, and how far it is from what the session counted."""
        if self._start is None or self._now is None:
            return
        uses = dict(self._uses())
        named: dict[bytes, Use] = {}
        nameless = Use()
        for key, use in uses.items():
            if key.kind in (FileKind.PATH, FileKind.FILE):
                path = self._path(key)
                (named.setdefault(path, Use()) if path else nameless).add(use)
            elif key.kind == FileKind.OTHERS:
                nameless.add(use)
        put(report, NAME, _result(named, nameless, _without_path(uses)))
        put_lost(report, "filePaths", nameless.calls)
        put_lost(report, "fileCalls", abs(_expected(report) - sum(use.calls for use in uses.values())))

    def _uses(self) -> Iterator[tuple[FileKey, Use]]:
        assert self._start is not None  # noqa: S101 - as `write` has seen
        assert self._now is not None  # noqa: S101
        for key, counts in self._now.rows.items():
            before = self._start.rows.get(key, _NOTHING)
            sums = [now - then for now, then in zip(counts[:_SUMS], before[:_SUMS], strict=True)]
            if not any(sums[:_CALLS]):
                continue
            errnos = Counter(self._now.failures.get(key, {}))
            errnos.subtract(self._start.failures.get(key, {}))
            longest = counts.max_ns if counts.since_ns >= self._since_ns else 0
            file = FileKey(key.generation, FileKind.FILE, counts.file_inode, counts.file_number, counts.file_version)
            yield (
                key,
                Use(sums, max(longest, self._longest.get(key, 0)), +errnos, self._link(key, file)),
            )

    def _link(self, key: FileKey, file: FileKey) -> bytes:
        """The path of the file that a path has led to, where it has another."""
        if not file.inode or key.kind != FileKind.PATH:
            return b""
        path = self._path(file)
        return path if path != self._path(key) else b""

    def _path(self, key: FileKey) -> bytes:
        """What a row is called; nothing where its name has found no room yet."""
        assert self._now is not None  # noqa: S101 - as above
        name: FileName | None = self._now.names.get(key)
        if name is None:
            return b""
        of = paths.of_path(*name) if key.kind == FileKind.PATH else paths.of_file(name.walk, name.mode)
        return self.redaction.path(of)


def _began_anew(before: FileCounts, now: FileCounts) -> bool:
    return before.since_ns != now.since_ns


def _result(named: dict[bytes, Use], nameless: Use, others: dict[str, Use]) -> files_pb2.FilesResult:
    chosen = _chosen(named)
    rest, left_out = [use for path, use in named.items() if path not in chosen], Use()
    for use in (nameless, *rest):
        left_out.add(use)
    return files_pb2.FilesResult(
        paths=[
            named[path].message(paths.shown(path), paths.shown(named[path].file)) for path in named if path in chosen
        ],
        other_paths=left_out.message("") if left_out.calls else None,
        other_path_count=len(rest),
        others=[use.message(kind) for kind, use in others.items()],
    )


def _chosen(named: dict[bytes, Use]) -> set[bytes]:
    """Those with the most time, failures, calls and bytes."""
    measures: tuple[Callable[[bytes], int], ...] = (
        lambda path: named[path].sums[10],
        lambda path: named[path].sums[6],
        lambda path: named[path].calls,
        lambda path: named[path].sums[7] + named[path].sums[8],
    )
    return {path for measure in measures for path in sorted(named, key=measure, reverse=True)[:_MOST_ROWS]}


def _without_path(uses: dict[FileKey, Use]) -> dict[str, Use]:
    return {_OTHERS[FileKind(key.kind)]: use for key, use in uses.items() if key.kind in _OTHERS}


def _expected(report: agent_pb2.ContainerReport) -> int:
    """How many calls the session counted that the view counts too, once for each file of a call."""
    return sum(each.calls * classes.sides(each.name, each.abi or platform.machine()) for each in report.syscalls)
