"""Draws the results: python chart.py RESULTS.json CHART.svg.

A group of bars for each workload, a colour for each tracer.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from results import BARE, IDLE, Results
from tracers import CALLS

OURS = ("#0b6e4f", "#63b995", "#a9dfbf")
# Told apart by those who do not see all colours, too: from light to dark.
OTHERS = ("#c9d3dc", "#f2c14e", "#e58a3c", "#c8553d", "#8f3b76", "#3d348b")
_BAR = 0.11


def is_for_all(results: Results, tracer: dict[str, Any]) -> bool:
    """Whether a tracer was measured on the cheapest call: those of single views are for some workloads alone."""
    return results.cost("getppid", tracer["name"]) is not None


def draw(results: Results, to: Path) -> None:
    """Write the chart: of the workloads that all tracers are for, and of these tracers."""
    tracers = [each for each in results.tracers if each["name"] not in {BARE, IDLE} and is_for_all(results, each)]
    workloads = [each for each in results.workloads if each["name"] in CALLS]
    colours = {True: iter(OURS), False: iter(OTHERS)}
    figure = Figure(figsize=(11, 5))
    axes = figure.subplots()
    for position, tracer in enumerate(tracers):
        costs = [results.cost(workload["name"], tracer["name"]) for workload in workloads]
        shift = (position - (len(tracers) - 1) / 2) * _BAR
        found = [(at + shift, cost) for at, cost in enumerate(costs) if cost]
        ratios = [cost.ratio for _, cost in found]
        errors = [
            [max(0, cost.ratio - cost.ratio_range[0]) for _, cost in found],
            [max(0, cost.ratio_range[1] - cost.ratio) for _, cost in found],
        ]
        # A bar begins at 1: what the bare run takes.
        axes.bar(
            [at for at, _ in found],
            [ratio - 1 for ratio in ratios],
            width=_BAR,
            bottom=1,
            label=tracer["name"] if tracer["name"] != "empty" else "two empty programs",
            color=next(colours[tracer["ours"]]),
            yerr=errors,
            error_kw={"elinewidth": 0.7, "ecolor": "#555555"},
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}x")
    axes.set_ylabel("time of the same work, as a multiple of the untraced run")
    axes.set_xticks(range(len(workloads)), [workload["name"] for workload in workloads])
    axes.axhline(1, color="#333333", linewidth=0.8)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=len(tracers), loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
    figure.tight_layout()
    figure.savefig(to, metadata={"Date": None})


if __name__ == "__main__":
    # The same results give the same file, and words stay words.
    mpl.rcParams.update({"svg.hashsalt": "kubestrace", "svg.fonttype": "none", "font.family": "sans-serif"})
    draw(Results.from_dict(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), Path(sys.argv[2]))
