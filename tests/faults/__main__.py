"""Plays a seeded run of faults and writes what came of each: see `tests/faults/run --help`."""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "e2e")]

import document  # noqa: E402
import rounds  # noqa: E402
import schedule  # noqa: E402
from faults import BY_NAME, FAULTS  # noqa: E402
from install import installed  # noqa: E402
from rounds import Outcome  # noqa: E402

_DATA = Path(__file__).parents[2] / "docs/faults.json"
_PAGE = _DATA.with_suffix(".md")


def main() -> int:
    """Play the run; 1 when something did not hold."""
    options = _options()
    if options.render:
        _render()
        return 0
    if options.install:
        installed()
    return _play(options)


def _play(options: argparse.Namespace) -> int:
    faults = [BY_NAME[name] for name in options.only] or FAULTS
    planned = schedule.plan(options.seed, options.count, [fault.bounds for fault in faults])
    end = time.monotonic() + options.minutes * 60
    first, outcomes = rounds.at_first(), []
    for each in planned[options.skip :]:
        if time.monotonic() > end:
            break
        outcomes.append(rounds.play(each, first))
        _say(outcomes[-1])
        if to := _DATA if options.docs else options.to:
            _write(to, options.seed, outcomes)
        if options.docs:
            _render()
    return int(any(outcome.wrong for outcome in outcomes))


def _render() -> None:
    """Write the page out of the data; what people wrote below the tables stays."""
    known = _PAGE.read_text(encoding="utf-8") if _PAGE.exists() else ""
    _, mark, notes = known.partition(document.NOTES)
    page = document.render(json.loads(_DATA.read_text(encoding="utf-8")), mark + notes)
    _PAGE.write_text(page, encoding="utf-8")


def _say(outcome: Outcome) -> None:
    planned = outcome.planned
    when = "before the sessions" if planned.at_start else f"after {planned.delay_seconds} s"
    print(f"{planned.index}: {planned.name} on {planned.node}, {when}, for {planned.hold_seconds} s")
    print(f"  {outcome.calls_missing} of {outcome.calls_made} calls missing, {outcome.told_seconds} s told", end="")
    print(f", {outcome.reasons}, {outcome.gaps}, took {outcome.seconds} s", flush=True)
    for line in outcome.wrong:
        print(f"  WRONG: {line}", flush=True)


def _write(path: Path, seed: int, outcomes: list[Outcome]) -> None:
    document = {"seed": seed, "rounds": [outcome.document() for outcome in outcomes]}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/faults/run", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="chooses the faults, their nodes and times (%(default)s)")
    parser.add_argument("--count", type=int, default=100, help="how many faults (%(default)s)")
    parser.add_argument("--skip", type=int, default=0, help="begin after so many of them")
    parser.add_argument("--minutes", type=float, default=120, help="begin no round after so many (%(default)s)")
    parser.add_argument("--only", nargs="+", default=[], choices=sorted(BY_NAME), metavar="NAME", help="these faults")
    parser.add_argument("--install", action="store_true", help="install the chart of this tree first")
    parser.add_argument("--docs", action="store_true", help="write docs/faults.json and docs/faults.md")
    parser.add_argument("--render", action="store_true", help="only write docs/faults.md out of docs/faults.json")
    parser.add_argument("--to", type=Path, help="write JSON there after each round")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
