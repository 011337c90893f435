"""Holding the Lease against an API server that has nothing but Leases."""

import asyncio
from typing import Any

import pytest

from kubestrace_operator.kube import election
from kubestrace_operator.kube.errors import ClusterError, ConflictError, NotFoundError
from kubestrace_operator.kube.fence import Fence
from kubestrace_operator.kube.leadership import Leadership, LeadershipLostError

SECONDS = 5


class FakeLeases:
    """Keeps one Lease as an API server does."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.away = False
        self._version = 0

    async def request(self, method: str, path: str, *, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer."""
        await asyncio.sleep(0)
        if self.away:
            raise ClusterError("away")
        if body is None:
            if self.lease is None:
                raise NotFoundError("none")
            return self.lease
        if (self.lease is None) != (method == "POST") or (
            self.lease and body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]
        ):
            raise ConflictError("changed")
        return self.put(body)

    def put(self, body: dict[str, Any]) -> dict[str, Any]:
        """Write the Lease, whoever holds it."""
        self._version += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self._version)}}
        return self.lease

    @property
    def holder(self) -> str:
        """Who holds it."""
        assert self.lease is not None
        return str(self.lease["spec"]["holderIdentity"])


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch) -> FakeLeases:
    """Return the server; times are a twentieth of what they are."""
    for name in ("WRITE_SECONDS", "RENEW_SECONDS", "LOOK_SECONDS", "LEASE_SECONDS"):
        monkeypatch.setattr(election, name, getattr(election, name) / 20)
    return FakeLeases()


def replica(leases: FakeLeases, name: str) -> tuple[Leadership, Fence]:
    """Return a replica's part."""
    fence = Fence()
    return Leadership(leases, "system", "lease", name, fence), fence  # type: ignore[arg-type]


async def until_open(fence: Fence, is_open: bool = True) -> None:
    """Wait for a fence."""
    async with asyncio.timeout(SECONDS):
        while fence.is_open is not is_open:  # noqa: ASYNC110 -- a fence closes by time, without an event
            await asyncio.sleep(0.001)


async def test_one_leads_and_gives_it_up(leases: FakeLeases) -> None:
    """Its fence is open while it works and closed after; a standby is ready and takes over at the end."""
    first, fence = replica(leases, "first")
    second, other = replica(leases, "second")
    waits: list[str | None] = []
    done = asyncio.Event()
    await first.acquire(waits.append)
    holding = asyncio.create_task(first.hold(_until(done)))
    standing_by = asyncio.create_task(second.acquire(waits.append))
    await asyncio.sleep(3 * election.LEASE_SECONDS)
    during = fence.is_open, other.is_open, leases.holder
    done.set()
    await holding
    await asyncio.wait_for(standing_by, SECONDS)

    assert during == (True, False, "first")
    assert not fence.is_open
    assert other.is_open
    assert leases.holder == "second"
    assert waits
    assert not any(waits)


async def test_a_leader_that_finds_another_holder_ends(leases: FakeLeases) -> None:
    """Its work is cancelled, and the Lease stays the other's."""
    first, fence = replica(leases, "first")
    await first.acquire(lambda _: None)
    cancelled = asyncio.Event()
    holding = asyncio.create_task(first.hold(_noting(cancelled)))
    await asyncio.sleep(election.RENEW_SECONDS / 2)
    leases.put(election.held("lease", "second", election.parse(leases.lease or {})))

    with pytest.raises(LeadershipLostError, match="second holds the Lease"):
        await asyncio.wait_for(holding, SECONDS)
    assert cancelled.is_set()
    assert not fence.is_open
    assert leases.holder == "second"


async def test_a_leader_that_cannot_renew_writes_nothing_until_it_has(leases: FakeLeases) -> None:
    """An API server that was away is no reason to end as long as nobody has taken the Lease."""
    first, fence = replica(leases, "first")
    await first.acquire(lambda _: None)
    done = asyncio.Event()
    holding = asyncio.create_task(first.hold(_until(done)))
    leases.away = True
    await until_open(fence, is_open=False)
    leases.away = False
    await until_open(fence)
    done.set()
    await asyncio.wait_for(holding, SECONDS)

    assert leases.holder == ""


async def test_an_api_server_that_is_away_at_the_start(leases: FakeLeases) -> None:
    """A replica that cannot read the Lease says so and is not ready."""
    leases.away = True
    first, _ = replica(leases, "first")
    waits: list[str | None] = []
    acquiring = asyncio.create_task(first.acquire(waits.append))
    await asyncio.sleep(3 * election.LOOK_SECONDS)
    leases.away = False
    await asyncio.wait_for(acquiring, SECONDS)

    assert waits[0] == "the Lease lease: away"


async def test_work_that_fails(leases: FakeLeases) -> None:
    """Its error is told, and the Lease is given up."""
    first, _ = replica(leases, "first")
    await first.acquire(lambda _: None)

    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await first.hold(fail())
    assert leases.holder == ""


async def _until(done: asyncio.Event) -> None:
    async with asyncio.timeout(SECONDS):
        await done.wait()


async def _noting(cancelled: asyncio.Event) -> None:
    try:
        await asyncio.sleep(SECONDS)
    except asyncio.CancelledError:
        cancelled.set()
        raise
