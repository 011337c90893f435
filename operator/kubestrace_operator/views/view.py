"""What a view is to the operator and to local mode: the base of every slice, and what its hooks get. Pure.

A view is one module of this folder and one line in registry. Nothing else names it: spec, merge, status, sessions and
the command line go through the hooks of View.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from google.protobuf.message import Message

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.places import Places
from kubestrace_operator.results.rows import ContainerKey, ContainerRow, SyscallKey
from kubestrace_operator.status.sections import Section
from kubestrace_operator.views.profiles import Profile
from kubestrace_protos.v1 import agent_pb2

# What a spec asks for, a message of the wire, and the merged results.
Settings = TypeVar("Settings")
Result = TypeVar("Result", bound=Message)
Part = TypeVar("Part")


@dataclass(frozen=True)
class Span:
    """Where a session stands when a request is made. In milliseconds; a duration of 0: the session has none."""

    duration_milliseconds: int
    elapsed_milliseconds: int = 0
    # Parts of the duration in which the session counts by time; 0: it does not.
    buckets: int = 0


@dataclass(frozen=True)
class ContainerResult(Generic[Result]):
    """What one agent reported of one container for a view."""

    key: ContainerKey
    container: agent_pb2.Container
    message: Result


class PeerName(NamedTuple):
    """Whose an address is, in the session's namespace; what is not known is empty."""

    pod: str
    # "Deployment/checkout".
    workload: str
    service: str = ""


@dataclass(frozen=True)
class Bars:
    """A line of a chart over a session's buckets."""

    # At most 6 characters.
    name: str
    # By index; what is missing is 0.
    values: Mapping[int, int]
    # The largest value for people.
    text: Callable[[int], str]
    # A level, not what came in each bucket.
    level: bool = False
    # What it is, where the name does not say it: "throttled".
    what: str = ""


@dataclass(frozen=True)
class Shown(Generic[Settings, Part]):
    """What the parts of a status are made of, for one view that is on."""

    settings: Settings
    part: Part
    # In the order of status.containers.
    containers: Sequence[ContainerRow]
    # Rows of summary.errorCounts, in their order.
    error_counts: Sequence[Mapping[str, Any]]
    start: datetime
    # The session's end, or now.
    end: datetime
    # 0: the session has no duration.
    duration_ns: int
    # How often each system call was made, of all ABIs, whether it waited or not.
    calls: Mapping[str, int] = field(default_factory=dict)
    # By address as text.
    peer_names: Mapping[str, PeerName] = field(default_factory=dict)
    # What all views have to show by time.
    bars: Sequence[Bars] = ()


@dataclass(frozen=True)
class Loss:
    """Something that a view had no room for, counted in trust.losses."""

    name: str
    # The sentence for one, and for more: "slow call", "slow calls", and its rest.
    one: str
    many: str
    rest: str
    # The reason of DataComplete=False, CamelCase; empty: the result is complete all the same.
    reason: str = ""

    def sentence(self, count: int) -> str:
        """Return the sentence for people."""
        return f"{count} {self.one if count == 1 else self.many} {self.rest}"


@dataclass(frozen=True)
class Column:
    """A column that a view adds to status.table, behind the seconds."""

    head: str
    # Of each row, shown in seconds; a total is the sum over its rows.
    nanoseconds: Mapping[SyscallKey, int]


@dataclass(frozen=True)
class Flag:
    """A flag of `kubestrace local` that turns a view on, or sets one of its fields."""

    words: str
    help: str
    # The field of the view's spec that the value is for; empty: the flag only turns the view on.
    field: str = ""
    # Empty: the flag takes no value, and the field becomes `value`.
    metavar: str = ""
    value: bool | str = True
    # The value is a whole number within these bounds, in this unit.
    bounds: tuple[int, int] = (0, 0)
    unit: str = "a whole number"
    # The value where the flag is given without one; None: a value is required.
    default: int | None = None
    # The error where the view is off, because this flag does not turn it on; empty: it does.
    needs: str = ""

    @property
    def usage(self) -> str:
        """The flag in the usage line."""
        if not self.metavar:
            return self.words
        return f"{self.words} {self.metavar if self.default is None else f'[{self.metavar}]'}"


@dataclass(frozen=True)
class Spans:
    """Where a view's part of a status has numbers by time: a session's halves tell how much it differs from itself."""

    # The part of the status, and its field with the length of a span.
    part: str
    length_ns: str
    # Lists in that part, by what they count: calls, errors, time (of calls that work), waitTime.
    series: Mapping[str, str]


