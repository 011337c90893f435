"""What the operator takes from an agent: checked, bounded and with clean text. Pure.

An agent runs on a node that may be taken over. It can lie in its numbers, but not answer for another session, node or
namespace, not grow without bound, and not put escapes into what people read in their terminals.
"""

import re
from collections.abc import Iterable, Mapping

from google.protobuf import any_pb2, descriptor_pool, message_factory
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
# What the messages of views are declared in; none of them holds another packed one.
_VIEWS = "kubestrace_protos/v1/views/"


class InvalidReportError(Exception):
    """A report that no agent of ours would send; the message says what is wrong with it."""


def check(report: agent_pb2.Report, *, session_uid: str, node: str, namespace: str) -> None:
    """Raise InvalidReportError unless a report is one of this session on this node, and within bounds."""
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
        for counts in container.syscalls:
            _check_counts(counts)
        for each in container.unreturned_names:
            abi, _, name = each.rpartition(":")
            if not _CALL.fullmatch(name) or not _ABI.fullmatch(abi):
                raise InvalidReportError(f"it has an unreturned call with the name {text(each, 64)!r}")


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


def _check_counts(counts: agent_pb2.SyscallCounts) -> None:
    if not _CALL.fullmatch(counts.name) or not _ABI.fullmatch(counts.abi):
        raise InvalidReportError(f"it has a call with the name {text(counts.name, 64)!r}")
    buckets = counts.latency.buckets
    if len(buckets) != len(counts.latency.counts) or len(buckets) > BUCKETS:
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
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in _messages(value):
                clean(each)
        elif isinstance(value, str):
            if not _is_clean(value):
                setattr(message, field.name, text(value))
        elif field.type == field.TYPE_STRING:
            for index, each in enumerate(value):
                if not _is_clean(each):
                    value[index] = text(each)


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


def _messages(value: object) -> Iterable[Message]:
    if isinstance(value, Message):
        return (value,)
    if isinstance(value, Mapping):
        return (each for each in value.values() if isinstance(each, Message))
    return value if isinstance(value, Iterable) else ()


def _is_clean(given: str) -> bool:
    return len(given) <= MAX_TEXT and given.isprintable()
