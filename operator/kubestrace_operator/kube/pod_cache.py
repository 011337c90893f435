"""The pods of namespaces in which sessions run: one list and one watch for each, whoever follows them."""

import asyncio
import logging
from collections.abc import AsyncIterator

from kubestrace_operator.kube import pods as pod_objects
from kubestrace_operator.kube.api_client import ApiServer
from kubestrace_operator.kube.errors import ClusterError, Listener, RejectedError
from kubestrace_operator.kube.pods import Pod, PodChanges
from kubestrace_operator.kube.watches import Collection, Trimmed

_log = logging.getLogger(__name__)
# A page of whole pods is some megabytes, which is gone once the pods are trimmed.
PAGE = 250
# Sessions often come one after the other.
LINGER_SECONDS = 30.0


class PodCache:
    """The pods of any number of namespaces."""

    def __init__(self, server: ApiServer, linger_seconds: float = LINGER_SECONDS) -> None:
        """`linger_seconds` is how long a namespace is kept that nobody follows."""
        self._server = server
        self._linger_seconds = linger_seconds
        self._feeds: dict[str, _Feed] = {}

    async def follow(self, namespace: str, failing: Listener | None = None) -> AsyncIterator[PodChanges]:
        """Yield the pods of a namespace by UID, at first all of them and then those that changed; never ends.

        `failing` is called with each error after which the list is tried again. Raises RejectedError.
        """
        feed = self._feeds.get(namespace)
        if feed is None or feed.error is not None:
            path = f"/api/v1/namespaces/{namespace}/pods"
            feed = _Feed(Collection(self._server, path, Trimmed(pod_objects.trimmed), {}, PAGE))
            self._feeds[namespace] = feed
        follower = feed.join(failing)
        try:
            while True:
                yield await follower.take()
        finally:
            feed.leave(follower)
            if feed.idle:
                asyncio.get_running_loop().call_later(self._linger_seconds, self._close_idle, namespace, feed)

    def close(self) -> None:
        """Stop all watches."""
        for feed in self._feeds.values():
            feed.close()
        self._feeds.clear()

    def _close_idle(self, namespace: str, feed: "_Feed") -> None:
        if feed.idle:
            feed.close()
            if self._feeds.get(namespace) is feed:
                del self._feeds[namespace]


class _Follower:
    """One who follows a namespace, and what it has not seen yet."""

    def __init__(self, failing: Listener | None) -> None:
        self.failing = failing
        self.error: RejectedError | None = None
        self.pending: dict[str, Pod | None] = {}
        self.wake = asyncio.Event()

    async def take(self) -> PodChanges:
        """Return what changed since the last time. Raises RejectedError."""
        await self.wake.wait()
        self.wake.clear()
        if self.error is not None:
            raise self.error
        taken, self.pending = self.pending, {}
        return taken


class _Feed:
    """One namespace."""

    def __init__(self, collection: Collection[Pod]) -> None:
        self.error: RejectedError | None = None
        self._known: dict[str, Pod] = {}
        self._listed = False
        self._followers: set[_Follower] = set()
        self._task = asyncio.create_task(self._run(collection))

    @property
    def idle(self) -> bool:
        """Whether nobody follows."""
        return not self._followers

    def join(self, failing: Listener | None) -> _Follower:
        follower = _Follower(failing)
        self._followers.add(follower)
        if self._listed:
            follower.pending.update(self._known)
            follower.wake.set()
        return follower

    def leave(self, follower: _Follower) -> None:
        self._followers.discard(follower)

    def close(self) -> None:
        self._task.cancel()

    async def _run(self, collection: Collection[Pod]) -> None:
        try:
            async for changes in collection.follow(self._fail):
                pod_objects.apply(self._known, changes.items)
                self._listed = True
                for follower in self._followers:
                    follower.pending.update(changes.items)
                    follower.wake.set()
        except RejectedError as error:
            self.error = error
            for follower in self._followers:
                follower.error = error
                follower.wake.set()

    def _fail(self, error: ClusterError) -> None:
        for follower in self._followers:
            if follower.failing is not None:
                follower.failing(error)
