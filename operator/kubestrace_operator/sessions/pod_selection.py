"""The pods of a namespace that a target means, kept up to date pod by pod. Pure.

A rollout changes one pod at a time and thousands in all: what a change costs does not depend on how many there are.
"""

import bisect
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from kubestrace_operator.api.spec import Selector, Target
from kubestrace_operator.sessions import targets
from kubestrace_operator.sessions.targets import ChosenPod, Found, Pod
from kubestrace_operator.status.progress import Failure

# Names of pods that a status lists; the others are counted.
MAX_NAMED = 100

_Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Match:
    """A pod that the target means."""

    pod: Pod
    chosen: ChosenPod
    ended: bool
    # It has one of the wanted containers.
    suitable: bool

    @property
    def place(self) -> _Place:
        """Where it stands among the others: the oldest first."""
        return str(self.pod["metadata"].get("creationTimestamp") or ""), self.chosen.name, self.chosen.uid


class PodSelection:
    """One target among the pods of its namespace."""

    def __init__(self, target: Target, workload_selector: Selector | None = None) -> None:
        """`workload_selector` is the spec.selector of the workload that is named."""
        self._target = target
        self._workload_selector = workload_selector
        self._matches: dict[str, _Match] = {}
        # Pods to trace, the oldest first.
        self._suitable: list[_Place] = []
        self._without_container: dict[str, str] = {}
        self._alive = 0
        self._names: Counter[str] = Counter()
        # Names of containers of the kinds that are not traced.
        self._others: Counter[tuple[str, str]] = Counter()

    def update(self, changes: Mapping[str, Pod | None]) -> bool:
        """Take over pods that changed, by UID (None: gone); tell whether any of them is meant, or was."""
        changed = False
        for uid, pod in changes.items():
            before = self._matches.pop(uid, None)
            if before is not None:
                self._count(before, -1)
            if pod is not None and targets.matches(self._target, pod, self._workload_selector):
                match = self._match(pod)
                self._matches[uid] = match
                self._count(match, 1)
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

    def _match(self, pod: Pod) -> _Match:
        return _Match(
            pod,
            targets.chosen_pod(self._target, pod),
            ended=targets.has_ended(pod),
            suitable=bool(targets.wanted(self._target, pod)),
        )

    def _count(self, match: _Match, sign: int) -> None:
        """Add a match to the sums and lists, or take it out again."""
        if match.ended:
            return
        self._alive += sign
        for name in targets.container_names(match.pod):
            self._names[name] += sign
        for kind in targets.UNTRACED_KINDS:
            for each in match.pod["spec"].get(kind) or ():
                self._others[kind, each["name"]] += sign
        if not match.suitable:
            if sign > 0:
                self._without_container[match.chosen.uid] = match.chosen.name
            else:
                self._without_container.pop(match.chosen.uid, None)
        elif sign > 0:
            bisect.insort(self._suitable, match.place)
        else:
            del self._suitable[bisect.bisect_left(self._suitable, match.place)]

    def _taken(self, chosen: Collection[str]) -> list[ChosenPod]:
        kept = sorted(match.place for uid in chosen if (match := self._matches.get(uid)) and self._is_candidate(match))
        places = kept[: self._target.max_pods]
        others = (place for place in self._suitable if place[2] not in chosen)
        while len(places) < self._target.max_pods and (place := next(others, None)) is not None:
            places.append(place)
        return [self._matches[uid].chosen for _, _, uid in places]

    def _is_candidate(self, match: _Match) -> bool:
        return match.suitable and not match.ended

    def _left_out(self, taken: Collection[str], count: int) -> Iterator[str]:
        names = (name for _, name, uid in self._suitable if uid not in taken)
        return (name for _, name in zip(range(count), names, strict=False))

    def _unknown_names(self) -> tuple[Failure, ...]:
        if not self._alive:
            return ()
        there = sorted(name for name, count in self._names.items() if count)
        others = [key for key, count in self._others.items() if count]
        return tuple(targets.unknown_name(name, there, others) for name in self._target.containers if name not in there)

    def _why_nothing(self, taken: list[ChosenPod], failures: tuple[Failure, ...]) -> dict[str, str]:
        """Return the reason and the message of a target of which nothing runs."""
        if any(pod.running for pod in taken):
            return {}
        names = [match.chosen.name for match in self._matches.values()]
        reason, message = targets.why_nothing(self._target, names, self._alive, taken, failures)
        return {"reason": reason, "why_nothing": message}
