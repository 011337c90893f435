"""What scripts say on standard error."""

import subprocess
from pathlib import Path

LIBRARY = Path(__file__).parents[3] / "scripts/lib.sh"


def test_a_log_has_no_escapes() -> None:
    """Bold is for terminals: here standard error is a pipe."""
    words = ["bash", "-c", 'source "$1"; say "two  words"', "bash", str(LIBRARY)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)

    assert (done.stdout, done.stderr) == ("", "== two  words\n")
