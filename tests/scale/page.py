"""The page about scale, docs/scale.md."""

from collections.abc import Iterator, Mapping
from typing import Any

from fleet import GROUP_PODS, WHOLE, Size
from goals import table

# Of each session.
_SESSION_SECONDS = 30
# Load for each CPU beyond which others have it.
_BUSY = 4

_TEXT = """# How much it holds

Measured by `python tests/scale/run.py --docs`; all figures are in [scale.json](scale.json).

## Goals

{table}

Machine: {cpus} CPUs, {memory_gib} GiB, Linux {kernel}, Python {python}; load average at the start {load}.{caveats}

## What is real and what is simulated

- Real: the API server and etcd, the operator as one process, TLS and gRPC with the operator's own certificates, and in
  the last row the agent, its BPF programs and the programs that it traces.
- **Simulated**: the nodes and pods (kwok renews each node's lease, writes its status every 5 minutes and lets pods
  run), and in all rows but the last the agents: one process listens for all {agents} of them. They trace nothing. A
  report has 60 to 300 rows for a container, each with a histogram of 20 buckets and an errno, and its counts grow, so
  that a result that lacks a report is wrong and is found.
- Everything shares one machine: the API server, etcd, kwok, the agents' process, the client that creates the sessions,
  and the operator. In a cluster the operator has a core of its own, and each agent a node of its own. So latencies here
  are an upper bound for the operator's part and say nothing about a slow network.

## How it is measured

- Latencies are those of a client that watches all sessions: from the moment at which it begins to create a session to
  the event that says Tracing, and from the end of the session's time to the event with its final status.
- Memory is the operator's resident memory, looked at every half second. Writes are the operator's requests other than
  GET, as its own metrics count them.
- In the row with an operator that is killed (SIGKILL), the agents say when the next operator follows each of their
  traces. Afterwards each result is compared with what the agents have counted.
- Writes do not count those that renew the operator's Lease, one every 2 s whatever there is to do.
- A changed pod is made, runs and is deleted 5 s later, which are three changes, in the namespaces whose pods are
  traced.

Each row takes, in seconds: {seconds}; nodes and pods are made within {made} s before.
`--only ROW` measures one row anew, and `--agents`, `--pods` and `--sessions` change the size.

## Where this machine ended

{ended}
"""


def page(results: Mapping[str, Any]) -> str:
    """Return the whole page."""
    machine, done = results["machine"], results["rows"]
    return _TEXT.format(
        table=table(results),
        **{name: machine[name] for name in ("cpus", "memory_gib", "kernel", "python")},
        load=machine["load_at_start"][0],
        caveats="".join(f"\n\n{each}" for each in _caveats(results)),
        agents=results["size"]["agents"],
        seconds=", ".join(f"{name} {figures['row_seconds']}" for name, figures in done.items()),
        made=results.get("made_within_seconds", "?"),
        ended=_ended(results),
    )


def _caveats(results: Mapping[str, Any]) -> Iterator[str]:
    """Say what keeps the figures from being those of the goals."""
    size = Size(**results["size"])
    if size != WHOLE:
        yield (
            f"**Measured at a smaller size** than the goals mean: {size.agents:,} of {WHOLE.agents:,} agents,"
            f" {size.pods:,} of {WHOLE.pods:,} pods, {size.sessions:,} of {WHOLE.sessions:,} sessions."
        )
    cpus = results["machine"]["cpus"]
    most = max((figures["load"][0] for figures in results["rows"].values() if "load" in figures), default=0)
    if most > _BUSY * cpus:
        yield (
            f"**The machine was busy with other work**: its load average was up to {most} on {cpus} CPUs. Latencies"
            " are then those of a process that waits for a CPU."
        )


def _ended(results: Mapping[str, Any]) -> str:
    """Say how far the load could go on, from the CPU time of the operator and of all others that share the machine."""
    figures = next(
        (each for name in ("sessions", "half") if (each := results["rows"].get(name)) and "failed" in each), None
    )
    if figures is None:
        return "The row with many sessions was not measured."
    count, cpu, cpus = figures["sessions"], figures["operator_cpu_seconds"], results["machine"]["cpus"]
    of_all = figures["cpu_seconds_of"]
    seconds = figures["created_within_seconds"] + _SESSION_SECONDS
    shares = ", ".join(f"{name} {used:.0f}" for name, used in of_all.items())
    return (
        f"The {count:,} sessions took {sum(of_all.values()):.0f} s of CPU in all: {shares}. They come and go within"
        f" {seconds:.0f} s, in which {cpus} CPUs have {cpus * seconds:.0f}.\n\n"
        f"The operator's event loop is one thread. It took {1000 * cpu / count:.0f} ms for each session of {GROUP_PODS}"
        f" nodes. At that a core is full with about {60 * count / cpu:,.0f} such sessions a minute; that is"
        " extrapolated, not measured, and latencies grow before it is reached."
    )
