"""Keeping up with a collection of objects: a list in chunks, then a watch from there, and anew when that breaks."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from kubestrace_operator import metrics
from kubestrace_operator.kube.api_client import JSON, ApiServer
from kubestrace_operator.kube.errors import ClusterError, ExpiredError, Listener, RejectedError

_log = logging.getLogger(__name__)
# The server ends a watch after this and sends a bookmark a minute in between.
WATCH_SECONDS = 280
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

Document = Mapping[str, Any]
_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")
_Item_co = TypeVar("_Item_co", covariant=True)


class Reader(Protocol[_Item_co]):
    """What is asked for and what is kept of the answers."""

    @property
    def accept(self) -> str:
        """The media type to ask for."""
        ...

    def items(self, document: Document) -> Iterator[tuple[str, _Item_co]]:
        """Yield UID and item of everything in a page of a list or in the object of a watch's event."""
        ...


@dataclass(frozen=True)
class Changes(Generic[_Item]):
    """What has changed since the batch before, by UID; None: the object is gone."""

    items: Mapping[str, _Item | None]
    # The whole collection was listed just now, so everything that exists is known.
    listed: bool = False


@dataclass(frozen=True)
class Collection(Generic[_Item]):
    """The objects of one path that a query selects."""

    server: ApiServer
    path: str
    reader: Reader[_Item]
    query: Mapping[str, str]
    # Objects of one page of a list; 0: all in one answer, out of the API server's memory.
    page: int = 0
    # Of the list alone: what else there is comes with the watch once it changes. The whole is listed where the API
    # server cannot select so.
    list_query: Mapping[str, str] = field(default_factory=dict)
    # Called whenever the API server says anything, be it an error.
    heard: Callable[[], None] = lambda: None

    async def follow(self, failing: Listener | None = None) -> AsyncIterator[Changes[_Item]]:
        """Yield all objects, then every change; never ends.

        `failing` is called with each error after which it tries again. Raises RejectedError when the API server does
        not understand the query.
        """
        known: dict[str, _Item] = {}
        while True:
            version, listed = await self._patiently(self._list, failing)
            yield Changes(_difference(known, listed), listed=True)
            known = listed
            async for changes in self._watch(known, version, failing):
                yield changes

    async def _patiently(self, ask: Callable[[], Awaitable[_Answer]], failing: Listener | None) -> _Answer:
        """Return the first answer; tries again as long as trying may help."""
        for attempt in itertools.count():
            self.heard()
            try:
                return await ask()
            except RejectedError:
                raise
            except ClusterError as error:
                self._note(error, failing)
                await back_off(attempt)
        raise AssertionError("counting never ends")

    def _note(self, error: ClusterError, failing: Listener | None) -> None:
        _log.warning("watching %s: %s", self.path, error)
        if failing is not None:
            failing(error)

    async def _list(self) -> tuple[str, dict[str, _Item]]:
        """Return the resource version of the list and everything in it."""
        try:
            return await self._list_selected({**self.query, **self.list_query})
        except RejectedError as error:
            if not self.list_query:
                raise
            _log.info("listing all of %s: %s", self.path, error)
            return await self._list_selected(self.query)

    async def _list_selected(self, query: Mapping[str, str]) -> tuple[str, dict[str, _Item]]:
        # Version 0 takes what the API server has in memory; pages of that are not served, so they come from etcd.
        query = {**query, **({"limit": str(self.page)} if self.page else {"resourceVersion": "0"})}
        listed: dict[str, _Item] = {}
        while True:
            page = await self.server.request("GET", self.path, query=query, accept=self.reader.accept)
            listed.update(self.reader.items(page))
            token = page["metadata"].get("continue")
            if not token:
                return str(page["metadata"]["resourceVersion"]), listed
            query["continue"] = token

    async def _watch(
        self, known: dict[str, _Item], version: str, failing: Listener | None
    ) -> AsyncIterator[Changes[_Item]]:
        """Keep `known` up to date and yield what changes; ends when the collection has to be listed anew."""
        options = {"allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        attempt = 0
        while True:
            self.heard()
            query = {**self.query, **options, "resourceVersion": version}
            try:
                async for event in self.server.stream(self.path, query=query, accept=self.reader.accept):
                    self.heard()
                    attempt = 0
                    version = _version(event["object"]) or version
                    if event["type"] == "BOOKMARK":
                        continue
                    items = dict(self.reader.items(event["object"]))
                    changed = _applied(known, items, gone=event["type"] == "DELETED")
                    if changed:
                        yield Changes(changed)
                cause = "ended"
            except ExpiredError:
                metrics.watch_restarted(self.path, "expired")
                return
            except RejectedError:
                raise
            except ClusterError as error:
                # A connection that broke: what happened meanwhile comes with the next watch, from the same version.
                cause = "failed"
                self._note(error, failing)
            metrics.watch_restarted(self.path, cause)
            await back_off(attempt)
            attempt += 1


def _difference(before: Mapping[str, _Item], now: Mapping[str, _Item]) -> dict[str, _Item | None]:
    changed: dict[str, _Item | None] = {uid: item for uid, item in now.items() if before.get(uid) != item}
    return changed | dict.fromkeys(before.keys() - now.keys())


def _applied(known: dict[str, _Item], items: Mapping[str, _Item], *, gone: bool) -> dict[str, _Item | None]:
    """Apply an event; return what changed of what is kept."""
    if gone:
        return {uid: None for uid in items if known.pop(uid, None) is not None}
    changed: dict[str, _Item | None] = {uid: item for uid, item in items.items() if known.get(uid) != item}
    known.update(items)
    return changed


def _version(document: Document) -> str:
    """Return the resource version of an event's object; a table has its row's."""
    metadata = document.get("metadata") or {}
    rows = document.get("rows") or ()
    of_row = next((row["object"]["metadata"] for row in rows if row.get("object")), metadata)
    return str(metadata.get("resourceVersion") or of_row.get("resourceVersion") or "")


async def back_off(attempt: int) -> None:
    """Wait before a request is tried again: longer with each attempt."""
    await asyncio.sleep(_BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)])


class Trimmed:
    """Whole objects, cut down by a function."""

    accept = JSON

    def __init__(self, trim: Callable[[Document], Document]) -> None:
        self._trim = trim

    def items(self, document: Document) -> Iterator[tuple[str, Document]]:
        """Yield the objects of a list, or the one object of an event."""
        objects = document["items"] or () if "items" in document else (document,)
        for each in objects:
            yield each["metadata"]["uid"], self._trim(each)
