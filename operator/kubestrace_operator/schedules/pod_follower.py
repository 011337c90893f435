"""Following the pods that a schedule's template means, for what happens to them: over the sessions' own watch."""

import asyncio
import logging
from collections.abc import Callable

from kubestrace_operator.api.spec import Selector, Target
from kubestrace_operator.kube.errors import ClusterError
from kubestrace_operator.kube.pods import PodChanges
from kubestrace_operator.schedules.interfaces import ClusterCalls
from kubestrace_operator.schedules.pod_events import PodEvent, PodEvents
from kubestrace_operator.sessions import targets

_log = logging.getLogger(__name__)


class PodFollower:
    """The pods of one target in one namespace."""

    def __init__(self, cluster: ClusterCalls, namespace: str, target: Target, kinds: tuple[str, ...]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._target = target
        self._events = PodEvents(kinds)

    async def run(self, happened: Callable[[list[PodEvent]], None], retry_seconds: float) -> None:
        """Call `happened` with what happens to the pods; never ends."""
        selector = await self._selector(retry_seconds)
        while True:
            try:
                async for changes in self._cluster.pods(self._namespace):
                    events = self._look(changes, selector)
                    if events:
                        happened(events)
            except ClusterError as error:
                _log.warning("the pods of %s cannot be followed: %s", self._namespace, error)
            await asyncio.sleep(retry_seconds)

    def _look(self, changes: PodChanges, selector: Selector | None) -> list[PodEvent]:
        events = []
        for uid, pod in changes.items():
            if pod is None or not targets.matches(self._target, pod, selector):
                self._events.gone(uid)
            else:
                events += self._events.see(pod, targets.wanted(self._target, pod))
        return events

    async def _selector(self, retry_seconds: float) -> Selector | None:
        """Return the selector of the target's workload as soon as there is one; None without a workload."""
        workload = self._target.workload
        while workload is not None:
            try:
                selector = await self._cluster.workload_selector(self._namespace, workload)
                if selector is not None:
                    return selector
            except ClusterError as error:
                _log.warning("%s %s of %s could not be read: %s", workload.kind, workload.name, self._namespace, error)
            await asyncio.sleep(retry_seconds)
        return None
