"""Fuzzes all targets for a time, see tests/fuzz/run."""

import argparse
import faulthandler
import logging
import sys
import time
import traceback

import agent_targets
import operator_targets
from fuzzing import Target, run

# One run of hypothesis: it begins anew afterwards, with another seed.
_EXAMPLES = 100
# Of one run; an example that never ends is found by its stack.
_MOST_SECONDS = 900
TARGETS = (*agent_targets.TARGETS, *operator_targets.TARGETS)


def main() -> int:
    """Run what the command line asks for; 1: something fell."""
    parser = argparse.ArgumentParser(description="Fuzz every parser of foreign input.")
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together [10]")
    parser.add_argument("--seed", type=int, default=1, help="where to begin; a failure tells its own [1]")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only targets with one of these in their names")
    given = parser.parse_args()
    chosen = [each for each in TARGETS if not given.words or any(word in each.name for word in given.words)]
    if not chosen:
        parser.error(f"no target has {' or '.join(given.words)} in its name; there are {_listed()}")
    # What is refused is logged, thousands of times.
    logging.disable()
    fallen = [each.name for each in chosen if not _survives(each, 60 * given.minutes / len(chosen), given.seed)]
    print(f"{len(chosen)} targets, {len(fallen)} fell{': ' + ', '.join(fallen) if fallen else ''}")
    return 1 if fallen else 0


def _survives(target: Target, seconds: float, number: int) -> bool:
    begun, runs = time.monotonic(), 0
    while runs == 0 or time.monotonic() - begun < seconds:
        faulthandler.dump_traceback_later(_MOST_SECONDS, exit=True)
        try:
            run(target, _EXAMPLES, number + runs)
        except Exception:  # noqa: BLE001 -- whatever it is, it was found
            print(f"{target.name}: fell with --seed {number + runs}", file=sys.stderr)
            traceback.print_exc()
            return False
        finally:
            faulthandler.cancel_dump_traceback_later()
        runs += 1
    print(f"{target.name}: {runs * _EXAMPLES} examples in {time.monotonic() - begun:.0f} s", flush=True)
    return True


def _listed() -> str:
    return "; ".join(each.name for each in TARGETS)


if __name__ == "__main__":
    sys.exit(main())
