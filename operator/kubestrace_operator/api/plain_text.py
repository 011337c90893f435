"""Text of others, fit to be shown: no control characters, no escapes, bounded. Pure."""

from collections.abc import Iterable, Mapping

from google.protobuf.message import Message

# As strace would print a call.
MAX_TEXT = 4096


def text(given: str, most: int = MAX_TEXT) -> str:
    """Return text that a terminal shows and does not obey, and no more of it than `most` characters."""
    cut = given if len(given) <= most else given[: most - 3] + "..."
    if cut.isprintable():
        return cut
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut)


def clean(message: Message) -> None:
    """Make all text of a message fit to be shown, in place."""
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


def _messages(value: object) -> Iterable[Message]:
    if isinstance(value, Message):
        return (value,)
    if isinstance(value, Mapping):
        return (each for each in value.values() if isinstance(each, Message))
    return value if isinstance(value, Iterable) else ()


def _is_clean(given: str) -> bool:
    return len(given) <= MAX_TEXT and given.isprintable()
