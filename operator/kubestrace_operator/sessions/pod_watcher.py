"""Following the pods of one target: what it means now, each time that changes."""

import asyncio
from collections.abc import Callable, Collection

from kubestrace_operator.api.spec import Selector, Target, Workload
from kubestrace_operator.kube.errors import ClusterError
from kubestrace_operator.kube.pods import PodChanges
from kubestrace_operator.sessions.interfaces import ClusterCalls
from kubestrace_operator.sessions.pod_selection import PodSelection
from kubestrace_operator.sessions.targets import Found

# During a rollout pods change many times a second: those changes are looked at together.
_REST_SECONDS = 0.1


class PodWatcher:
    """A target of one namespace."""

    def __init__(
        self, cluster: ClusterCalls, namespace: str, retry_seconds: float, seen: Callable[[PodChanges], None]
    ) -> None:
        """`retry_seconds` lie between two looks for a workload that is not there; `seen` hears of all pods."""
        # Why the pods are not known yet, as a reason and as a sentence.
        self.missing = ("PodsNotListed", "The pods of this namespace could not be listed yet.")
        # Whether the API server has said what there is, even if that is nothing.
        self.answered = False
        self._cluster = cluster
        self._namespace = namespace
        self._retry_seconds = retry_seconds
        self._seen = seen

    async def run(
        self, target: Target, chosen: Callable[[], Collection[str]], found: Callable[[Found | None], None]
    ) -> None:
        """Call `found` whenever the target means something else; never ends. `chosen` are UIDs of pods that stay.

        Raises RejectedError when the API server does not understand what is asked of it.
        """
        selector = None
        if target.workload is not None:
            selector = await self._workload(target.workload, found)
        selection = PodSelection(target, selector)
        async for changes in self._cluster.pods(self._namespace, failing=lambda error: self._fail(error, found)):
            self._seen(changes)
            if selection.update(changes) or not self.answered:
                self.answered = True
                found(selection.found(chosen()))
            await asyncio.sleep(_REST_SECONDS)

    def _fail(self, error: ClusterError, found: Callable[[Found | None], None]) -> None:
        self.missing = "PodsNotListed", f"The pods of this namespace could not be listed: {error}."
        found(None)

    async def _workload(self, workload: Workload, found: Callable[[Found | None], None]) -> Selector:
        while True:
            try:
                selector = await self._cluster.workload_selector(self._namespace, workload)
                self.answered = selector is None
                if selector is not None:
                    return selector
                self.missing = "NoMatchingPods", f"There is no {workload.kind} named {workload.name} in this namespace."
            except ClusterError as error:
                self.missing = "PodsNotListed", f"{workload.kind} {workload.name} could not be read: {error}."
            found(None)
            await asyncio.sleep(self._retry_seconds)
