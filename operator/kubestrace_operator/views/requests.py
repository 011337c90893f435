"""What a spec's views come to: the part of the agents' request, and the buckets of the timeline."""

from kubestrace_operator.api.spec import TraceSpec, Views
from kubestrace_operator.views.timelines import Grid
from kubestrace_protos.v1 import agent_pb2


def request(spec: TraceSpec, elapsed_seconds: float) -> agent_pb2.Views:
    """Return what an agent is asked for that begins so long after the session's start."""
    views = collected(spec.views)
    if spec.views.timeline is not None:
        views.timeline.buckets = spec.views.timeline
        views.timeline.duration_milliseconds = 1000 * spec.duration_seconds
        views.timeline.elapsed_milliseconds = int(1000 * elapsed_seconds)
    return views


def collected(wanted: Views) -> agent_pb2.Views:
    """Return the views that the kernel tells beside the counts: all but the timeline."""
    views = agent_pb2.Views()
    if wanted.cpu_time:
        views.cpu_time.SetInParent()
    slow = wanted.slow_calls
    if slow is not None:
        views.slow_calls.threshold_nanoseconds = 1_000_000 * slow.threshold_milliseconds
        views.slow_calls.limit = slow.limit
        views.slow_calls.stacks = slow.stacks
    if wanted.processes is not None:
        views.processes.top = wanted.processes
    if wanted.errors is not None:
        views.errors.samples = wanted.errors
    return views


def grid(spec: TraceSpec) -> Grid | None:
    """Return the buckets of the session; None where its spec has no timeline."""
    if spec.views.timeline is None:
        return None
    return Grid(spec.views.timeline, 1_000_000_000 * spec.duration_seconds)
