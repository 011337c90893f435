"""Text that a container controls, made safe to print. Pure."""

from __future__ import annotations


def safe(text: bytes, most: int) -> str:
    r"""Text of a container as plain ASCII in a line of its own: other bytes stand as \xNN, quotes are escaped."""
    words = "".join(_SAFE[byte] for byte in text[:most])
    return words + "..." if len(text) > most else words


def utf8(text: str) -> str:
    r"""Text with file names as Python gives them, as the wire takes it: bytes that are no UTF-8 stand as \xNN."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _printable(byte: int) -> str:
    if chr(byte) in '"\\':
        return f"\\{chr(byte)}"
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"


_SAFE = [_printable(byte) for byte in range(256)]
