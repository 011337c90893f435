"""The Lease by which replicas of the operator agree on one that leads, without I/O; leadership.py reads and writes it.

It is the pattern of client-go's leaderelection. Times in the Lease are for people: whether it has expired is judged by
how long this process has seen it unchanged, so clocks of other machines do not matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# A holder that has not renewed for so long is taken to be dead.
LEASE_SECONDS = 10
# A holder that has not renewed for so long stops writing. The rest is for clocks that run at different speeds, and for
# what is under way.
WRITE_SECONDS = 7.0
RENEW_SECONDS = 2.0
# Between two looks of a standby: a Lease that was given up is taken within this.
LOOK_SECONDS = 1.0
# For one request about the Lease: several fit into WRITE_SECONDS.
REQUEST_SECONDS = 2.5
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Lease:
    """A Lease as read. An empty holder has given it up."""

    holder: str
    resource_version: str
    acquired: str | None
    transitions: int
    duration_seconds: float


def parse(document: Mapping[str, Any]) -> Lease:
    """Return what a Lease says; what others left out of it is as if it were not held."""
    spec = document.get("spec") or {}
    return Lease(
        spec.get("holderIdentity") or "",
        document["metadata"]["resourceVersion"],
        spec.get("acquireTime"),
        spec.get("leaseTransitions") or 0,
        spec.get("leaseDurationSeconds") or LEASE_SECONDS,
    )


def held(name: str, identity: str, before: Lease | None, now: datetime | None = None) -> dict[str, Any]:
    """Return the Lease as its holder writes it; it is refused where somebody else has written since `before`."""
    when = (now or datetime.now(UTC)).strftime(_TIME)
    again = before is not None and before.holder == identity
    spec = {
        "holderIdentity": identity,
        "leaseDurationSeconds": LEASE_SECONDS,
        "acquireTime": before.acquired if before is not None and again and before.acquired else when,
        "renewTime": when,
        "leaseTransitions": (before.transitions + (not again)) if before is not None else 0,
    }
    return _document(name, before, spec)


def given_up(name: str, before: Lease, now: datetime | None = None) -> dict[str, Any]:
    """Return the Lease as a holder that ends leaves it: the next one takes it at once."""
    when = (now or datetime.now(UTC)).strftime(_TIME)
    spec = {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": when,
        "renewTime": when,
        "leaseTransitions": before.transitions,
    }
    return _document(name, before, spec)


def _document(name: str, before: Lease | None, spec: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if before is not None:
        metadata["resourceVersion"] = before.resource_version
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


class Observer:
    """Since when this process has seen the Lease unchanged."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._seen: Lease | None = None
        self._seen_at = 0.0

    @property
    def leader(self) -> str:
        """Who held the Lease when it was last seen; empty: nobody."""
        return self._seen.holder if self._seen is not None else ""

    def may_take(self, lease: Lease | None, now: float) -> bool:
        """Note the Lease as it is, None where there is none, and return whether this process may take it.

        `now` is from before it was asked for. A Lease that was deleted is as good as one that is no longer renewed: its
        holder may still write.
        """
        if lease is not None and lease != self._seen:
            self._seen, self._seen_at = lease, now
        seen = self._seen
        if seen is None or seen.holder in {"", self._identity}:
            return True
        # What others set must not be shorter than the time for which one of ours writes.
        return now >= self._seen_at + max(seen.duration_seconds, LEASE_SECONDS)
