"""The page of findings has every rule, as it is."""

import subprocess
import sys
from pathlib import Path

from kubestrace_operator.findings.rules import RULES

ROOT = Path(__file__).parents[3]


def test_the_page_has_a_section_for_every_rule() -> None:
    """Made from the rules, in their order: python tools/findings.py."""
    subprocess.run([sys.executable, ROOT / "tools" / "findings.py", "--check"], check=True, timeout=60)

    lines = (ROOT / "docs" / "findings.md").read_text().splitlines()
    assert [line.removeprefix("### ") for line in lines if line.startswith("### ")] == [rule.id for rule in RULES]


def test_every_rule_says_what_it_finds() -> None:
    """A section without a sentence or a source is none."""
    assert [rule.id for rule in RULES if not (rule.about and rule.source)] == []


def test_the_number_of_rules_is_told() -> None:
    """As many as there are."""
    assert f"by {len(RULES)} rules" in (ROOT / "CHANGELOG.md").read_text()
