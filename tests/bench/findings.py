"""How true findings are: programs that have a fault, and programs that have none.

    python tests/bench/findings.py [NAME...]

Traces the programs of findings.toml in local mode, with the views that rules need, and prints what was found. A fault
is found if its rule is the first or the second finding; a program without one must have no warning. Then recall (faults
that were found) and precision (warnings that were right). Needs root; a program whose tools are not installed is left
out and named. Where the machine is busy cpu-starved is right for any of them, and not counted.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LOCAL = [str(Path(sys.executable).with_name("kubestrace")), "local", "-o", "json", "--until-empty"]
_VIEWS = ["--errors", "--cpu-time", "--files", "--network", "--block-io", "--processes", "--slow", "10"]
_OF_THE_MACHINE = "cpu-starved"
_IMPORTS = "import ctypes, os, resource, socket, threading, time"
_MAKEFILE = "all: $(addsuffix .o,1 2 3 4 5 6)\n%.o:\n\techo 'int main(void){return 0;}' | gcc -x c -O2 -c - -o $@\n"
_SECONDS = 60

Case = Mapping[str, Any]


def command(case: Case, place: Path) -> list[str]:
    """Return the program, in mounts of its own."""
    if "sh" in case:
        text = case["sh"].replace("/repository", f"{place}/repository").replace("/makefile", f"{place}/makefile")
        return ["unshare", "-m", "sh", "-c", text]
    body = "\n ".join(case["python"].strip().splitlines())
    program = (
        f"{_IMPORTS}\n{case.get('before', '').strip()}\nend = time.time() + 3\nwhile time.time() < end:\n {body}\n"
    )
    return ["/usr/bin/python3", "-c", program]


def found(case: Case, place: Path) -> list[tuple[str, str]]:
    """Return rule and severity of what was found, the worst first."""
    done = subprocess.run(
        [*_LOCAL, *_VIEWS, "--", *command(case, place)],
        cwd=tempfile.mkdtemp(dir=place),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_SECONDS,
        check=False,
    )
    # What the program printed stands before the document.
    status = json.loads(done.stdout[done.stdout.index(b"{\n") :])["status"]
    return [(each["id"], each["severity"]) for each in status["findings"] if each["id"] != _OF_THE_MACHINE]


def main() -> None:
    """Run all programs, or those that are named."""
    cases = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["program"]
    hits, faults, right, warnings = 0, 0, 0, 0
    print("| program | its fault | found |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "makefile").write_text(_MAKEFILE)
        clone = ["git", "clone", "-q", str(Path(__file__).parents[2]), str(place / "repository")]
        subprocess.run(clone, check=False, timeout=_SECONDS)
        for case in (each for each in cases if not sys.argv[1:] or each["name"] in sys.argv[1:]):
            if missing := [tool for tool in case.get("tools", ()) if not shutil.which(tool)]:
                print(f"| {case['name']} | not run | {', '.join(missing)} is not installed |")
                continue
            rule, findings = case.get("rule", ""), found(case, place)
            print(f"| {case['name']} | {rule or '-'} | {', '.join(each for each, _ in findings) or '-'} |", flush=True)
            told = [each for each, severity in findings if severity != "info" or each == rule]
            faults, hits = faults + bool(rule), hits + (bool(rule) and rule in [each for each, _ in findings[:2]])
            warnings, right = warnings + len(told), right + told.count(rule)
    print(f"\nrecall: {hits} of {faults} faults; precision: {right} of {warnings} warnings")


if __name__ == "__main__":
    main()
