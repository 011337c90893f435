"""What the agent shows Prometheus of itself: the agent's only user of prometheus-client, imported only when asked for.

Everything is read at each request and kept nowhere. No label holds the name of a session, a pod, a container or a
node: labels are the agent's own words, views, and versions.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from kubestrace_agent.kernel import usage
from kubestrace_agent.service.http import NOT_FOUND, Answer, Listener
from kubestrace_protos.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from kubestrace_agent.service.tallies import Tallies

_PREFIX = "kubestrace_agent"
# Words of a container runtime or a kernel stand in none of them; a fault of ours must not make thousands of series.
_MOST_VALUES = 50


@dataclass(frozen=True)
class Sources:
    """Where numbers come from, asked at each request."""

    description: agent_pb2.DescribeResponse
    tallies: Tallies
    # Traces, and containers that they count, now.
    standing: Callable[[], tuple[int, int]]
    # Failed calls of the container runtime by gRPC code.
    runtime_errors: Callable[[], Mapping[str, int]]
    # The part of each loaded program, by file descriptor.
    programs: Callable[[], Mapping[int, str]]
    # Reads of the kernel's lists of tasks that failed.
    walk_failures: Callable[[], int]
    # The most traces and containers at a time.
    max_traces: int
    max_containers: int


class Metrics(Listener):
    """Serves `GET /metrics` on a port of its own: a scraper reaches nothing else."""

    def __init__(self, sources: Sources) -> None:
        super().__init__(self._metrics)
        self.registry = CollectorRegistry()
        # CPU seconds, memory and open files of this process.
        ProcessCollector(registry=self.registry)
        self.registry.register(_Numbers(sources))

    async def _metrics(self, path: bytes) -> Answer:
        if path.partition(b"?")[0] != b"/metrics":
            return NOT_FOUND
        # Beside the event loop: some hundred small files are read.
        return Answer("200 OK", await asyncio.to_thread(generate_latest, self.registry), CONTENT_TYPE_LATEST)


class _Numbers(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry then asks nobody when it is made."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Return the numbers as of now."""
        yield from _ability(self._sources.description)
        yield from _work(self._sources)
        yield from _troubles(self._sources)
        yield from _kernel(usage.read(self._sources.programs()))


def _ability(node: agent_pb2.DescribeResponse) -> Iterator[Metric]:
    mode = agent_pb2.CgroupMode.Name(node.cgroup_mode).removeprefix("CGROUP_MODE_").lower()
    facts = {
        "version": node.agent_version,
        "kernel": node.kernel_release,
        "architecture": node.architecture,
        "cgroup_mode": mode,
    }
    yield InfoMetricFamily(_PREFIX, "The agent's version, and its node's kernel.", facts)
    can = GaugeMetricFamily(f"{_PREFIX}_can_trace", "1: this node can trace; 0: it cannot.", labels=["reason"])
    can.add_metric([node.reason], float(node.can_trace))
    yield can
    views = GaugeMetricFamily(f"{_PREFIX}_view_available", "1: this node can serve the view; 0: not.", labels=["view"])
    for view in node.views:
        views.add_metric([view.name], float(node.can_trace and view.available))
    yield views


def _work(sources: Sources) -> Iterator[Metric]:
    traces, containers = sources.standing()
    tallies = sources.tallies
    yield _gauge("traces", "Traces that run now.", traces)
    yield _gauge("containers", "Containers that traces count now; one of several traces counts once.", containers)
    yield _gauge("max_traces", "The most traces at a time.", sources.max_traces)
    yield _gauge("max_containers", "The most containers at a time.", sources.max_containers)
    yield _counters("reports", "Reports that were sent: interim or final.", "kind", tallies.reports)
    yield _counter(
        "reports_late", "Reports sent more than two intervals and a second after the one before.", tallies.reports_late
    )
    yield _counter(
        "reports_lost", "Final reports that nobody had fetched when they were dropped.", tallies.reports_lost
    )
    yield _counter(
        "reports_failed", "Final reports without counts, as those could not be read.", tallies.reports_failed
    )
    yield _counters("traces_ended", "Traces that have ended, by why.", "reason", tallies.traces_ended)


def _troubles(sources: Sources) -> Iterator[Metric]:
    tallies = sources.tallies
    yield _counters(
        "requests_refused",
        "Requests that were refused, by why: caps reached, wrong requests.",
        "reason",
        tallies.refused,
    )
    yield _counter("strangers_refused", "Calls without the operator's certificate.", tallies.strangers)
    yield _counters(
        "containers_failed",
        "Containers that were asked for and could not be counted, by why.",
        "reason",
        tallies.containers_failed,
    )
    yield _counters(
        "runtime_errors",
        "Questions that the container runtime did not answer, by gRPC code.",
        "code",
        sources.runtime_errors(),
    )
    yield _counter("task_walk_failures", "Reads of the kernel's lists of tasks that failed.", sources.walk_failures())


def _kernel(used: usage.Usage) -> Iterator[Metric]:
    yield _gauge("bpf_maps", "Maps in the kernel.", used.maps)
    yield _gauge("bpf_map_bytes", "Kernel memory of the maps, as the kernel accounts for it.", used.map_bytes)
    yield _gauge("bpf_program_bytes", "Kernel memory of the programs.", used.program_bytes)
    yield _gauge("bpf_programs_attached", "Programs that are attached now; 0 while nothing is traced.", used.links)
    yield _gauge("bpf_stats_enabled", "1: the node has kernel.bpf_stats_enabled on.", used.stats_enabled)
    parts = used.programs.items()
    yield _gauges("bpf_programs", "Loaded programs by part.", "part", {part: use.loaded for part, use in parts})
    yield _counters(
        "bpf_runs_skipped",
        "Runs that the kernel left out, as the program ran on that CPU already.",
        "part",
        {part: use.skipped for part, use in parts},
    )
    if used.has_run_times:
        yield _counters(
            "bpf_run_seconds",
            "Time in programs, of those that they call too; needs bpf_stats_enabled.",
            "part",
            {part: use.run_ns / 1e9 for part, use in parts},
        )
        yield _counters(
            "bpf_runs", "Runs of programs; needs bpf_stats_enabled.", "part", {part: use.runs for part, use in parts}
        )


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", help_text, value=float(value))


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"{_PREFIX}_{name}", help_text, value=value)


def _gauges(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", help_text, labels=[label])
    for word, value in sorted(values.items()):
        family.add_metric([word], value)
    return family


def _counters(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"{_PREFIX}_{name}", help_text, labels=[label])
    # A copy: the event loop counts on meanwhile.
    known = dict(values)
    for word in sorted(known)[:_MOST_VALUES]:
        family.add_metric([word], known[word])
    return family
