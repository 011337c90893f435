"""Measures what tracers cost their target: the script `run` installs what it needs and starts it.

In each repetition every workload runs once under every tracer, in an order that changes with the repetition; each run
is compared with a bare one of the same process right before it.
"""

import argparse
import dataclasses
import functools
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import machine
import report
from attaching import TracerError, attached
from calm import Calm, watching
from results import Results, Sample
from services import nginx, redis
from tracers import CALLS, TRACERS, Target, Tracer
from workloads import (
    Workload,
    blocks,
    connecting_neighbour,
    connections,
    getppid,
    neighbour,
    paths,
    read,
    storm,
    tree,
)

WORKLOADS = (
    Workload("getppid", "call", "a loop of getppid", getppid),
    Workload("read", "call", "a loop of 1-byte reads of /dev/zero", read),
    Workload("tree", "walk", "a walk over 2,000 files in Python", tree),
    Workload("storm", "call", "four kinds of cheap calls by a thread on each CPU", storm),
    Workload("redis", "request", "redis-server: GET by redis-benchmark", redis, needs=("redis-server",)),
    Workload("nginx", "request", "nginx with one worker: a small file by wrk", nginx, needs=("nginx", "wrk")),
    Workload("neighbour", "call", "a loop of getppid beside a traced process that sleeps", neighbour, traced=False),
    Workload("paths", "call", "stat, open, read of a byte and close of 50 files by their whole paths", paths),
    Workload("connections", "connection", "connect, accept and close over loopback, both ends", connections),
    Workload("blocks", "read", "reads of 4 KiB past the page cache", blocks),
    Workload(
        "connecting neighbour",
        "connection",
        "connections as above beside a traced process that sleeps",
        connecting_neighbour,
        traced=False,
    ),
)
# Of what a tracer should have seen; those that poll buffers may lose some, which the result then says.
_LEAST_SEEN = 0.5


def main() -> None:
    """Measure, print the table, write the results."""
    arguments = _arguments()
    tracers = [tracer for tracer in TRACERS if tracer.name in arguments.tracers]
    workloads = [workload for workload in WORKLOADS if workload.name in arguments.workloads]
    results = Results.of(workloads, tracers, arguments.repetitions, arguments.milliseconds, machine.describe())
    with (
        tempfile.TemporaryDirectory(prefix="kubestrace-overhead-") as folder,
        machine.favoured(),
        watching(Path(folder), arguments.patience) as calm,
    ):
        for repetition in range(arguments.repetitions):
            calm.refill()
            for workload in workloads:
                # The same order each time would give each tracer the same predecessor.
                meant = [tracer for tracer in tracers if workload.name in (tracer.on or CALLS)]
                order = random.Random(f"{repetition} {workload.name}").sample(meant, len(meant))  # noqa: S311
                _repeat(workload, order, Path(folder), results, calm)
            print(f"repetition {repetition + 1} of {arguments.repetitions}", file=sys.stderr, flush=True)
    results.machine["note"] = arguments.note
    results.machine["loadAtEnd"] = machine.load()
    print(report.table(results))
    if arguments.to:
        arguments.to.write_text(json.dumps(results.to_dict(), indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--milliseconds", type=int, default=400, help="of one run; services thrice as long")
    parser.add_argument(
        "--patience", type=float, default=45, help="seconds of a repetition to wait for moments without disturbance"
    )
    parser.add_argument("--workloads", type=_names, default=[workload.name for workload in WORKLOADS])
    parser.add_argument("--tracers", type=_names, default=[tracer.name for tracer in TRACERS])
    parser.add_argument("--to", type=Path, metavar="FILE.json", help="write the results here")
    parser.add_argument("--note", default="", help="what a reader of the page should know about this run")
    return parser.parse_args()


def _names(words: str) -> list[str]:
    return words.split(",")


def _repeat(workload: Workload, tracers: Sequence[Tracer], folder: Path, results: Results, calm: Calm) -> None:
    """Run each tracer once. One that cannot work here is left out from then on, with its reason."""
    for tracer in tracers:
        if (workload.name, tracer.name) in results.absent:
            continue
        run = functools.partial(_measure, workload, tracer, folder, results.milliseconds)
        try:
            _find(*tracer.needs, *workload.needs)
            results.add(workload.name, tracer.name, _undisturbed(calm, run))
        except TracerError as error:
            if not tracer.needs or tracer.ours:
                raise
            results.absent[workload.name, tracer.name] = str(error)
            print(f"{tracer.name} on {workload.name}: {error}", file=sys.stderr)


def _undisturbed(calm: Calm, measure: Callable[[], Sample]) -> Sample:
    """Measure in a calm moment; once more when something disturbed in the meantime, as long as patience lasts."""
    while True:
        calm.wait()
        begin = time.monotonic()
        sample = measure()
        if calm.now():
            return sample
        if not calm.patient:
            return dataclasses.replace(sample, disturbed=True)
        calm.spend(time.monotonic() - begin)


def _find(*tools: str) -> None:
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise TracerError(f"{', '.join(missing)} not found")


def _measure(workload: Workload, tracer: Tracer, folder: Path, milliseconds: int) -> Sample:
    """One run of a workload: bare, and then under a tracer. Raises TracerError."""
    if tracer.starts_target:
        return _measure_started(workload, tracer, folder, milliseconds)
    with workload.start(folder, []) as running:
        bare = running.work(milliseconds)
        with attached(tracer, running.target) as output:
            done = running.work(milliseconds)
        told = output()
    return Sample(done.ns, bare.ns, _seen(workload, tracer, told, done.calls))


def _measure_started(workload: Workload, tracer: Tracer, folder: Path, milliseconds: int) -> Sample:
    """For a tracer that starts its target: two runs, one right after the other."""
    assert tracer.command
    with workload.start(folder, []) as running:
        bare = running.work(milliseconds)
    with workload.start(folder, tracer.command(Target(0, Path(), folder))) as running:
        done = running.work(milliseconds)
    return Sample(done.ns, bare.ns, None)


def _seen(workload: Workload, tracer: Tracer, told: str, calls: int) -> float | None:
    """The part of the calls that the tracer saw. Raises TracerError: one that saw too few has measured nothing."""
    if not tracer.seen or not workload.traced:
        return None
    seen = tracer.seen(told)
    if seen == 0 or seen < calls * (1 if tracer.ours else _LEAST_SEEN):
        raise TracerError(f"saw {seen} of {calls or 'many'} calls")
    return min(1.0, seen / calls) if calls else None


if __name__ == "__main__":
    main()
