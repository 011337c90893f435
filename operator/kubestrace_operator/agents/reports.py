"""What the operator takes from an agent: checked, bounded and with clean text. Pure.

An agent runs on a node that may be taken over. It can lie in its numbers, but not answer for another session, node or
namespace, not grow without bound, and not put escapes into what people read in their terminals.
"""

import re
from collections.abc import Callable, Iterable, MutableMapping
from functools import cache
from typing import Any, NamedTuple

from google.protobuf import any_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import BUCKETS

# The agents' own bound of containers in one trace, and as many again that have ended.
MAX_CONTAINERS = 2048
# All calls of all ABIs, each with a row for those that waited.
MAX_ROWS = 2048
MAX_GAPS = 1000
# As strace would print a call.
MAX_TEXT = 4096
MAX_MESSAGE = 500
# As the API server takes it; a container that is traced has none.
_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]{0,62}[A-Za-z0-9_])?")
_CALL = re.compile(r"[a-z0-9_]{1,64}")
_ABI = re.compile(r"[a-z0-9_]{0,16}")
# Names that are good, with their ABI: each row of each report has one.
_calls: set[tuple[str, str]] = set()
_MOST_CALLS = 4 * MAX_ROWS
# What the messages of views are declared in; none of them holds another packed one.
_VIEWS = "kubestrace_protos/v1/views/"


class InvalidReportError(Exception):
    """A report that no agent of ours would send; the message says what is wrong with it."""


def check(report: agent_pb2.Report, *, session_uid: str, node: str, namespace: str) -> None:
    """Raise InvalidReportError unless a report is one of this session on this node, and within bounds.

    The rows of calls are looked at in a final report only: of the others, thousands a minute, none is shown unless no
    final one comes (`check_rows`).
    """
    if report.session_uid != session_uid:
        raise InvalidReportError(f"it is of another session, {text(report.session_uid, 64)}")
    if report.node != node:
        raise InvalidReportError(f"it is of another node, {text(report.node, 64)}")
    if not report.agent_id:
        raise InvalidReportError("it names no agent")
    if len(report.containers) > MAX_CONTAINERS:
        raise InvalidReportError(f"it has {len(report.containers)} containers, more than {MAX_CONTAINERS}")
    check_states((each.state for each in report.containers), namespace)
    _check_trust(report.trust)
    for container in report.containers:
        _check_trust(container.trust)
        if len(container.syscalls) > MAX_ROWS:
            raise InvalidReportError(f"it has {len(container.syscalls)} rows of a container, more than {MAX_ROWS}")
        for each in container.unreturned_names:
            abi, _, name = each.rpartition(":")
            if not _CALL.fullmatch(name) or not _ABI.fullmatch(abi):
                raise InvalidReportError(f"it has an unreturned call with the name {text(each, 64)!r}")
    if report.final:
        check_rows(report)


def check_rows(report: agent_pb2.Report) -> None:
    """Raise InvalidReportError unless the rows of a report's calls are such as an agent sends."""
    for container in report.containers:
        for counts in container.syscalls:
            _check_counts(counts)


def check_states(states: Iterable[agent_pb2.ContainerState], namespace: str) -> None:
    """Raise InvalidReportError unless containers are of the session's namespace and their reasons are words."""
    for state in states:
        if state.container.pod_namespace != namespace:
            raise InvalidReportError(
                f"it has a container of the namespace {text(state.container.pod_namespace, 64)}, not {namespace}"
            )
        if state.reason:
            _check_reason(state.reason)


def _check_trust(trust: agent_pb2.Trust) -> None:
    if len(trust.gaps) > MAX_GAPS:
        raise InvalidReportError(f"it has {len(trust.gaps)} gaps, more than {MAX_GAPS}")
    for gap in trust.gaps:
        _check_reason(gap.reason)


def _check_reason(reason: str) -> None:
    if not _REASON.fullmatch(reason):
        raise InvalidReportError(f"it has the reason {text(reason, 64)!r}, which is not a CamelCase word")


def _is_call(name: str, abi: str) -> bool:
    if (name, abi) in _calls:
        return True
    good = bool(_CALL.fullmatch(name) and _ABI.fullmatch(abi))
    if good and len(_calls) < _MOST_CALLS:
        _calls.add((name, abi))
    return good


