"""What tracing by us may cost, and whether it did."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from results import BARE, EMPTY, IDLE, Results

# Two bare runs of one process differ by so much on a machine that does nothing else.
_NOISE = 0.01
_ALL, _RIVAL = "kubestrace + all views", "syscount -L"


@dataclass(frozen=True)
class Goal:
    """One goal: its words, what was measured, and whether that is within; None: the run was too noisy to tell."""

    text: str
    measured: str
    met: bool | None


def judge(results: Results, mode: str) -> Iterator[Goal]:
    """The goals of one mode of ours that this run has figures for."""
    yield from _multiple(results, mode, "getppid", 2.5, "a traced loop of getppid")
    yield from _multiple(results, mode, "neighbour", 1.2, "a neighbour that is not traced")
    for workload in results.workloads:
        yield from _below_peers(results, mode, workload["name"])
    for name in ("redis", "nginx"):
        yield from _loss(results, mode, name)
    for peer in results.tracers:
        yield from _below_one(results, peer)
    yield from _all_views(results)
    yield from _idle(results)


def _below_one(results: Results, peer: dict[str, Any]) -> Iterator[Goal]:
    """A view against a tool that answers a part of what it does."""
    view = peer.get("beside", "")
    for workload in results.workloads if view else ():
        theirs, bare = results.cost(workload["name"], peer["name"]), results.cost(workload["name"], BARE)
        ours = results.cost(workload["name"], view)
        if ours and theirs and bare:
            measured = f"{ours.ratio:.2f} times bare, {theirs.ratio:.2f} with {peer['name']}"
            clear = abs(ours.ratio - theirs.ratio) > abs(bare.ratio - 1)
            yield Goal(
                f"{workload['name']}: {view} costs less than {peer['name']}",
                measured,
                ours.ratio < theirs.ratio if clear else None,
            )


def _all_views(results: Results) -> Iterator[Goal]:
    ours, theirs = results.cost("nginx", _ALL), results.cost("nginx", _RIVAL)
    bare = results.cost("nginx", BARE)
    if ours and theirs and bare:
        text = f"nginx: all views lose at most 1.5 times the requests a second that {_RIVAL} loses"
        clear = theirs.loss > 2 * abs(bare.loss)
        yield Goal(
            text, f"{ours.loss:.1%}, against {theirs.loss:.1%}", ours.loss <= 1.5 * theirs.loss if clear else None
        )


def _multiple(results: Results, mode: str, workload: str, most: float, words: str) -> Iterator[Goal]:
    cost = results.cost(workload, mode)
    if cost and cost.multiple is not None:
        text = f"{words}: adds at most {most} times what two empty programs add"
        yield Goal(text, f"{cost.multiple:.2f} times ({cost.added_ns:,.0f} ns a call)", cost.multiple <= most)


def _below_peers(results: Results, mode: str, workload: str) -> Iterator[Goal]:
    ours = results.cost(workload, mode)
    if not ours:
        return
    peers = {
        peer["name"]: cost.ratio
        for peer in results.tracers
        if peer["latency"] and not peer["ours"] and (cost := results.cost(workload, peer["name"]))
    }
    if peers and workload != "neighbour":
        cheapest = min(peers, key=lambda name: peers[name])
        measured = f"{ours.ratio:.2f} times bare; the cheapest, {cheapest}, {peers[cheapest]:.2f}"
        bare = results.cost(workload, BARE)
        clear = bare and abs(ours.ratio - peers[cheapest]) > abs(bare.ratio - 1)
        met = ours.ratio < peers[cheapest] if clear else None
        yield Goal(f"{workload}: cheaper than all others that measure time", measured, met)


def _loss(results: Results, mode: str, workload: str) -> Iterator[Goal]:
    cost, floor = results.cost(workload, mode), results.cost(workload, EMPTY)
    bare = results.cost(workload, BARE)
    if cost and floor and bare:
        text = f"{workload}: loses at most 1.5 times the requests a second that two empty programs lose"
        measured = f"{cost.loss:.1%}, against {floor.loss:.1%}; bare itself, measured twice, differs by {bare.loss:.1%}"
        # A floor that cannot be told from none is no measure.
        clear = floor.loss > 2 * abs(bare.loss) and cost.multiple_of_loss is not None
        yield Goal(text, measured, cost.multiple_of_loss <= 1.5 if clear else None)


def _idle(results: Results) -> Iterator[Goal]:
    """Nothing is attached, which hold.py makes sure of: what is measured is no more than the benchmark's own noise."""
    idle, bare = results.cost("getppid", IDLE), results.cost("getppid", BARE)
    if idle and bare:
        text = "when no trace runs: nothing attached, nothing added"
        low, high = bare.ratio_range
        measured = f"{idle.ratio:.3f} times bare; bare itself, measured twice, {low:.3f} to {high:.3f}"
        yield Goal(text, measured, idle.ratio <= max(high, 1 + _NOISE))
