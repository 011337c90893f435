"""The views, one line each, and what a spec's choice of them comes to: requests, results, losses. Pure.

In the order in which their parts stand in the status.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.rows import container_key
from kubestrace_operator.views.block_io import BlockIO
from kubestrace_operator.views.callers import Callers
from kubestrace_operator.views.counters import ThreadCounters
from kubestrace_operator.views.cpu_time import CpuTime
from kubestrace_operator.views.errors import Errors
from kubestrace_operator.views.files import Files
from kubestrace_operator.views.io_uring import IOUring
from kubestrace_operator.views.locks import Locks
from kubestrace_operator.views.memory import MemoryView
from kubestrace_operator.views.network import Network
from kubestrace_operator.views.processes import Processes
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.resources import Resources
from kubestrace_operator.views.security import Security
from kubestrace_operator.views.slow_calls import SlowCalls
from kubestrace_operator.views.timeline import Timeline
from kubestrace_operator.views.view import ContainerResult, Loss, Span, View
from kubestrace_protos.v1 import agent_pb2

VIEWS: tuple[View[Any, Any, Any], ...] = (
    Resources(),
    CpuTime(),
    SlowCalls(),
    Processes(),
    Errors(),
    Timeline(),
    BlockIO(),
    IOUring(),
    Files(),
    Network(),
    ThreadCounters(),
    MemoryView(),
    Locks(),
    Callers(),
    Security(),
)

# Those that spec.views may name.
CHOOSABLE = tuple(view for view in VIEWS if not view.always)


def in_profile(profile: Profile) -> tuple[View[Any, Any, Any], ...]:
    """Return the views that a profile turns on."""
    return tuple(view for view in CHOOSABLE if profile == Profile.EVERYTHING or profile in view.profiles)


# Those that spec.profile may name; not one whose views do not exist yet, which would be OVERVIEW by another name.
PROFILES = tuple(
    profile for profile in Profile if profile == Profile.OVERVIEW or in_profile(profile) != in_profile(Profile.OVERVIEW)
)

# The settings of each view that is on, by its name.
Chosen = Mapping[str, Any]


def chosen(settings: Chosen) -> Iterator[tuple[View[Any, Any, Any], Any]]:
    """Yield each view that is on, with its settings."""
    return ((view, settings.get(view.name)) for view in VIEWS if view.always or view.name in settings)


def names(settings: Chosen) -> list[str]:
    """Return the names of the views that are on, of those that may be off."""
    return [view.name for view in CHOOSABLE if view.name in settings]


def overrides(profile: Profile, settings: Chosen, duration_seconds: int) -> dict[str, dict[str, Any]]:
    """Return what a spec with this profile says in `views`, so that these settings come of it."""
    found = {}
    of_profile = in_profile(profile)
    for view in CHOOSABLE:
        if view.name not in settings:
            if view in of_profile:
                found[view.name] = {"enabled": False}
        elif view not in of_profile or settings[view.name] != view.parse(_nothing(view), duration_seconds):
            found[view.name] = view.spec(settings[view.name])
    return found


def _nothing(view: View[Any, Any, Any]) -> Fields:
    return Fields(None, f"spec.views.{view.name}", view.fields)


def requests(settings: Chosen, span: Span) -> dict[str, Packed]:
    """Return what an agent is asked for, by the view's name."""
    packed = {}
    buckets = max(view.buckets(wanted) for view, wanted in chosen(settings))
    span = replace(span, buckets=buckets)
    for view, wanted in chosen(settings):
        packed[view.name] = Packed()
        packed[view.name].Pack(view.request(wanted, span))
    return packed


def losses(settings: Chosen) -> list[Loss]:
    """Return the losses of all views that are on."""
    return [loss for view, wanted in chosen(settings) for loss in view.losses(wanted)]


def from_report(report: agent_pb2.Report) -> dict[str, Any]:
    """Return the merged results of each view that the report has, by the view's name."""
    found = {view: list(_results(view, report)) for view in VIEWS}
    return {view.name: view.merge(results) for view, results in found.items() if results}


def add(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sum of any number of such results."""
    parts = list(parts)
    of_views = {view: [part[view.name] for part in parts if view.name in part] for view in VIEWS}
    return {view.name: view.add(given) for view, given in of_views.items() if given}


def _results(view: View[Any, Any, Any], report: agent_pb2.Report) -> Iterator[ContainerResult[Any]]:
    for each in report.containers:
        message = unpacked(view, each)
        if message is not None:
            container = each.state.container
            yield ContainerResult(container_key(report.node, container), container, message)


def unpacked(view: View[Any, Any, Any], report: agent_pb2.ContainerReport) -> Any | None:
    """Return a container's result for a view; None where there is none that can be read."""
    if view.name not in report.views:
        return None
    message = view.result_type()
    try:
        return message if report.views[view.name].Unpack(message) else None
    except DecodeError:
        return None
