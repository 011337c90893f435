"""Who makes COMMAND's calls, as rows, as trees and as folded stacks."""

import json
import subprocess
from pathlib import Path

import pytest
from local_runs import kubestrace

SOURCE = Path(__file__).parents[1] / "engine/callers/reads.c"


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the program of three functions that read."""
    program = tmp_path_factory.mktemp("callers") / "reads"
    subprocess.run(["gcc", "-O1", "-fno-optimize-sibling-calls", "-o", program, SOURCE], check=True, timeout=200)
    return program


def test_rows_have_shares_and_their_errors(reads: Path) -> None:
    """Of the calls of their own kind; with what is left out they are all that were chosen."""
    done = kubestrace("local", "--callers", "1000", "-o", "json", "--", str(reads), "100000")
    document = json.loads(done.stdout)
    rows = [row for row in document["status"]["callers"] if row["syscall"] == "read"]
    right = {"often": 0.6, "sometimes": 0.3, "seldom": 0.1}
    shares = {
        name: next(row for row in rows if any(word.startswith(f"{name} ") for word in row["stack"])) for name in right
    }

    assert document["spec"]["views"]["callers"]["perSecond"] == 1000
    for name, row in shares.items():
        # Twice what 19 of 20 keep to.
        assert abs(row["share"] - right[name]) < 2 * row["shareError"] + 0.003, row
        assert row["stack"][-1].startswith("_start ")
    assert sum(row["share"] for row in rows) == pytest.approx(1, abs=0.01)
    assert document["status"]["otherCallers"]["stacks"] == 0


# With nothing in its environment a program's first frames stand near the end of its stack.
@pytest.mark.parametrize("start", [[], ["setarch", "-R", "env", "-i"]], ids=["as is", "near the stack's end"])
def test_folded_stacks_go_to_standard_output(reads: Path, start: list[str]) -> None:
    """Outermost function first, the call last, then a number."""
    done = kubestrace("local", "--callers", "1000", "-o", "folded", "--", *start, str(reads), "400000")
    lines = {stack: int(number) for stack, number in (line.rsplit(" ", 1) for line in done.stdout.splitlines())}

    found = [stack for stack in lines if "often (reads)" in stack]
    assert found
    assert all(stack.startswith("_start (reads);") and stack.endswith(";read") for stack in found)
    assert all(number > 0 for number in lines.values())


def test_folded_stacks_of_no_view_are_refused() -> None:
    """With what to do; nothing is run."""
    done = kubestrace("local", "-o", "folded", "--", "echo", "made")

    assert (done.returncode, done.stdout) == (2, "")
    assert "none with stacks is on: add --callers" in done.stderr
