"""Following the pods of one target: what it means now, each time that changes."""

import asyncio
from collections.abc import Callable, Collection

from kubestrace_operator.api.spec import Selector, Target, Workload
from kubestrace_operator.kube.errors import ClusterError
from kubestrace_operator.sessions import targets
from kubestrace_operator.sessions.interfaces import ClusterCalls
from kubestrace_operator.sessions.targets import Found


class PodFollower:
    """A target of one namespace."""

    def __init__(self, cluster: ClusterCalls, namespace: str, retry_seconds: float) -> None:
        """`retry_seconds` lie between two looks for a workload that is not there."""
        # Why there is nothing to follow yet.
        self.missing = "The pods of this namespace could not be listed yet."
        # Whether the API server has said what there is, even if that is nothing.
        self.answered = False
        self._cluster = cluster
        self._namespace = namespace
        self._retry_seconds = retry_seconds

    async def run(
        self, target: Target, chosen: Callable[[], Collection[str]], found: Callable[[Found | None], None]
    ) -> None:
        """Call `found` whenever the target means something else; never ends. `chosen` are UIDs of pods that stay."""
        selector = target.selector
        if target.workload is not None:
            selector = await self._workload(target.workload, found)
        labels = selector.query() if selector is not None else None
        # Raises RejectedError when the API server does not understand the target, however it was checked before.
        listed = self._cluster.pods(
            self._namespace, labels=labels or None, name=target.pod_name, failing=lambda error: self._fail(error, found)
        )
        async for pods in listed:
            self.answered = True
            found(targets.find(target, pods, workload_selector=selector, chosen=chosen()))

    def _fail(self, error: ClusterError, found: Callable[[Found | None], None]) -> None:
        self.missing = f"The pods of this namespace could not be listed: {error}."
        found(None)

    async def _workload(self, workload: Workload, found: Callable[[Found | None], None]) -> Selector:
        while True:
            try:
                selector = await self._cluster.workload_selector(self._namespace, workload)
                self.answered = selector is None
                if selector is not None:
                    return selector
                self.missing = f"There is no {workload.kind} named {workload.name} in this namespace."
            except ClusterError as error:
                self.missing = f"{workload.kind} {workload.name} could not be read: {error}."
            found(None)
            await asyncio.sleep(self._retry_seconds)
