"""The view blockIO: what block devices did for the containers, and how long that took. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.histograms import add_into, bucket_bounds, percentile
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views import block_io_text
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import ComparedRows, ContainerResult, Flag, Loss, Shown, Span, View
from kubestrace_protos.v1.views.block_io_pb2 import BlockIORequest, BlockIOResult, BlockLengths, BlockRow

# Rows that are kept and shown, those with the most time in devices.
MAX_DEVICES = 12
# They may take an eighth of the room.
_SHARE = 8
_SHARED = "shared"
_LOST = Loss(
    "blockIO",
    "request to a disk",
    "requests to disks",
    "found no room; some may have been of other containers.",
    reason="BlockIOLost",
)


class Kind(NamedTuple):
    """Requests that are added up."""

    node: str
    device: str
    operation: str
    sync: bool
    metadata: bool
    attribution: str


@dataclass
class Times:
    """How long something took."""

    histogram: dict[int, int] = field(default_factory=dict)
    total_ns: int = 0
    max_ns: int = 0

    def add(self, more: "Times") -> None:
        """Add another's."""
        add_into(self.histogram, more.histogram)
        self.total_ns += more.total_ns
        self.max_ns = max(self.max_ns, more.max_ns)

    def document(self) -> dict[str, int]:
        """Return them as the status has them."""
        return {
            "totalNanoseconds": self.total_ns,
            "p50Nanoseconds": percentile(self.histogram, 50, self.max_ns),
            "p99Nanoseconds": percentile(self.histogram, 99, self.max_ns),
            "maxNanoseconds": self.max_ns,
        }


@dataclass
class Requests:
    """What was done of one kind."""

    count: int = 0
    bytes: int = 0
    errors: int = 0
    sequential: int = 0
    queue: Times = field(default_factory=Times)
    device: Times = field(default_factory=Times)

    def add(self, more: "Requests") -> None:
        """Add others."""
        self.count += more.count
        self.bytes += more.bytes
        self.errors += more.errors
        self.sequential += more.sequential
        self.queue.add(more.queue)
        self.device.add(more.device)


Part = dict[Kind, Requests]


@dataclass(frozen=True)
class Settings:
    """The view has none."""


class BlockIO(View[Settings, BlockIOResult, Part]):
    """The slice."""

    name = "blockIO"
    profiles = frozenset({Profile.STORAGE})
    result_type = BlockIOResult
    compared_rows = (
        ComparedRows(
            ("blockIO", "devices"),
            ("device", "operation"),
            {"requests": "count", "bytes": "bytes"},
            {"p99": ("deviceTime", "p99Nanoseconds"), "p50": ("deviceTime", "p50Nanoseconds")},
        ),
    )
    known_losses = (_LOST,)
    flags = (
        Flag(
            "--block-io",
            "also show what disks did for COMMAND: requests, bytes and times by disk and operation; those that it "
            "hands to the disk itself, as what the kernel writes back later can be told of containers alone",
        ),
    )

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings."""
        return Settings()

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return them as a spec has them."""
        return {}

    def request(self, settings: Settings, span: Span) -> BlockIORequest:
        """Return what agents are asked for."""
        return BlockIORequest()

    def merge(self, results: Iterable[ContainerResult[BlockIOResult]]) -> Part:
        """Return the requests of a report. Each container has what is shared, the first all of it."""
        whole: Part = {}
        shared: Part = {}
        for each in results:
            for row in each.message.rows:
                kind = Kind(each.key.node, row.device, row.operation, row.sync, row.metadata, row.attribution)
                found = _requests(row)
                if row.attribution != _SHARED:
                    whole.setdefault(kind, Requests()).add(found)
                elif kind not in shared or shared[kind].count < found.count:
                    shared[kind] = found
        return whole | shared

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sum."""
        whole: Part = {}
        for part in parts:
            for kind, requests in part.items():
                whole.setdefault(kind, Requests()).add(requests)
        return whole

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return the totals of what is the containers' own."""
        own = [(kind, requests) for kind, requests in shown.part.items() if kind.attribution != _SHARED]

        def moved(operation: str) -> int:
            return sum(requests.bytes for kind, requests in own if kind.operation == operation)

        return {
            "blockIO": {
                "requests": sum(requests.count for _, requests in own),
                "errors": sum(requests.errors for _, requests in own),
                "readBytes": moved("read"),
                "writtenBytes": moved("write"),
            }
        }

    def sections(self, shown: Shown[Settings, Part]) -> Sequence[Section]:
        """Return the rows, those with the most time in devices first, and the sums of the others."""
        ordered = sorted(shown.part.items(), key=_order)
        rows = [_row(kind, requests) for kind, requests in ordered[:MAX_DEVICES]]

        def documents(kept: int) -> Mapping[str, Any]:
            others = ordered[min(kept, len(rows)) :]
            found = {
                "rows": len(others),
                "count": sum(requests.count for _, requests in others),
                "bytes": sum(requests.bytes for _, requests in others),
                "errors": sum(requests.errors for _, requests in others),
            }
            return {"blockIO": {"devices": rows[:kept], "otherDevices": found}}

        return (Section(rows, documents, share=_SHARE),)

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return the rows for people."""
        rows = [_row(kind, requests) for kind, requests in sorted(shown.part.items(), key=_order)]
        return "\n" + "".join(f"{line}\n" for line in block_io_text.lines(rows))


def _order(item: tuple[Kind, Requests]) -> tuple[int, int, Kind]:
    kind, requests = item
    return -requests.device.total_ns, -requests.count, kind


def _requests(row: BlockRow) -> Requests:
    return Requests(row.count, row.bytes, row.errors, row.sequential, _times(row.queue), _times(row.device_time))


def _times(message: BlockLengths) -> Times:
    histogram = dict(zip(message.buckets, message.counts, strict=True))
    return Times(histogram, message.total_nanoseconds, message.max_nanoseconds)


def _row(kind: Kind, requests: Requests) -> dict[str, Any]:
    return {
        "node": kind.node,
        "device": kind.device,
        "operation": kind.operation,
        "sync": kind.sync,
        "metadata": kind.metadata,
        "attribution": kind.attribution,
        "count": requests.count,
        "bytes": requests.bytes,
        "errors": requests.errors,
        "sequential": requests.sequential,
        "queueTime": requests.queue.document(),
        "deviceTime": requests.device.document(),
        "histogram": _octaves(requests.device.histogram),
    }


def _octaves(histogram: Mapping[int, int]) -> list[dict[str, int]]:
    """Return the counts by powers of two of nanoseconds."""
    octaves: dict[int, int] = {}
    for index, count in histogram.items():
        below = 1 << bucket_bounds(index)[1].bit_length()
        octaves[below] = octaves.get(below, 0) + count
    return [{"belowNanoseconds": below, "count": octaves[below]} for below in sorted(octaves)]