def _check_counts(counts: agent_pb2.SyscallCounts) -> None:
    if not _is_call(counts.name, counts.abi):
        raise InvalidReportError(f"it has a call with the name {text(counts.name, 64)!r}")
    latency = counts.latency
    # A plain list: going through the message's own takes three times as long.
    buckets = latency.buckets[:]
    if len(buckets) != len(latency.counts) or len(buckets) > BUCKETS:
        raise InvalidReportError(f"it has a histogram of {counts.name} with {len(buckets)} buckets that do not fit")
    if buckets and max(buckets) >= BUCKETS:
        raise InvalidReportError(f"it has a histogram of {counts.name} with a bucket {max(buckets)}")


def text(given: str, most: int = MAX_TEXT) -> str:
    """Return text that a terminal shows and does not obey, and no more of it than `most` characters."""
    cut = given if len(given) <= most else given[: most - 3] + "..."
    if cut.isprintable():
        return cut
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut)


def clean(message: Message) -> None:
    """Make all text of a message fit to be shown, in place; also that of the packed results of views."""
    if isinstance(message, any_pb2.Any):
        _clean_packed(message)
    else:
        _clean_fields(message, _text_fields(message.DESCRIPTOR))


class _TextFields(NamedTuple):
    """The fields of a kind of message that may hold text: a report has thousands of messages of few kinds."""

    texts: tuple[str, ...]
    # Lists, mappings and messages, with what cleans each.
    others: tuple[tuple[str, Callable[[Message, str], None]], ...]


@cache
def _text_fields(kind: Descriptor) -> _TextFields:
    fields = [field for field in kind.fields if _may_hold_text(field, frozenset())]
    texts = [field.name for field in fields if field.message_type is None and not field.is_repeated]
    others = [(field.name, _cleaner(field)) for field in fields if field.name not in texts]
    return _TextFields(tuple(texts), tuple(others))


def _may_hold_text(field: FieldDescriptor, within: frozenset[str]) -> bool:
    kind = field.message_type
    if kind is None:
        return bool(field.type == field.TYPE_STRING)
    if kind.full_name in within:
        # Its other fields decide.
        return False
    packed = kind.full_name == any_pb2.Any.DESCRIPTOR.full_name
    return packed or any(_may_hold_text(each, within | {kind.full_name}) for each in kind.fields)


def _cleaner(field: FieldDescriptor) -> Callable[[Message, str], None]:
    kind = field.message_type
    if kind is None:
        return _clean_texts
    if kind.GetOptions().map_entry:
        return _clean_map_field
    return _clean_messages if field.is_repeated else _clean_message


def _clean_fields(message: Message, fields: _TextFields) -> None:
    for name in fields.texts:
        value = getattr(message, name)
        if not _is_clean(value):
            setattr(message, name, text(value))
    for name, clean_field in fields.others:
        clean_field(message, name)


def _clean_map_field(message: Message, name: str) -> None:
    _clean_map(getattr(message, name))


def _clean_message(message: Message, name: str) -> None:
    if message.HasField(name):
        clean(getattr(message, name))


def _clean_messages(message: Message, name: str) -> None:
    found = getattr(message, name)
    if not found:
        return
    if isinstance(found[0], any_pb2.Any):
        for each in found:
            _clean_packed(each)
        return
    fields = _text_fields(found[0].DESCRIPTOR)
    for each in found:
        _clean_fields(each, fields)


def _clean_texts(message: Message, name: str) -> None:
    value = getattr(message, name)
    for index, each in enumerate(value):
        if not _is_clean(each):
            value[index] = text(each)


def _clean_map(found: MutableMapping[Any, Any]) -> None:
    """Make keys and values fit to be shown; of several keys that look alike then, one stays."""
    for key in [each for each in found if isinstance(each, str) and not _is_clean(each)]:
        value = found[key]
        if isinstance(value, Message):
            found[text(key)].CopyFrom(value)
        else:
            found[text(key)] = value
        del found[key]
    for key, value in list(found.items()):
        if isinstance(value, Message):
            clean(value)
        elif isinstance(value, str) and not _is_clean(value):
            found[key] = text(value)


def _clean_packed(packed: any_pb2.Any) -> None:
    """Make the text of a view's result fit to be shown; what is no such result is read by nobody."""
    try:
        kind = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    except KeyError:
        return
    if not kind.file.name.startswith(_VIEWS):
        return
    result = message_factory.GetMessageClass(kind)()
    try:
        packed.Unpack(result)
    except DecodeError:
        return
    clean(result)
    packed.value = result.SerializeToString()


def clean_outline(report: agent_pb2.Report) -> None:
    """Make the text fit to be shown that a report has beside its rows, in place."""
    clean(report.trust)
    for container in report.containers:
        clean(container.state)
        clean(container.trust)


def _is_clean(given: str) -> bool:
    return len(given) <= MAX_TEXT and given.isprintable()
