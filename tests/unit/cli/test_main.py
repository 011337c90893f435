"""The command from outside, before anything is traced: interrupted, or without standard error."""

import subprocess
import sys
from pathlib import Path

import pytest

# Sends Ctrl-C to itself when a module is looked for.
INTERRUPTED = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
from kubestrace_cli.main import main
sys.exit(main(["local", "--", "true"]))
"""


@pytest.mark.parametrize("module", ["kubestrace_cli.local.options", "argparse", "kubestrace_cli.local.run", "yaml"])
def test_ctrl_c_while_it_starts_up_is_told_in_one_line(module: str) -> None:
    """Whatever is being read at that moment: no traceback, and the exit code of an interrupted program."""
    code = INTERRUPTED.format(module=module)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "kubestrace: interrupted before counting began\n"


def test_nothing_is_read_before_ctrl_c_is_taken() -> None:
    """The module of the command itself reads only what Python has read already."""
    code = "import sys; before = {*sys.modules}; import kubestrace_cli.main; print(*sorted({*sys.modules} - before))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == ["kubestrace_cli", "kubestrace_cli.main"]


def test_with_standard_error_closed_messages_do_not_go_to_standard_output() -> None:
    """A wrong use is told by the exit code alone."""
    words = [sys.executable, "-c", "import sys; from kubestrace_cli.main import main; sys.exit(main(['local']))"]
    in_a_shell = ["sh", "-c", 'exec "$@" 2>&-', "sh", *words]

    done = subprocess.run(in_a_shell, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_with_standard_error_closed_a_name_that_is_no_text_has_the_same_exit_code(tmp_path: Path) -> None:
    """The file is there and cannot be executed."""
    (tmp_path / "t\udcff").touch()
    program = "import sys; from kubestrace_cli.main import main; sys.exit(main(['local', '--', sys.argv[1]]))"
    words = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", program, str(tmp_path / "t\udcff")]

    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (126, "", "")
