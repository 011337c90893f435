"""All sessions that run: begun when their object is first seen, ended with it.

A session that is not finished holds a finalizer, so that deleting it ends its traces even when the operator is away at
that moment. The finalizer goes when the session ends: a finished one is deleted like any other object.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kubestrace_operator.api import conditions
from kubestrace_operator.kube.errors import ClusterError, NotFoundError, RejectedError
from kubestrace_operator.sessions.interfaces import Dependencies, Identity
from kubestrace_operator.sessions.session import Notify, Session, stop_traces

_log = logging.getLogger(__name__)
FINALIZER = "kubestrace.io/finalizer"
_RETRY_SECONDS = 2.0
# Of a session that fails unexpectedly.
_ATTEMPTS = 5

Body = Mapping[str, Any]


class Finalizers(Protocol):
    """Who may hold an object back from deletion; cluster.Cluster can."""

    async def set_finalizer(self, metadata: Mapping[str, Any], finalizer: str, *, present: bool) -> None:
        """Add a session's finalizer or take it away."""


@dataclass
class _Running:
    session: Session
    task: asyncio.Task[None]
    # As last seen: what a session that failed unexpectedly is begun from again.
    body: Body


class Sessions:
    """The sessions that this operator serves."""

    def __init__(self, dependencies: Dependencies, finalizers: Finalizers) -> None:
        self._dependencies = dependencies
        self._finalizers = finalizers
        self._running: dict[str, _Running] = {}
        # Served to their end: an event from before that end must not begin them again.
        self._ended: set[str] = set()
        # Uid and generation of finished sessions whose generation is just being written.
        self._acknowledging: set[tuple[str, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """How many sessions run."""
        return len(self._running)

    def see(self, event: str | None, body: Body, notify: Notify) -> None:
        """Take over a session's object after something happened to it; never waits.

        `event` is the watch's word for it, None for an object that was there already.
        """
        metadata = body["metadata"]
        uid = metadata["uid"]
        if event == "DELETED":
            self._ended.discard(uid)
            self._end(uid, None)
        elif metadata.get("deletionTimestamp"):
            self._end(uid, metadata)
        elif uid in self._running:
            self._update(self._running[uid], body)
        elif uid in self._ended or conditions.is_finished(body.get("status")):
            self._acknowledge(body)
            if FINALIZER in metadata.get("finalizers", ()):
                self._spawn(self._release(metadata))
        else:
            self._begin(uid, body, notify)

    async def close(self) -> None:
        """Let go of all sessions; their traces go on, and another operator takes them up."""
        tasks = [running.task for running in self._running.values()] + list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, uid: str, body: Body, notify: Notify) -> None:
        session = self._session(body, notify)
        self._running[uid] = _Running(session, self._spawn(self._serve(uid, notify)), body)
        if FINALIZER not in body["metadata"].get("finalizers", ()):
            self._spawn(self._hold(body["metadata"]))

    def _session(self, body: Body, notify: Notify) -> Session:
        metadata = body["metadata"]
        identity = Identity(metadata["uid"], metadata["namespace"], metadata["name"], metadata.get("generation", 1))
        return Session(identity, body.get("spec") or {}, body.get("status") or {}, self._dependencies, notify)

    async def _serve(self, uid: str, notify: Notify) -> None:
        running = self._running[uid]
        path = running.session.identity.path
        _log.info("%s: begun", path)
        for failures in itertools.count(1):
            error = await self._failure(running.session)
            if error is None:
                break
            if failures >= _ATTEMPTS:
                await running.session.give_up(error)
                break
            await asyncio.sleep(_RETRY_SECONDS)
            running.session = self._session(running.body, notify)
        _log.info("%s: ended", path)
        self._ended.add(uid)
        self._running.pop(uid, None)
        await self._release(running.body["metadata"])

    async def _failure(self, session: Session) -> Exception | None:
        """Run a session; return what it failed with unexpectedly, after which it can be taken up again."""
        try:
            await session.run()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the traces go on and can be taken up again
            _log.exception("%s: failed unexpectedly", session.identity.path)
            return error
        return None

    def _update(self, running: _Running, body: Body) -> None:
        running.body = body
        if (body.get("spec") or {}).get("cancel") is True:
            running.session.cancel(body["metadata"].get("generation", 1))

    def _end(self, uid: str, metadata: Mapping[str, Any] | None) -> None:
        """Stop what runs for a session that is being deleted, and let its object go if it is still there."""
        running = self._running.pop(uid, None)
        if running is None and (metadata is None or FINALIZER not in metadata.get("finalizers", ())):
            return
        if metadata is not None:
            self._ended.add(uid)
        self._spawn(self._clean_up(uid, running, metadata))

    async def _clean_up(self, uid: str, running: _Running | None, metadata: Mapping[str, Any] | None) -> None:
        if running is not None:
            running.task.cancel()
            await asyncio.gather(running.task, return_exceptions=True)
            _log.info("%s: deleted", running.session.identity.path)
        await stop_traces(uid, self._dependencies.agents, self._dependencies.directory)
        if metadata is not None:
            await self._release(metadata)

    def _acknowledge(self, body: Body) -> None:
        """Note in a finished session's status that a change came too late: who compares generations would wait."""
        status, metadata = body.get("status") or {}, body["metadata"]
        generation = metadata.get("generation", 1)
        key = metadata["uid"], generation
        late = generation > status.get("observedGeneration", 0)
        if conditions.is_finished(status) and late and key not in self._acknowledging:
            self._acknowledging.add(key)
            self._spawn(self._observe(key, metadata, conditions.observed(status, generation)))

    async def _observe(self, key: tuple[str, int], metadata: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        patch = self._dependencies.cluster.patch_status
        await self._persistently(lambda: patch(metadata["namespace"], metadata["name"], status))
        self._acknowledging.discard(key)

    async def _hold(self, metadata: Mapping[str, Any]) -> None:
        await self._persistently(lambda: self._finalizers.set_finalizer(metadata, FINALIZER, present=True))

    async def _release(self, metadata: Mapping[str, Any]) -> None:
        await self._persistently(lambda: self._finalizers.set_finalizer(metadata, FINALIZER, present=False))

    async def _persistently(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await act()
            except (NotFoundError, RejectedError):
                # Gone meanwhile, or being deleted: nothing is left to hold.
                return
            except ClusterError as error:
                _log.warning("a session's object is not written yet: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
