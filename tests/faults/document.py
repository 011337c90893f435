"""docs/faults.md out of docs/faults.json: pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Round = Mapping[str, Any]
# What follows it on the page is written by people, and kept.
NOTES = "## What the faults showed\n"

_HEAD = """# Faults

What happens to sessions when parts of kubestrace, of a node or of the control plane fail in the middle. Made by
`{command}` out of `faults.json`, which has every round; the faults are in `tests/faults/faults.py`.

## A round

Two programs, one on each node of the [test rig](../tests/cluster/README.md), make {calls} counted calls in 6 s or more,
and know how many they made. Three sessions trace both: `whole` lasts longer than the programs, `brief` has views and
ends amid them, `deleted` has views and is deleted while the fault holds. The fault comes at a time by the seed, or it
holds already when the sessions are created. When it is over, these must hold:

- each session ends by itself, with a reason that a fault can have, less than half an hour after its start by its dates;
- no count of calls or errors is above what the programs made;
- of `whole`, what is missing is no more than the programs can have made in the spans that `trust.gaps`, `failures`, and
  the session's own start and end tell, with 0.1 s at each end, and without the hours by which a clock is moved;
- `DataComplete` is true exactly if nothing is told;
- the agents have nothing attached, no entry of a container, pod or process in their maps, no more maps and no more
  files than before the run;
- no finished session has a finalizer, and the deleted one is gone.

## The run

Seed {seed}, {rounds} rounds, {minutes} minutes; {verdict}.

"""
_TABLE = """| fault | rounds | calls made | missing | told as missing, s | reasons told | did not hold |
| --- | ---: | ---: | ---: | ---: | --- | ---: |
"""


def render(run: Mapping[str, Any], notes: str, command: str = "tests/faults/run --docs") -> str:
    """Return the page: what was played, what came of it, and what did not hold."""
    rounds: Sequence[Round] = run["rounds"]
    wrong = [each for each in rounds if each["wrong"]]
    head = _HEAD.format(
        command=command,
        calls=f"{rounds[0]['calls_made']:,}" if rounds else 0,
        seed=run["seed"],
        rounds=len(rounds),
        minutes=round(sum(each["seconds"] for each in rounds) / 60),
        verdict=f"in {len(wrong)} of them something did not hold" if wrong else "everything held in all of them",
    )
    return head + _TABLE + "".join(_row(name, rounds) for name in _names(rounds)) + _wrong(wrong) + notes


def _names(rounds: Sequence[Round]) -> list[str]:
    return sorted({each["planned"]["name"] for each in rounds})


def _row(name: str, rounds: Sequence[Round]) -> str:
    own = [each for each in rounds if each["planned"]["name"] == name]
    told = Counter(gap for each in own for gap in each["gaps"])
    cells = (
        name,
        str(len(own)),
        f"{sum(each['calls_made'] for each in own):,}",
        f"{sum(each['calls_missing'] for each in own):,}",
        f"{sum(each['told_seconds'] for each in own):.1f}",
        ", ".join(f"{reason} in {count}" for reason, count in sorted(told.items())),
        str(sum(bool(each["wrong"]) for each in own) or ""),
    )
    return f"| {' | '.join(cells)} |\n"


def _wrong(rounds: Sequence[Round]) -> str:
    if not rounds:
        return "\n"
    lines = [
        f"- round {each['planned']['index']}, {each['planned']['name']}: {line}\n"
        for each in rounds
        for line in each["wrong"]
    ]
    return "\nWhat did not hold:\n\n" + "".join(lines) + "\n"