@dataclass(frozen=True)
class ComparedRows:
    """A list of a view's that is compared with an earlier session's; rows of one key are added up."""

    # Where the list stands in the status.
    path: tuple[str, ...]
    # The fields that name a row, for people, too. Of alternatives ("service|address") the first that a row has.
    key: tuple[str, ...]
    # Counts and sums by the word for them: compared as rates a second. The first says whether there are enough.
    counts: Mapping[str, str]
    # Lengths by the word for them: compared as they are, where one row alone has the key.
    lengths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class View(Generic[Settings, Result, Part]):
    """One view. Hooks that a view does not need do nothing."""

    # In spec.views, and in the maps of the wire.
    name: ClassVar[str]
    # Every session has it, and spec.views does not name it.
    always: ClassVar[bool] = False
    # Those that turn it on, beside EVERYTHING: with its defaults.
    profiles: ClassVar[frozenset[Profile]] = frozenset()
    # Fields of the view's spec beside `enabled`.
    fields: ClassVar[tuple[str, ...]] = ()
    flags: ClassVar[tuple[Flag, ...]] = ()
    # Whether it shows addresses, so that the names of peers are worth asking for.
    shows_peers: ClassVar[bool] = False
    # Words behind `kubestrace local` that show the flags in use; empty: none.
    example: ClassVar[str] = ""
    # Whether `folded` has anything to tell.
    has_stacks: ClassVar[bool] = False
    # All that may stand in trust.losses.
    known_losses: ClassVar[tuple[Loss, ...]] = ()
    # None: its part of the status has nothing by time.
    spans: ClassVar[Spans | None] = None
    compared_rows: ClassVar[tuple[ComparedRows, ...]] = ()
    # The message that agents report.
    result_type: type[Result]

    # Spec and request.

    def parse(self, fields: Fields, duration_seconds: int) -> Settings:
        """Return the settings; what is left out has its default. Wrong fields are noted in `fields`."""
        raise NotImplementedError

    def spec(self, settings: Settings) -> dict[str, Any]:
        """Return the settings as a spec has them."""
        raise NotImplementedError

    def request(self, settings: Settings, span: Span) -> Message:
        """Return what agents are asked for."""
        raise NotImplementedError

    def buckets(self, settings: Settings) -> int:
        """Return in how many parts of its duration the session counts, for all views; 0: this view does not ask."""
        return 0

    # Merging.

    def merge(self, results: Iterable[ContainerResult[Result]]) -> Part:
        """Return the results of one report, merged."""
        raise NotImplementedError

    def add(self, parts: Iterable[Part]) -> Part:
        """Return the sum of any number of parts, which stay as they are. Associative and commutative."""
        raise NotImplementedError

    # Trust.

    def losses(self, settings: Settings) -> Sequence[Loss]:
        """Return the losses that stand in trust.losses."""
        return self.known_losses

    # Status. Totals stand in `document` and are never cut; lists are sections, the most valuable first.

    def document(self, shown: Shown[Settings, Part]) -> Mapping[str, Any]:
        """Return what is never cut."""
        return {}

    def sections(self, shown: Shown[Settings, Part]) -> Sequence[Section]:
        """Return the lists that may be cut."""
        return ()

    def container_sections(self, shown: Shown[Settings, Part], listed: int) -> Sequence[Section]:
        """Return the lists by container: they get the room that all else has left. `listed` containers are shown."""
        return ()

    def syscall_fields(self, shown: Shown[Settings, Part], key: SyscallKey) -> Mapping[str, Any]:
        """Return what is added to a row of summary.syscalls."""
        return {}

    def error_fields(self, shown: Shown[Settings, Part], row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is added to a row of summary.errorCounts."""
        return {}

    # Text for people.

    def column(self, shown: Shown[Settings, Part]) -> Column | None:
        """Return a column of status.table."""
        return None

    def table_text(self, shown: Shown[Settings, Part]) -> str:
        """Return what stands below status.table."""
        return ""

    def bars(self, shown: Shown[Settings, Part]) -> Sequence[Bars]:
        """Return what there is to show by time, beside calls."""
        return ()

    # Text of local mode, from the status: a view that is off finds nothing of its own there.

    def overview(self, status: Mapping[str, Any]) -> Iterator[str]:
        """Yield the lines right below the table."""
        yield from ()

    def details(self, status: Mapping[str, Any]) -> Iterator[str]:
        """Yield the lines of lists, below the errors."""
        yield from ()

    def folded(self, status: Mapping[str, Any]) -> Iterator[str]:
        """Yield folded stacks for flame graphs: functions from the outermost on, between semicolons, and a number."""
        yield from ()

    def error_head(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return the head of what `error_text` adds to rows of errors."""
        return ""

    def error_text(self, row: Mapping[str, Any]) -> str:
        """Return what stands behind a row of errors."""
        return ""

    def error_lines(self, row: Mapping[str, Any], places: Places) -> Iterator[str]:
        """Yield the lines below a row of errors; `places` says where each of them was."""
        yield from ()

    def remarks(self, status: Mapping[str, Any]) -> Iterator[str]:
        """Yield the sentences to know before trusting the numbers, beside the losses."""
        yield from ()
