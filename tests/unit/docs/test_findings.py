"""The page of findings has every rule, as it is."""

from pathlib import Path

from kubestrace_operator.findings.rules import RULES

PAGE = Path(__file__).parents[3] / "docs" / "findings.md"


def test_the_page_has_every_rule() -> None:
    """In their order, with the views that they need."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `") and line.count(" | ") == 3]
    needed = [", ".join(f"`{view}`" for view in rule.needs) or "-" for rule in RULES]

    assert lines == [
        f"| `{rule.id}` | {rule.about} | {needs} | {rule.source} |" for rule, needs in zip(RULES, needed, strict=True)
    ]
