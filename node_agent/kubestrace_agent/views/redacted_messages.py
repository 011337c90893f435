"""The results of views without what a session does not show. Used by the reports.

A view that hides nothing itself has its texts searched here: none is left out because its author forgot it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

if TYPE_CHECKING:
    from google.protobuf import any_pb2

    from kubestrace_agent.views.redaction import Redaction
    from kubestrace_agent.views.view import Collector
    from kubestrace_protos.v1 import agent_pb2


# Fields that hold words of ours: a pattern "*" must not hide which system call it was.
_OURS = frozenset(
    (*("name", "syscall", "abi", "errno", "kind", "operation", "device", "attribution", "type", "protocol", "role"),
     *("access", "place", "signs", "rights", "pattern", "signal", "unavailable"))
)  # fmt: skip
_OF_PROGRAMS = re.compile(r"[/.:]")
_Shown = Callable[[str, str], str]


def write(collector: Collector, report: agent_pb2.ContainerReport) -> None:
    """Have a collector put its result into a report."""
    collector.write(report)
    if not collector.redacts and collector.redaction.patterns and collector.name in report.views:
        _redact_packed(report.views[collector.name], collector.redaction)


def _redact_packed(packed: any_pb2.Any, redaction: Redaction) -> None:
    kind = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    into = message_factory.GetMessageClass(kind)()
    packed.Unpack(into)
    _redact(into, lambda field, text: _shown(field, text, redaction))
    packed.Pack(into)


def _shown(field: str, text: str, redaction: Redaction) -> str:
    """Return a text as it is shown; a word of ours has no folder, and is no address and no name of DNS."""
    is_ours = field in _OURS and not _OF_PROGRAMS.search(text)
    return text if is_ours else redaction.text(text.encode()).decode()


def _redact(message: Message, shown: _Shown) -> None:
    """Change all texts of a message; the keys of maps are words of ours."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            if isinstance(value, str):
                setattr(message, field.name, shown(field.name, value))
            else:
                value[:] = [shown(field.name, each) for each in value]
        elif field.type == field.TYPE_MESSAGE:
            _redact_messages(value, shown)


def _redact_messages(value: Any, shown: _Shown) -> None:
    """Change the texts of a message, of a list of them, or of a map."""
    if isinstance(value, Message):
        _redact(value, shown)
    elif isinstance(value, MutableMapping):
        for key, each in value.items():
            if isinstance(each, Message):
                _redact(each, shown)
            elif isinstance(each, str):
                value[key] = shown("", each)
    else:
        for each in value:
            _redact(each, shown)
