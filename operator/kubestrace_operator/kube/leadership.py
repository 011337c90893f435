"""Holding the Lease: one replica leads, the others stand by until it gives the Lease up or has not renewed it.

A leader that cannot renew in time stops writing (see fence.py), and goes on once it has renewed a Lease that nobody has
taken meanwhile: while the API server is away nothing is to be written anyway. One that finds another holder ends.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from kubestrace_operator import metrics
from kubestrace_operator.kube import election
from kubestrace_operator.kube.api_client import ApiServer
from kubestrace_operator.kube.election import Lease
from kubestrace_operator.kube.errors import ClusterError, ConflictError, NotFoundError
from kubestrace_operator.kube.fence import Fence

_log = logging.getLogger(__name__)


class LeadershipLostError(Exception):
    """Another replica has taken the Lease."""


class Leadership:
    """This process's part in the election."""

    def __init__(self, server: ApiServer, namespace: str, name: str, identity: str, fence: Fence) -> None:
        """`identity` is no other process's that may run at the same time."""
        self._server = server
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._identity = identity
        self._fence = fence
        self._observer = election.Observer(identity)
        # As we last wrote it; None: to be read.
        self._own: Lease | None = None

    async def acquire(self, waiting: Callable[[str | None], None]) -> None:
        """Return once the Lease is ours. `waiting` hears what this waits for; None: it stands by, as it should."""
        leader = ""
        while not await self._taken(waiting):
            if self._observer.leader != leader:
                leader = self._observer.leader
                _log.info("standing by: %s leads", leader or "nobody")
            await asyncio.sleep(election.LOOK_SECONDS)
        _log.info("leading as %s", self._identity)
        metrics.LEADER.set(1)

    async def hold(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work while the Lease is ours, and give it up after that.

        Raises LeadershipLostError when another has taken the Lease; the work has been cancelled then.
        """
        working = asyncio.create_task(work)
        keeping = asyncio.create_task(self._keep())
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The Lease is renewed until the last write is done.
            await _ended(working)
            await _ended(keeping)
            await self._give_up()
        if not keeping.cancelled():
            keeping.result()
        await working

    async def _taken(self, waiting: Callable[[str | None], None]) -> bool:
        try:
            async with asyncio.timeout(election.REQUEST_SECONDS):
                taken = await self._take()
        except (ClusterError, TimeoutError) as error:
            waiting(f"the Lease {self._name}: {_words(error)}")
            return False
        if not taken:
            waiting(None)
        return taken

    async def _take(self) -> bool:
        asked = self._fence.now()
        lease = await self._read()
        if not self._observer.may_take(lease, asked):
            return False
        try:
            await self._write(lease)
        except ConflictError:
            return False
        return True

    async def _keep(self) -> None:
        """Renew the Lease; ends only by raising LeadershipLostError."""
        while True:
            await asyncio.sleep(election.RENEW_SECONDS)
            was_open = self._fence.is_open
            try:
                async with asyncio.timeout(election.REQUEST_SECONDS):
                    await self._renew()
            except (ClusterError, TimeoutError) as error:
                self._own = None
                _log.warning("the Lease is not renewed yet: %s", _words(error))
            else:
                if not was_open:
                    _log.info("the Lease is renewed, and nobody had taken it: writing again")

    async def _renew(self) -> None:
        before = self._own or await self._read()
        if before is not None and before.holder != self._identity:
            self._fence.close()
            metrics.LEADER.set(0)
            raise LeadershipLostError(
                f"{before.holder or 'nobody'} holds the Lease {self._name} now, so this process ends"
            )
        await self._write(before)

    async def _read(self) -> Lease | None:
        try:
            return election.parse(await self._server.request("GET", f"{self._leases}/{self._name}"))
        except NotFoundError:
            return None

    async def _write(self, before: Lease | None) -> None:
        """Write that the Lease is ours. Raises ConflictError when somebody else has written since `before`."""
        sent = self._fence.now()
        body = election.held(self._name, self._identity, before)
        method, path = ("PUT", f"{self._leases}/{self._name}") if before is not None else ("POST", self._leases)
        self._own = election.parse(await self._server.request(method, path, body=body))
        # From before it was sent: whoever waits for its end begins to count after that.
        self._fence.open_until(sent + election.WRITE_SECONDS)

    async def _give_up(self) -> None:
        self._fence.close()
        metrics.LEADER.set(0)
        try:
            async with asyncio.timeout(election.REQUEST_SECONDS):
                own = await self._read()
                if own is not None and own.holder == self._identity:
                    body = election.given_up(self._name, own)
                    await self._server.request("PUT", f"{self._leases}/{self._name}", body=body)
        except (ClusterError, TimeoutError) as error:
            _log.warning("the Lease is not given up, so another takes over once it has expired: %s", _words(error))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _words(error: Exception) -> str:
    """Return what an error says; a timeout says nothing."""
    return str(error) or "the API server does not answer in time"
