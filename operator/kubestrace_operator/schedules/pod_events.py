"""What happens to pods, told by comparing each with how it was seen before. Pure.

The first sight of a pod tells what it is in (BackOff), not what it went through before: that may be old.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

RESTARTED, OOM_KILLED, PROBE_FAILING, BACK_OFF = "Restarted", "OOMKilled", "ProbeFailing", "BackOff"
KINDS = (RESTARTED, OOM_KILLED, PROBE_FAILING, BACK_OFF)
_CRASH_LOOP = "CrashLoopBackOff"
_OOM = "OOMKilled"

Pod = Mapping[str, Any]


@dataclass(frozen=True)
class PodEvent:
    """Something that happened to a container; the same happening has the same key, whoever sees it."""

    kind: str
    pod: str
    container: str
    key: str


@dataclass(frozen=True)
class _Life:
    """A container as it was seen."""

    restarts: int
    running: bool
    ready: bool
    back_off: bool
    # Lives that the kernel ended for want of memory, as far as a status tells: this one and the one before.
    killed: frozenset[int]
    # When readiness last changed in its pod: a probe may fail more than once in a life.
    ready_changed: str


class PodEvents:
    """The pods of one target."""

    def __init__(self, kinds: Collection[str]) -> None:
        """`kinds` are the events that are told."""
        self._kinds = frozenset(kinds)
        self._seen: dict[str, dict[str, _Life]] = {}

    def gone(self, uid: str) -> None:
        """Forget a pod."""
        self._seen.pop(uid, None)

    def see(self, pod: Pod, containers: Collection[str]) -> list[PodEvent]:
        """Take over how a pod is now; return what happened to those containers. A pod that is deleted ends as meant."""
        uid = pod["metadata"]["uid"]
        if pod["metadata"].get("deletionTimestamp"):
            self._seen.pop(uid, None)
            return []
        before = self._seen.get(uid, {})
        now = {name: life for name, life in _lives(pod) if name in containers}
        self._seen[uid] = now
        return [
            PodEvent(kind, pod["metadata"]["name"], name, f"{uid}/{name}/{kind}/{number}")
            for name, life in now.items()
            for kind, number in _happened(before.get(name), life)
            if kind in self._kinds
        ]


def _happened(before: _Life | None, now: _Life) -> Iterator[tuple[str, int | str]]:
    """Yield what happened to a container, with the life that it concerns, and when where one may have several."""
    if now.back_off and (before is None or not before.back_off or before.restarts != now.restarts):
        yield BACK_OFF, now.restarts
    if before is None:
        return
    for number in sorted(now.killed - before.killed):
        yield OOM_KILLED, number
    if now.restarts > before.restarts:
        yield RESTARTED, now.restarts
    elif before.running and now.running and before.ready and not now.ready:
        yield PROBE_FAILING, f"{now.restarts}/{now.ready_changed}"


def _lives(pod: Pod) -> Iterator[tuple[str, _Life]]:
    status = pod["status"]
    for part in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(part) or ():
            yield each["name"], _life(each, status.get("containersReadyChanged", ""))


def _life(status: Mapping[str, Any], ready_changed: str) -> _Life:
    state, restarts = status["state"], status["restartCount"]
    ended, last = state.get("terminated") or {}, status["lastState"].get("terminated") or {}
    killed = {restarts} if ended.get("reason") == _OOM else set()
    # While a container waits for its next life, the count has not grown yet: the last state is this life's end.
    waits = "waiting" in state
    if last.get("reason") == _OOM:
        killed.add(restarts if waits else restarts - 1)
    return _Life(
        restarts=restarts,
        running="running" in state,
        ready=bool(status.get("ready")),
        back_off=(state.get("waiting") or {}).get("reason") == _CRASH_LOOP,
        killed=frozenset(killed),
        ready_changed=ready_changed,
    )
