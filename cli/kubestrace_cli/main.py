"""The `kubestrace` command."""

# Nothing that Python has not read by itself: whatever is read before `main` begins answers Ctrl-C with a traceback.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# As shells say it: 128 and SIGINT's number.
_INTERRUPTED = 130
_STANDARD_ERROR = 2


def main(words: "Sequence[str] | None" = None) -> int:
    """Run the command; returns the exit code."""
    try:
        _fill_closed()
        # Closed (2>&-): without this, what is said there would go to standard output. Escapes, as it has by itself.
        if sys.stderr is None:
            sys.stderr = open("/dev/null", "w", errors="backslashreplace")  # noqa: PTH123, SIM115 (no pathlib yet)
        from kubestrace_cli.local import options  # noqa: PLC0415 - after standard error is there

        chosen = options.parse(sys.argv[1:] if words is None else words)
        # Read only now: --help and --version need nothing of it.
        if not isinstance(chosen, options.Options):
            from kubestrace_cli.seccomp import run as seccomp  # noqa: PLC0415

            return seccomp.run(chosen)
        from kubestrace_cli.local import run  # noqa: PLC0415

        return run.run(chosen)
    except KeyboardInterrupt:
        # Only before the trace: from its beginning on, Ctrl-C is an event of it.
        print("kubestrace: interrupted before counting began", file=sys.stderr)
        return _INTERRUPTED


def _fill_closed() -> None:
    """Open /dev/null for standard input, output and error where they are closed: no file of ours may take their place.

    COMMAND finds them closed as they were: what is opened here ends with an execve.
    """
    while (fd := os.open("/dev/null", os.O_RDWR)) <= _STANDARD_ERROR:
        pass
    os.close(fd)
