"""All sessions that run: begun when their object is first seen, ended with it.

A session that is not finished holds a finalizer, so that deleting it ends its traces even when the operator is away at
that moment. The finalizer goes when the session ends: a finished one is deleted like any other object. It goes before
the final status is written: the API server would judge and store tens of KiB once more for the finalizer alone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubestrace_operator.api import conditions
from kubestrace_operator.kube.errors import ClusterError, NotFoundError, RejectedError
from kubestrace_operator.kube.namespaces import TRACING_LABEL, NamespaceRow
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.kube.watches import Changes
from kubestrace_operator.sessions import admission, remaining_traces, requests
from kubestrace_operator.sessions.expiry import Expiry
from kubestrace_operator.sessions.interfaces import Dependencies
from kubestrace_operator.sessions.requests import Request
from kubestrace_operator.sessions.session import Session, give_up
from kubestrace_operator.sessions.session_state import SessionState
from kubestrace_operator.sessions.trace_index import TraceIndex

_log = logging.getLogger(__name__)
FINALIZER = "kubestrace.io/finalizer"
_RETRY_SECONDS = 2.0
# Of a session that fails unexpectedly.
_ATTEMPTS = 5

# Posts an event about a session: its row, type, reason, message, key.
Post = Callable[[SessionRow, str, str, str, str], None]
# Lists the finished sessions.
Finished = Callable[[], Awaitable[list[SessionRow]]]


@dataclass
class _Running:
    # As last seen.
    row: SessionRow
    task: asyncio.Task[None]
    # None: its object is being read.
    session: Session | None = None
    # What it asks for; None: its object was not read yet.
    request: Request | None = None
    # Set when its spec was changed.
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Sessions:
    """The sessions that this operator serves."""

    def __init__(self, dependencies: Dependencies, post: Post) -> None:
        self._dependencies = dependencies
        self._cluster = dependencies.cluster
        self._post = post
        self._index = TraceIndex(dependencies.agents, dependencies.directory)
        self._expiry = Expiry(self._cluster.delete_session, dependencies.now)
        self._running: dict[str, _Running] = {}
        # Served to their end: an event from before that end must not begin them again.
        self._ended: set[str] = set()
        # The generations of finished sessions that have been looked at, by UID.
        self._acknowledged: dict[str, int] = {}
        self._to_acknowledge: asyncio.Queue[SessionRow] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        # Those whose finalizer was taken away, or is being.
        self._released: set[str] = set()
        # Names of namespaces that are being deleted, by UID.
        self._ending: dict[str, str] = {}

    @property
    def running(self) -> int:
        """How many sessions run."""
        return len(self._running)

    def standings(self) -> Iterator[tuple[str, str]]:
        """Yield phase and reason of each that is not finished."""
        for each in self._running.values():
            if each.session is None:
                yield each.row.phase or conditions.PENDING, "Pending"
            else:
                yield each.session.standing.phase, each.session.standing.reason

    async def follow(self, changes: AsyncIterator[Changes[SessionRow]], finished: Finished) -> None:
        """Serve the sessions of a watch; ends when it does. `finished` lists those that have ended."""
        async for each in changes:
            for uid, row in each.items.items():
                if row is None:
                    self.gone(uid)
            # Where a list has finished sessions in it, nobody who waits should wait for those.
            for row in sorted(filter(None, each.items.values()), key=lambda row: row.finished):
                self.see(row)
            if each.listed:
                self._spawn(self._look_at_finished(finished))

    def namespaces(self) -> set[str]:
        """Return the namespaces in which sessions run or wait."""
        return {each.row.namespace for each in self._running.values()}

    async def follow_namespaces(self, changes: AsyncIterator[Changes[NamespaceRow]]) -> None:
        """End the sessions of namespaces that are being deleted, and refuse those that wait in one that was closed.

        Kubernetes deletes what is in such a namespace after 5 s, and looks again 5 s after it has found a finalizer.
        Ends when the watch does.
        """
        async for each in changes:
            for uid, row in each.items.items():
                if row is not None and row.deleting:
                    self._ending[uid] = row.name
                else:
                    self._ending.pop(uid, None)
            going = frozenset(self._ending.values())
            closed = {row.name for row in each.items.values() if row is not None and self._is_closed(row)}
            for running in list(self._running.values()):
                if running.row.namespace in going:
                    self._end(running.row.uid, running.row)
                elif running.row.namespace in closed and running.session is not None:
                    running.session.namespace_closed()

    def _is_closed(self, row: NamespaceRow) -> bool:
        only_enabled = self._dependencies.only_enabled_namespaces
        return bool(admission.refusal(row.name, {TRACING_LABEL: row.tracing}, only_enabled=only_enabled))

    async def _look_at_finished(self, finished: Finished) -> None:
        """Take over finished sessions: what is to be deleted, acknowledged or let go.

        They may have changed since they were listed: everything that is done to them names their UID.
        """

        async def look() -> None:
            for row in await finished():
                if row.uid not in self._running and not row.deleting:
                    self._after_end(row)
                elif row.deleting and FINALIZER in row.finalizers:
                    self._end(row.uid, row)

        await self._persistently(look)

    async def run(self) -> None:
        """Delete finished sessions in time, and acknowledge what is changed in them; never ends."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._expiry.run())
            group.create_task(self._dependencies.ledger.run())
            group.create_task(self._acknowledge_all())

    def see(self, row: SessionRow) -> None:
        """Take over how a session's object is now; never waits."""
        if row.deleting or (row.namespace in self._ending.values() and not row.finished):
            self._expiry.forget(row.uid)
            self._end(row.uid, row)
        elif row.uid in self._running:
            self._update(self._running[row.uid], row)
        elif row.uid in self._ended or row.finished:
            self._after_end(row)
        else:
            self._begin(row)

    def gone(self, uid: str) -> None:
        """Note that a session's object does not exist any more."""
        self._ended.discard(uid)
        self._released.discard(uid)
        self._acknowledged.pop(uid, None)
        self._expiry.forget(uid)
        self._dependencies.ledger.forget(uid)
        self._end(uid, None)

    async def close(self) -> None:
        """Let go of all sessions; their traces go on, and another operator takes them up."""
        tasks = [running.task for running in self._running.values()] + list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # One session.

    def _begin(self, row: SessionRow) -> None:
        if row.phase == conditions.TRACING:
            # It runs: one that waits must not take its place before it has been read.
            self._dependencies.places.claim(row.namespace, row.uid)
        self._running[row.uid] = _Running(row, self._spawn(self._serve(row.uid)))
        if FINALIZER not in row.finalizers:
            self._spawn(self._hold(row))

    async def _serve(self, uid: str) -> None:
        running = self._running[uid]
        try:
            await self._serve_to_end(uid, running)
        finally:
            self._dependencies.places.release(running.row.namespace, uid)

    async def _serve_to_end(self, uid: str, running: _Running) -> None:
        failures = 0
        while failures < _ATTEMPTS:
            running.changed.clear()
            error = await self._failure(running)
            if error is not None:
                failures += 1
                if failures == _ATTEMPTS:
                    await self._give_up(running, error)
                await asyncio.sleep(_RETRY_SECONDS)
            elif running.session is not None and running.session.suspended:
                await running.changed.wait()
            else:
                break
        _log.info("%s: ended%s", running.row.path, _standing(running), extra=_about(running))
        self._ended.add(uid)
        self._running.pop(uid, None)
        if running.row.finished:
            # The watch was quicker than the answer to the last write, and tells of it once.
            self._after_end(running.row)
        if running.session is not None:
            self._spawn(running.session.stop_remaining())
        await self._release(running.row)

    async def _give_up(self, running: _Running, error: Exception) -> None:
        """Write an end: no session stays running for ever, not even one that could never be made."""
        if running.session is not None:
            await running.session.give_up(error)
        else:
            state = SessionState(running.row.generation, {}, self._dependencies.now)
            await give_up(state, running.row, self._cluster, error)

    async def _failure(self, running: _Running) -> Exception | None:
        """Run a session; return what it failed with unexpectedly, after which it can be taken up again."""
        try:
            body = await self._object(running)
            running.session = self._session(running.row, body)
            self._note_request(running, body)
            await running.session.run()
        except NotFoundError:
            running.session = None
            return None
        except Exception as error:  # noqa: BLE001 -- whatever it is, the traces go on and can be taken up again
            _log.exception("%s: failed unexpectedly", running.row.path)
            return error
        return None

    def _note_request(self, running: _Running, body: Mapping[str, Any]) -> None:
        """Tell once who asked for what: in the log of each operator, and in one event."""
        if running.request is not None:
            return
        running.request = requests.read(body, proven=self._dependencies.requesters_proven)
        sentence = running.request.sentence()
        _log.info("%s: begun: %s", running.row.path, sentence, extra=_about(running))
        self._post(running.row, "Normal", "Requested", sentence, "requested")

    async def _object(self, running: _Running) -> Mapping[str, Any]:
        """Return the session's object as soon as the API server gives it. Raises NotFoundError."""
        while True:
            try:
                return await self._cluster.session(running.row)
            except NotFoundError:
                raise
            except ClusterError as error:
                _log.warning("%s: could not be read yet: %s", running.row.path, error)
                await asyncio.sleep(_RETRY_SECONDS)

    def _session(self, row: SessionRow, body: Mapping[str, Any]) -> Session:
        def notify(kind: str, reason: str, message: str, key: str = "") -> None:
            self._post(row, kind, reason, message, key)

        def let_go() -> asyncio.Task[None]:
            running = self._running.get(row.uid)
            return self._spawn(self._release(running.row if running is not None else row))

        return Session(row, body, self._dependencies, self._index, notify, let_go)

    def _update(self, running: _Running, row: SessionRow) -> None:
        changed = row.generation != running.row.generation
        running.row = row
        if changed:
            running.changed.set()
            self._spawn(self._reread(running))

    async def _reread(self, running: _Running) -> None:
        """Give a running session its changed spec."""

        async def read() -> None:
            body = await self._cluster.session(running.row)
            if running.session is not None:
                running.session.change(body.get("spec") or {}, body["metadata"].get("generation", 1))

        await self._persistently(read)

    def _end(self, uid: str, row: SessionRow | None) -> None:
        """Stop what runs for a session that is being deleted, and let its object go if it is still there."""
        running = self._running.pop(uid, None)
        if running is None and (row is None or FINALIZER not in row.finalizers):
            return
        if row is not None:
            self._ended.add(uid)
        self._spawn(self._clean_up(uid, running, row))

    async def _clean_up(self, uid: str, running: _Running | None, row: SessionRow | None) -> None:
        session = running.session if running is not None else None
        if running is not None:
            running.task.cancel()
            await asyncio.gather(running.task, return_exceptions=True)
            _log.info("%s: deleted%s", running.row.path, _standing(running), extra=_about(running))
            # A namespace that is being deleted takes no events.
            if row is not None and row.namespace not in self._ending.values():
                self._post(row, "Normal", "Deleted", f"Deleted{_standing(running)}.", "deleted")
        if session is not None:
            await session.stop_traces()
            self._spawn(session.stop_remaining())
        else:
            agents = await self._index.perhaps_tracing(uid)
            await remaining_traces.stop_all(uid, self._dependencies.agents, agents)
        if row is not None:
            # Whatever was seen of it before: it is there now, and nothing else takes it away.
            self._released.discard(uid)
            await self._release(row)

    # Finished sessions.

    def _after_end(self, row: SessionRow) -> None:
        if FINALIZER in row.finalizers:
            self._spawn(self._release(row))
        if row.finished:
            self._expiry.note(row)
            self._dependencies.ledger.recall(row)
        if row.finished and self._acknowledged.get(row.uid, 1) < row.generation:
            self._acknowledged[row.uid] = row.generation
            self._to_acknowledge.put_nowait(row)

    async def _acknowledge_all(self) -> None:
        # One after the other: an operator that starts may find thousands.
        while True:
            row = await self._to_acknowledge.get()
            await self._persistently(lambda row=row: self._acknowledge(row))  # type: ignore[misc]

    async def _acknowledge(self, row: SessionRow) -> None:
        """Note in a finished session's status that a change came too late: who compares generations would wait."""
        status = (await self._cluster.session(row)).get("status") or {}
        if conditions.is_finished(status) and row.generation > status.get("observedGeneration", 0):
            await self._cluster.amend_status(row, conditions.observed(status, row.generation))

    # Objects.

    async def _hold(self, row: SessionRow) -> None:
        await self._persistently(lambda: self._cluster.set_finalizer(row, FINALIZER, present=True))

    async def _release(self, row: SessionRow) -> None:
        if row.uid in self._released:
            # What it was released for comes back as events, which may tell of it as it was before.
            return
        self._released.add(row.uid)
        try:
            await self._persistently(lambda: self._cluster.set_finalizer(row, FINALIZER, present=False))
        except BaseException:
            self._released.discard(row.uid)
            raise

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


def _about(running: _Running) -> dict[str, Any]:
    """Return what a line of the log has of a session beside its words."""
    about: dict[str, Any] = {"session": running.row.path, "namespace": running.row.namespace, "uid": running.row.uid}
    if running.session is not None:
        about |= {"phase": running.session.standing.phase, "reason": running.session.standing.reason}
    return about | (running.request.fields() if running.request is not None else {})


def _standing(running: _Running) -> str:
    """Return how a session ended, or stood when it was deleted, in the words of the log."""
    if running.session is None or running.request is None:
        return ""
    standing = running.session.standing
    return f" as {standing.phase} ({standing.reason}), requested by {running.request.who}"
