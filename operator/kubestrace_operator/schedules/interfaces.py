"""What a schedule depends on, so that its own logic can be run without a cluster."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from kubestrace_operator.api.spec import Selector, Workload
from kubestrace_operator.kube.errors import Listener
from kubestrace_operator.kube.pods import PodChanges
from kubestrace_operator.kube.schedules import ScheduleRow
from kubestrace_operator.kube.session_rows import SessionRow


class ScheduleCalls(Protocol):
    """What is asked of the API server about schedules; kube.schedules.ScheduleObjects does it."""

    async def sessions(self, row: ScheduleRow) -> list[SessionRow]:
        """Return the sessions of a schedule."""
        ...

    async def create_session(self, body: Mapping[str, Any]) -> None:
        """Create a session."""

    async def delete_session(self, row: SessionRow) -> None:
        """Delete a session, whatever it does."""

    async def write_status(self, row: ScheduleRow, status: Mapping[str, Any]) -> None:
        """Replace a schedule's status."""


class ClusterCalls(Protocol):
    """What is asked of it beside; kube.cluster.Cluster does it."""

    def pods(self, namespace: str, *, failing: Listener | None = None) -> AsyncIterator[PodChanges]:
        """Yield a namespace's pods by UID, at first all, then what changed."""
        ...

    async def workload_selector(self, namespace: str, workload: Workload) -> Selector | None:
        """Return a workload's selector; None when there is no such workload."""

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Return a namespace's labels."""
        ...


# Posts an event about a schedule: its row, type, reason, message.
Post = Callable[[ScheduleRow, str, str, str, str], None]
# Says why a namespace with these labels may not be traced; empty when it may.
Refusal = Callable[[str, Mapping[str, str]], str]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Surroundings:
    """Everything around a schedule."""

    objects: ScheduleCalls
    cluster: ClusterCalls
    post: Post
    refusal: Refusal
    now: Callable[[], datetime] = _utc_now
    # Between two attempts after an error, seconds.
    retry_seconds: float = 2.0
