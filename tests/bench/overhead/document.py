"""Writes the page about the results: python document.py RESULTS.json PAGE.md."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from goals import judge
from report import percent, times
from results import Results

_TEXT = """# What tracing costs

![Time of the same work as a multiple of the untraced run]({chart})

Made from `{data}` by `tests/bench/overhead/draw`; the figures are those of one run of
`tests/bench/overhead/run --docs`.

## Goals

{goals}

{note}"Two empty programs" are two raw-tracepoint programs on `sys_enter` and `sys_exit` that do nothing: what any
tracer that uses these hooks costs at least, whatever it does with them.

## Figures

Median of {repetitions} repetitions; in brackets the least and the greatest ratio to the untraced run. "x empty": what
the tracer adds as a multiple of what the two empty programs add.

{tables}

What each tracer tells for its price:

{says}

"Seen" is the part of the program's own count of calls that the tracer reported, at worst.{absent}

## Method

- Each repetition runs every workload once under every tracer, in an order that changes. A run is: the workload starts,
  works for {milliseconds} ms untraced, the tracer attaches to it, and the same process works for {milliseconds} ms
  again (services: three times as long). The ratio is that of these two; so whatever else slows the machine slows both.
- Before and after each run a bare loop of getppid is timed: where it takes more than 1.1 times the least that was seen,
  something else disturbs (another's tracer, a busy host), and the run waits or is made anew while the patience of the
  benchmark lasts. {disturbed} of the {runs} runs here ended disturbed. All of it runs at a high priority.
- The traced process is pinned to one CPU, the client of a service to another, tracers run where the kernel puts them.
  The storm has a thread on each CPU.
- The loops and the walk count their own time by batches of 400 calls (by walks), services tell their count of requests
  every 30 ms; the quickest tenth of these is taken: the others hold what else ran on the CPU.
- Each tracer is told to trace one process only (ours: its cgroup), as one would on a busy node. A tracer whose result
  does not hold the calls that the workload made has not been measured, and the run fails or says so.
- `strace --seccomp-bpf` cannot attach, so it starts its target, and it is compared with an untraced run right before.
  It pays where the calls that are made often are not those asked for: it is given file calls only.

## Machine

{machine}

Load average {load_at_start} before and {load_at_end} after the run, which itself makes about 2.

## Run it again

As root on Debian or Ubuntu; it installs what it needs and takes about {minutes} minutes, more on a busy machine:

    tests/bench/overhead/run --docs

Without `--docs` it only prints the table. Quicker, or in part:
`tests/bench/overhead/run --repetitions 3 --workloads getppid,redis --tracers bare,empty,kubestrace`.
"""


_MET = {True: "met", False: "**missed**", None: "not decided: the noise is as great"}


def page(results: Results, data: str) -> str:
    """The whole page."""
    runs = sum(map(len, results.samples.values()))
    return _TEXT.format(
        chart="overhead.svg",
        data=data,
        goals="\n".join(_goals(results)),
        note=f"{results.machine['note']}\n\n" if results.machine["note"] else "",
        repetitions=results.repetitions,
        milliseconds=results.milliseconds,
        tables="\n\n".join(_table(results, workload) for workload in results.workloads),
        says="\n".join(_says(results)),
        absent="".join(_absent(results)),
        machine="\n".join(_machine(results)),
        load_at_start=results.machine["loadAtStart"],
        load_at_end=results.machine["loadAtEnd"],
        runs=runs,
        disturbed=sum(sample.disturbed for samples in results.samples.values() for sample in samples),
        minutes=max(1, round(runs * 2.5 / 60)),
    )


def _goals(results: Results) -> Iterator[str]:
    """Those of the summary: the first of our modes."""
    mode = next(tracer["name"] for tracer in results.tracers if tracer["ours"])
    yield "| goal | measured | |"
    yield "| --- | --- | --- |"
    for goal in judge(results, mode):
        yield f"| {goal.text} | {goal.measured} | {_MET[goal.met]} |"


def _table(results: Results, workload: dict[str, str]) -> str:
    name, unit = workload["name"], workload["unit"]
    lines = [
        f"**{name}**: {workload['says']}\n",
        f"| | µs a {unit} | x untraced | added µs | x empty | throughput lost | seen |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for tracer in results.tracers:
        cost = results.cost(name, tracer["name"])
        if cost:
            low, high = cost.ratio_range
            lines.append(
                f"| {tracer['name']} | {_microseconds(cost.ns)} | {times(cost.ratio)} ({times(low)} to {times(high)}) "
                f"| {_microseconds(cost.added_ns)} | {times(cost.multiple)} | {cost.loss:.1%} | {percent(cost.seen)} |"
            )
    return "\n".join(lines)


def _microseconds(ns: float) -> str:
    return f"{ns / 1e3:,.3f}" if abs(ns) < 1e4 else f"{ns / 1e3:,.1f}"


def _says(results: Results) -> Iterator[str]:
    yield "| tracer | tells |"
    yield "| --- | --- |"
    for tracer in results.tracers:
        yield f"| {tracer['name']} | {tracer['says']} |"


def _absent(results: Results) -> Iterator[str]:
    for (workload, tracer), why in results.absent.items():
        yield f" {tracer} on {workload} is missing: {why}."


def _machine(results: Results) -> Iterator[str]:
    about = results.machine
    yield f"{about['cpus']} CPUs ({about['cpu']}), Linux {about['kernel']}, {about['date']}."
    yield f"Mitigations at work: {about['mitigations']}."
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in about["packages"].items()) + "."


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    found = Results.from_dict(json.loads(source.read_text(encoding="utf-8")))
    target.write_text(page(found, source.name), encoding="utf-8")
