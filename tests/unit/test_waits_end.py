"""Every wait in the tests has an end: a program that hangs fails a test instead of hanging the run."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# subprocess.NAME waits for its program.
RUNS = {"run", "call", "check_call", "check_output"}
# x.NAME() without an argument waits for ever: of processes, threads, queues and events.
WAITS = {"wait", "communicate", "join", "result", "acquire"}


def endless(source: str) -> list[int]:
    """Return the lines of the calls that wait without a limit; what is awaited ends with its test's own timeout.

    The comment `# has ended` marks a call that returns at once.
    """
    lines = source.splitlines()
    tree = ast.parse(source)
    awaited = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Await)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and id(node) not in awaited]
    found = [call.lineno for call in calls if isinstance(call.func, ast.Attribute) and _is_endless(call, call.func)]
    return [line for line in found if not lines[line - 1].endswith("# has ended")]


def _is_endless(call: ast.Call, function: ast.Attribute) -> bool:
    if any(word.arg in {"timeout", None} for word in call.keywords):
        return False
    if isinstance(function.value, ast.Name) and function.value.id == "subprocess":
        return function.attr in RUNS
    # A process that was sent input waits, too, for what it answers.
    return function.attr == "communicate" or (function.attr in WAITS and not call.args)


@pytest.mark.parametrize(
    "line",
    ["subprocess.run(['x'], check=True)", "process.wait()", "process.communicate(b'x')", "thread.join()"],
)
def test_a_wait_without_an_end_is_noticed(line: str) -> None:
    """The check below would see it."""
    assert endless(line) == [1]


@pytest.mark.parametrize("line", ["subprocess.run(['x'], timeout=5)", "process.wait(5)", "', '.join(words)"])
def test_a_wait_with_an_end_is_not_noticed(line: str) -> None:
    """A limit in seconds is all that is asked for."""
    assert endless(line) == []


def test_no_wait_in_the_tests_is_endless() -> None:
    """Each says how long it waits at most."""
    sources = [path for path in TESTS.rglob("*.py") if path.relative_to(TESTS).parts[0] != "bench"]
    found = [f"{path.relative_to(TESTS)}:{line}" for path in sources for line in endless(path.read_text("utf-8"))]

    assert found == []
