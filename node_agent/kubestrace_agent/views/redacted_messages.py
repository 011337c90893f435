"""The results of views without what a session does not show. Used by the reports.

A view that hides nothing itself has its texts searched for paths here: none is left out because its author forgot it.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

    from google.protobuf import any_pb2

    from kubestrace_agent.views.redaction import Redaction
    from kubestrace_agent.views.view import Collector
    from kubestrace_protos.v1 import agent_pb2


def write(collector: Collector, report: agent_pb2.ContainerReport) -> None:
    """Have a collector put its result into a report."""
    collector.write(report)
    if not collector.redacts and collector.redaction.patterns and collector.name in report.views:
        _redact_packed(report.views[collector.name], collector.redaction)


def _redact_packed(packed: any_pb2.Any, redaction: Redaction) -> None:
    kind = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    into = message_factory.GetMessageClass(kind)()
    packed.Unpack(into)
    _redact(into, lambda text: _shown(text, redaction))
    packed.Pack(into)


def _shown(text: str, redaction: Redaction) -> str:
    """Return a text as it is shown; a word of ours, such as a kind or an errno, has no folder."""
    return redaction.text(text.encode()).decode() if "/" in text else text


def _redact(message: Message, shown: Callable[[str], str]) -> None:
    """Change all texts of a message; the keys of maps are words of ours."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            if isinstance(value, str):
                setattr(message, field.name, shown(value))
            else:
                _redact_list(value, shown)
        elif field.type == field.TYPE_MESSAGE:
            _redact_messages(value, shown)


def _redact_list(texts: MutableSequence[str], shown: Callable[[str], str]) -> None:
    texts[:] = [shown(each) for each in texts]


def _redact_messages(value: Any, shown: Callable[[str], str]) -> None:
    """Change the texts of a message, of a list of them, or of a map."""
    if isinstance(value, Message):
        _redact(value, shown)
    elif isinstance(value, MutableMapping):
        for key, each in value.items():
            if isinstance(each, Message):
                _redact(each, shown)
            elif isinstance(each, str):
                value[key] = shown(each)
    else:
        for each in value:
            _redact(each, shown)
