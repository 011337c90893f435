"""The line that says how far the trace is."""

import io

from kubestrace_cli.local.progress import Progress


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_the_line_is_drawn_in_place_and_erased() -> None:
    """Each drawing begins at the line's start; at the end nothing is left of it."""
    terminal = Terminal()
    progress = Progress(terminal, duration_seconds=30)

    progress.show(3.2, 1204413)
    progress.clear()

    assert (
        terminal.getvalue() == "\rtracing: 3 of 30 s, 1,204,413 calls (Ctrl-C: end and show the result)\x1b[K\r\x1b[K"
    )


def test_nothing_is_written_where_no_terminal_is() -> None:
    """A pipe or a file stays clean."""
    pipe = io.StringIO()
    progress = Progress(pipe, duration_seconds=None)

    progress.show(1, 1)
    progress.clear()

    assert pipe.getvalue() == ""


def test_a_terminal_that_is_not_ours_stays_untouched() -> None:
    """Where COMMAND writes to the terminal itself, nothing is drawn."""
    terminal = Terminal()

    Progress(terminal, duration_seconds=30, wanted=False).show(1, 1)

    assert terminal.getvalue() == ""
