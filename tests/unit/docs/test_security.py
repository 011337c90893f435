"""Each claim of SECURITY.md's threat model names tests, and those are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODEL = (ROOT / "SECURITY.md").read_text().split("\n## Threat model\n", 1)[1]
ACTORS = ("A pod", "The author", "Root on a node", "The network", "An agent", "An operator")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def claims() -> list[str]:
    """Return the rows of the model's tables without their heads."""
    rows = [line for line in MODEL.splitlines() if line.startswith("| ")]
    return [row for row in rows if not row.startswith("| ---") and not row.endswith("| because | tests |")]


def test_each_actor_has_its_claims() -> None:
    """What each of them cannot do, and what each can."""
    parts = MODEL.split("\n### ")[1:]
    titles = [part.splitlines()[0] for part in parts]

    assert all(any(title.startswith(actor) for title in titles) for actor in ACTORS)
    for part in parts[:-1]:
        assert "cannot | because | tests |" in part, part.splitlines()[0]
        assert re.search(r"\n(It|They) can: ", part), part.splitlines()[0]


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.split(" | ")[0][2:60])
def test_each_claim_has_tests_that_are_there(claim: str) -> None:
    """A test that was renamed or deleted would leave a promise that nobody keeps."""
    named = NAMED.findall(claim)

    assert named, "the claim names no test"
    for path, name in named:
        functions = {
            node.name
            for node in ast.walk(ast.parse((ROOT / path).read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, f"{path} has no {name}"
