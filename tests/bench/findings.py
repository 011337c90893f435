"""How true findings are: programs that have a fault, and programs that have none.

    python tests/bench/findings.py [--busy] [--pages FOLDER] [NAME...]
    python tests/bench/findings.py --write

Traces the programs of findings.toml and findings_real.toml in local mode, with the views that rules need, and says what
was found. A fault is found if its rule is the first or the second finding; a program without one must have no warning.
Recall: faults that were found. Precision: warnings that were right. --busy runs them while each CPU has a program that
computes. What came out is kept in findings.json beside docs/findings.md; --write makes the table there.

Needs root. A program whose tools are not installed is left out and named, and one whose rule is not there. Where the
machine is busy cpu-starved is right for any of them, and not counted. `also` names what is right beside the fault.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import findings_runs

from kubestrace_operator.findings.rules import RULES

_VIEWS = ["--views", "all", "--dns"]
_OF_THE_MACHINE = "cpu-starved"
_MAKEFILE = (
    "all: $(addsuffix .o,1 2 3 4 5 6)\n\t@true\n%.o:\n\techo 'int main(void){return 0;}' | gcc -x c -O2 -c - -o $@\n"
)
_HERE, _ROOT = Path(__file__).parent, Path(__file__).parents[2]
_RESULTS, _PAGE = _ROOT / "docs" / "findings.json", _ROOT / "docs" / "findings.md"
_WAYS = ("quiet", "busy")

Found = Sequence[tuple[str, str]]


def programs() -> list[findings_runs.Case]:
    """Return all programs: those that were written for a rule, and real ones."""
    files = (_HERE / "findings.toml", _HERE / "findings_real.toml")
    return [each for file in files for each in tomllib.loads(file.read_text())["program"]]


def not_run(case: findings_runs.Case) -> str:
    """Say why a program cannot be judged here; nothing where it can."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if missing := [tool for tool in case.get("tools", ()) if not shutil.which(tool, path=path)]:
        return f"{', '.join(missing)} is not installed"
    rule = case.get("rule", "")
    return "" if not rule or rule in {each.id for each in RULES} else f"there is no rule {rule}"


def judged(case: findings_runs.Case, found: Found) -> tuple[bool, int, int]:
    """Return whether the fault was found, how many warnings there were, and how many of them were right."""
    rule = case.get("rule", "")
    told = [each for each, severity in found if severity != "info" or each == rule]
    right = sum(each in {rule, *case.get("also", ())} for each in told)
    return bool(rule) and rule in [each for each, _ in found[:2]], len(told), right


@contextlib.contextmanager
def busy_cpus() -> Iterator[None]:
    """Keep each CPU busy."""
    words = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(words) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def trace(names: Sequence[str], way: str, pages: Path | None) -> None:
    """Trace the programs that are named, or all; keep what was found after each."""
    kept: dict[str, Any] = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        (place / "makefile").write_text(_MAKEFILE)
        clone = ["git", "clone", "-q", str(_ROOT), str(place / "repository")]
        subprocess.run(clone, check=False, timeout=60)
        every = programs()
        kept = {each["name"]: kept[each["name"]] for each in every if each["name"] in kept}
        for case in (each for each in every if not names or each["name"] in names):
            name, why = case["name"], not_run(case)
            if why:
                print(f"{name}: not run: {why}", flush=True)
                kept[name] = {"notRun": why}
                continue
            try:
                status = findings_runs.status(case, _VIEWS, place)
            except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
                # One server that does not come up does not hide what the others showed.
                print(f"{name}: failed: {error}", flush=True)
            else:
                found = [(each["id"], each["severity"]) for each in status["findings"]]
                before = {way: each for way, each in kept.get(name, {}).items() if way in _WAYS}
                kept[name] = {**before, way: [each for each in found if each[0] != _OF_THE_MACHINE]}
                print(f"{name}: {kept[name][way]} ({case.get('rule', '-')})", flush=True)
                if pages:
                    (pages / f"{name}.txt").write_text(status["report"])
            _RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def table(kept: Mapping[str, Any]) -> str:
    """Return what the page says: each program with what was found, then recall and precision of each way."""
    cases = programs()
    lines = ["| program | its fault | found, quiet | found, busy |", "| --- | --- | --- | --- |"]
    sums = {way: [0, 0, 0, 0] for way in _WAYS}
    for case in cases:
        rule, result = case.get("rule", ""), kept.get(case["name"], {"notRun": "not tried"})
        cells = []
        for way in _WAYS:
            found = result.get(way)
            cells.append(_cell(found) if found is not None else result.get("notRun", "not tried"))
            if found is not None:
                hit, told, right = judged(case, found)
                for place, number in enumerate((bool(rule), hit, told, right)):
                    sums[way][place] += number
        lines.append(f"| {case['name']} | {f'`{rule}`' if rule else '-'} | {cells[0]} | {cells[1]} |")
    for way, (faults, hits, told, right) in sums.items():
        lines.append(f"\n{way.capitalize()}: recall {hits} of {faults} faults; precision {right} of {told} warnings.")
    return "\n".join(lines)


def _cell(found: Found) -> str:
    return ", ".join(f"`{each}`" + (" (info)" if severity == "info" else "") for each, severity in found) or "-"


def write() -> None:
    """Put the table into the page."""
    text = _PAGE.read_text()
    made = table(json.loads(_RESULTS.read_text()))
    begin, end = (f"<!-- {word} truth: by tests/bench/findings.py --write -->" for word in ("begin", "end"))
    first, last = text.index(begin) + len(begin), text.index(end)
    _PAGE.write_text(f"{text[:first]}\n\n{made}\n\n{text[last:]}")


def main() -> None:
    """Run the programs, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", action="store_true", help="while each CPU has a program that computes")
    parser.add_argument("--pages", type=Path, help="write the page of each program into this folder")
    parser.add_argument("--write", action="store_true", help="write the tables of docs/findings.md")
    parser.add_argument("names", nargs="*", help="only these programs")
    options = parser.parse_args()
    if options.write:
        write()
        return
    if options.pages:
        options.pages.mkdir(parents=True, exist_ok=True)
    with busy_cpus() if options.busy else contextlib.nullcontext():
        trace(options.names, _WAYS[options.busy], options.pages)
    print(table(json.loads(_RESULTS.read_text())))


if __name__ == "__main__":
    main()
