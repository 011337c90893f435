"""Text that a container controls, made safe to print. Pure."""

from __future__ import annotations


def safe(text: bytes, most: int) -> str:
    r"""Return the first `most` bytes of a container's text as plain ASCII on one line.

    Other bytes become \xNN, quotes and backslashes are escaped, and "..." follows what was cut.
    """
    words = text[:most].decode("latin-1").translate(_SAFE)
    return words + "..." if len(text) > most else words


def utf8(text: str) -> str:
    r"""Return text with file names as Python gives them as valid UTF-8: other bytes become \xNN."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _printable(byte: int) -> str:
    if chr(byte) in '"\\':
        return f"\\{chr(byte)}"
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"


# Latin-1 gives each byte the code point of its value. str.translate is much quicker than a join over bytes.
_SAFE = {byte: _printable(byte) for byte in range(256) if _printable(byte) != chr(byte)}
