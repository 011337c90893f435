"""Writes the sections of docs/findings.md, one for each rule, from the rules themselves.

`python tools/findings.py` writes them below the heading "The rules"; with --check it says whether they are what would
be written.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from kubestrace_operator.findings.finding import Rule
from kubestrace_operator.findings.rules import RULES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "findings.md"
_HEADING = "## The rules\n"
_INTRODUCTION = (
    "Made from the rules by `tools/findings.py`. A rule that needs a view is judged only while that view is on."
)


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is out of date")
    check = parser.parse_args().check
    text = PAGE.read_text()
    made = page(text)
    if check and made != text:
        sys.stderr.write(f"{PAGE.relative_to(ROOT)} is out of date: run python tools/findings.py\n")
        return 1
    if not check:
        PAGE.write_text(made)
    return 0


def page(text: str) -> str:
    """Return a page with the sections of all rules at its end."""
    head, _, _ = text.partition(_HEADING)
    return f"{head}{_HEADING}\n{_INTRODUCTION}\n" + "".join(line for rule in RULES for line in _section(rule))


def _section(rule: Rule) -> Iterator[str]:
    yield f"\n### {rule.id}\n\n{rule.about}\n\n"
    needs = [f"`views.{view}`" for view in rule.needs]
    if rule.compares:
        needs.append("every system call (no `spec.syscalls`), and none lost")
    yield f"- Needs: {', '.join(needs) or 'no view'}\n"
    yield f"- Where its bounds are from: {rule.source}\n"


if __name__ == "__main__":
    sys.exit(main())
