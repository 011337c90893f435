"""Who may trace now: namespaces that are closed to it, and how many sessions a namespace may run at a time.

The chart's ValidatingAdmissionPolicy refuses a session whose author may not run commands in the pods. Here it is not
known who the author was: what is checked is what the namespace says of itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from kubestrace_operator.kube.errors import ClusterError, NotFoundError
from kubestrace_operator.kube.namespaces import TRACING_LABEL

ENABLED, DISABLED = "enabled", "disabled"


def refusal(namespace: str, labels: Mapping[str, str], *, only_enabled: bool) -> str:
    """Return why a namespace may not be traced; empty when it may."""
    value = labels.get(TRACING_LABEL, "")
    if value == DISABLED:
        return f"Namespace {namespace} is closed to tracing: it has the label {TRACING_LABEL}={DISABLED}."
    if only_enabled and value != ENABLED:
        return f"Namespace {namespace} is not open to tracing: it lacks the label {TRACING_LABEL}={ENABLED}."
    return ""


@dataclass
class _Namespace:
    """Sessions by UID: those that run, and those that wait, each with when it was created and its event."""

    running: set[str] = field(default_factory=set)
    waiting: dict[str, tuple[str, asyncio.Event]] = field(default_factory=dict)


class Places:
    """The sessions that run, by namespace. Who waited longest is the next."""

    def __init__(self, most: int = 0) -> None:
        """`most` sessions of a namespace run at a time; 0: any number."""
        self.most = most
        self._namespaces: dict[str, _Namespace] = {}

    def claim(self, namespace: str, uid: str) -> None:
        """Give a place to a session that runs already: an earlier operator has begun it."""
        self._at(namespace).running.add(uid)

    def take(self, namespace: str, uid: str, created: str, wake: asyncio.Event) -> bool:
        """Take a place; False: none is free, and `wake` is set when that changes."""
        at = self._at(namespace)
        if uid in at.running:
            return True
        at.waiting[uid] = created, wake
        free = self.most - len(at.running) if self.most else len(at.waiting)
        first = sorted(at.waiting, key=lambda each: (at.waiting[each][0], each))[: max(0, free)]
        if uid not in first:
            return False
        del at.waiting[uid]
        at.running.add(uid)
        return True

    def release(self, namespace: str, uid: str) -> None:
        """Give a place back, or stop waiting for one."""
        at = self._at(namespace)
        at.running.discard(uid)
        at.waiting.pop(uid, None)
        for _, wake in at.waiting.values():
            wake.set()
        if not at.running and not at.waiting:
            del self._namespaces[namespace]

    def _at(self, namespace: str) -> _Namespace:
        return self._namespaces.setdefault(namespace, _Namespace())


class Admission:
    """Whether one session may begin."""

    def __init__(self, places: Places, namespace: str, uid: str, created: str) -> None:
        """`created` is the session's creationTimestamp."""
        # Why its namespace may not be traced; None: not known yet.
        self.refusal: str | None = None
        # The API server's last error.
        self.problem = ""
        # It had to wait for its place.
        self.waited = False
        self._places = places
        self._namespace = namespace
        self._uid = uid
        self._created = created
        # How often it was asked for the namespace's labels: only the answer to the last time counts.
        self._checks = 0

    @property
    def full(self) -> str:
        """What a session says that waits for a place."""
        most = self._places.most
        sessions = "1 session runs" if most == 1 else f"{most} sessions run"
        return (
            f"{sessions} in namespace {self._namespace} already, the most that this cluster allows there at a time."
            " It starts when one of them has ended."
        )

    async def check(
        self,
        labels: Callable[[str], Awaitable[Mapping[str, str]]],
        retry_seconds: float,
        changed: Callable[[], None],
        *,
        only_enabled: bool,
    ) -> None:
        """Ask the API server for the namespace's labels until it answers. `only_enabled`: others are closed."""
        self.refusal = None
        self._checks += 1
        check = self._checks
        while check == self._checks and self.refusal is None:
            try:
                found = refusal(self._namespace, await labels(self._namespace), only_enabled=only_enabled)
            except NotFoundError:
                # Its sessions go with it.
                found = ""
            except ClusterError as error:
                self.problem = f"The namespace could not be read: {error}."
                changed()
                await asyncio.sleep(retry_seconds)
                continue
            if check == self._checks:
                self.refusal = found
                changed()

    def take_up(self) -> None:
        """Let a session go on that an earlier operator had begun."""
        self.refusal = ""
        self._places.claim(self._namespace, self._uid)

    def enter(self, wake: asyncio.Event) -> bool:
        """Take a place if one is free; `wake` is set when that changes."""
        entered = self._places.take(self._namespace, self._uid, self._created, wake)
        self.waited = self.waited or not entered
        return entered

    def leave(self) -> None:
        """Give the place to another session."""
        self._places.release(self._namespace, self._uid)
