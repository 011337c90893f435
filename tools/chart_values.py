"""Writes the table of values in charts/kubestrace/README.md from the comments of values.yaml.

`python tools/chart_values.py` writes it; with --check it exits with 1 when the file is out of date.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parents[1] / "charts" / "kubestrace"
README = CHART / "README.md"
_ENTRY = re.compile(r"  [^:]{1,50}: ")
BEGIN, END = "<!-- values: made by tools/chart_values.py -->\n", "<!-- end of values -->\n"


def main() -> int:
    """Write the README, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is out of date")
    text = README.read_text()
    wanted = with_table(text, (CHART / "values.yaml").read_text())
    if not parser.parse_args().check:
        README.write_text(wanted)
        return 0
    if text == wanted:
        return 0
    sys.stderr.write(f"{README.name} of the chart is out of date: run python tools/chart_values.py\n")
    return 1


def with_table(text: str, values: str) -> str:
    """Return the README with the table of these values between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = ["| value | default | description |", "| --- | --- | --- |", *rows_of(values)]
    return before + BEGIN + "\n".join(rows) + "\n" + END + after


def rows_of(values: str) -> Iterator[str]:
    """Yield a row for each value that has a comment above it."""
    lines = values.splitlines()
    for path, key, value in _documented(yaml.compose(values), lines):
        default = json.dumps(yaml.safe_load(yaml.serialize(value)))
        yield f"| `{path}` | `{default}` | {_comment(lines, key.start_mark.line)} |".replace("``", "")


def _documented(
    node: yaml.MappingNode, lines: list[str], prefix: str = ""
) -> Iterator[tuple[str, yaml.ScalarNode, yaml.Node]]:
    for key, value in node.value:
        path = prefix + key.value
        if lines[key.start_mark.line - 1].lstrip().startswith("# "):
            yield path, key, value
        else:
            yield from _documented(value, lines, f"{path}.")


def _comment(lines: list[str], line: int) -> str:
    """Return the comment above a line; an entry of a list in it is indented and begins with `word:`."""
    found: list[str] = []
    while lines[line - 1].lstrip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].strip().removeprefix("# "))
    text = "".join(f"<br>• {part.strip()}" if _ENTRY.match(part) else f" {part.strip()}" for part in found)
    return text.strip().replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
