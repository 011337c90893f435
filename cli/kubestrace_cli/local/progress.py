"""One line on a terminal that says how far the trace is; gone without a mark at the end."""

import os
from typing import TextIO


class Progress:
    """Writes to a terminal, and nothing anywhere else."""

    def __init__(self, stream: TextIO, *, duration_seconds: float | None, wanted: bool = True) -> None:
        self._stream = stream
        self._duration_seconds = duration_seconds
        self._active = wanted and stream.isatty()

    def show(self, elapsed_seconds: float, calls: int) -> None:
        """Draw the line anew."""
        if self._active:
            total = f" of {self._duration_seconds:.0f}" if self._duration_seconds else ""
            text = f"tracing: {elapsed_seconds:.0f}{total} s, {calls:,} calls (Ctrl-C: end and show the result)"
            self._write(text[: _columns(self._stream) - 1])

    def clear(self) -> None:
        """Erase the line."""
        if self._active:
            self._write("")

    def _write(self, text: str) -> None:
        # Back to the start of the line, and erase to its end.
        self._stream.write(f"\r{text}\x1b[K")
        self._stream.flush()


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80
