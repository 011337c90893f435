"""The `kubestrace` command."""

import signal
import sys
from collections.abc import Sequence

from kubestrace_cli import options


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    chosen = options.parse(sys.argv[1:] if words is None else words)
    try:
        # Read only now: --help and --version need nothing of it.
        from kubestrace_cli import local  # noqa: PLC0415

        return local.run(chosen)
    except KeyboardInterrupt:
        # Before anything was counted; later Ctrl-C is an event of the trace.
        return 128 + signal.SIGINT
