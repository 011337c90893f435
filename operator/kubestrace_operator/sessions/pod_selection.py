"""The pods of a namespace that a target means, kept up to date pod by pod. Pure.

A rollout changes one pod at a time and thousands in all: what a change costs does not depend on how many there are.
"""

import bisect
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from kubestrace_operator.api.spec import Selector, Target
from kubestrace_operator.sessions import targets
from kubestrace_operator.sessions.targets import ChosenPod, Found, Pod
from kubestrace_operator.status.progress import Failure

# Names of pods that a status lists; the others are counted.
MAX_NAMED = 100

# Where a pod stands among the others, the oldest first: when it was made, its name, its UID.
_Place = tuple[str, str, str]


class PodSelection:
    """One target among the pods of its namespace."""

    def __init__(self, target: Target, workload_selector: Selector | None = None) -> None:
        """`workload_selector` is the spec.selector of the workload that is named."""
        self._target = target
        self._workload_selector = workload_selector
        # Shared with all who follow the namespace: what is kept of each pod beside is small.
        self._matches: dict[str, Pod] = {}
        # Pods to trace, the oldest first.
        self._suitable: list[_Place] = []
        # Of the pods that were taken last.
        self._chosen: dict[str, tuple[Pod, ChosenPod]] = {}
        self._without_container: dict[str, str] = {}
        self._alive = 0
        self._names: Counter[str] = Counter()

    def update(self, changes: Mapping[str, Pod | None]) -> bool:
        """Take over pods that changed, by UID (None: gone); tell whether any of them is meant, or was."""
        changed = False
        for uid, pod in changes.items():
            before = self._matches.pop(uid, None)
            if before is not None:
                self._count(before, -1)
            if pod is not None and targets.matches(self._target, pod, self._workload_selector):
                self._matches[uid] = pod
                self._count(pod, 1)
                changed = True
            changed = changed or before is not None
        return changed

    def found(self, chosen: Collection[str] = ()) -> Found:
        """Return what the target means now.

        Pods that have ended are no candidates. Of more than maxPods the oldest are taken, but pods whose UID is in
        `chosen`, being traced already, keep their place.
        """
        taken = self._taken(chosen)
        failures = self._unknown_names()
        left_out = len(self._suitable) - len(taken)
        return Found(
            pods=tuple(taken),
            skipped=tuple(self._left_out({pod.uid for pod in taken}, min(left_out, MAX_NAMED))),
            skipped_count=left_out,
            without_container=tuple(self._without_container.values()),
            failures=failures,
            **self._why_nothing(taken, failures),
        )

    def _count(self, pod: Pod, sign: int) -> None:
        """Add a pod to the sums and lists, or take it out again."""
        if targets.has_ended(pod):
            return
        place = _place(pod)
        self._alive += sign
        for name in targets.container_kinds(pod):
            self._names[name] += sign
        if not targets.wanted(self._target, pod):
            if sign > 0:
                self._without_container[place[2]] = place[1]
            else:
                self._without_container.pop(place[2], None)
        elif sign > 0:
            bisect.insort(self._suitable, place)
        else:
            del self._suitable[bisect.bisect_left(self._suitable, place)]

    def _taken(self, chosen: Collection[str]) -> list[ChosenPod]:
        kept = sorted(_place(pod) for uid in chosen if (pod := self._matches.get(uid)) and self._is_candidate(pod))
        places = kept[: self._target.max_pods]
        others = (place for place in self._suitable if place[2] not in chosen)
        while len(places) < self._target.max_pods and (place := next(others, None)) is not None:
            places.append(place)
        self._chosen = {uid: self._as_chosen(uid) for _, _, uid in places}
        return [each for _, each in self._chosen.values()]

    def _as_chosen(self, uid: str) -> tuple[Pod, ChosenPod]:
        pod, known = self._matches[uid], self._chosen.get(uid)
        return known if known is not None and known[0] is pod else (pod, targets.chosen_pod(self._target, pod))

    def _is_candidate(self, pod: Pod) -> bool:
        return not targets.has_ended(pod) and bool(targets.wanted(self._target, pod))

    def _left_out(self, taken: Collection[str], count: int) -> Iterator[str]:
        names = (name for _, name, uid in self._suitable if uid not in taken)
        return (name for _, name in zip(range(count), names, strict=False))

    def _unknown_names(self) -> tuple[Failure, ...]:
        if not self._alive:
            return ()
        there = sorted(name for name, count in self._names.items() if count)
        return tuple(targets.unknown_name(name, there) for name in self._target.containers if name not in there)

    def _why_nothing(self, taken: list[ChosenPod], failures: tuple[Failure, ...]) -> dict[str, str]:
        """Return the reason and the message of a target of which nothing runs."""
        if any(pod.running for pod in taken):
            return {}
        names = [str(pod["metadata"]["name"]) for pod in self._matches.values()]
        reason, message = targets.why_nothing(self._target, names, self._alive, taken, failures)
        return {"reason": reason, "why_nothing": message}


def _place(pod: Pod) -> _Place:
    metadata = pod["metadata"]
    return str(metadata.get("creationTimestamp") or ""), metadata["name"], metadata["uid"]
