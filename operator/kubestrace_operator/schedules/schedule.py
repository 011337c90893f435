"""One schedule: looks when a slot comes, a pod has an event or a session changes, and does what decision.py says."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from kubestrace_operator import metrics
from kubestrace_operator.api.spec import InvalidSpecError
from kubestrace_operator.kube.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError, RejectedError
from kubestrace_operator.kube.schedules import ScheduleRow
from kubestrace_operator.kube.session_rows import SessionRow
from kubestrace_operator.schedules import decision, objects, status
from kubestrace_operator.schedules.decision import Skip, State, Step
from kubestrace_operator.schedules.interfaces import Surroundings
from kubestrace_operator.schedules.pod_events import PodEvent
from kubestrace_operator.schedules.pod_follower import PodFollower
from kubestrace_operator.schedules.spec import ScheduleSpec, parse
from kubestrace_operator.schedules.status import Standing

_log = logging.getLogger(__name__)
# The clock may be set: no wait is longer than this, seconds.
_LONGEST_WAIT = 60.0
# Events that wait to be looked at; of a storm most would be skipped for the cool-down.
_MOST_EVENTS = 100
# What is counted often is no event of its own.
_QUIET = frozenset({decision.COOL_DOWN})


class Schedule:
    """What one schedule does."""

    def __init__(self, body: Mapping[str, Any], around: Surroundings) -> None:
        self.row = ScheduleRow.of(body)
        self._around = around
        self._body = body
        self._spec: ScheduleSpec | None = None
        self._record = status.read(body)
        self._standing = Standing(True, "Active", "Sessions are made as the spec says.")
        # A session that could not be made; the next one that can be takes it away.
        self._refused = ""
        # Sessions that are among those created already.
        self._counted = set(self._record.state.starts)
        self._events: list[PodEvent] = []
        self._wake = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None
        self._written: Mapping[str, Any] = body.get("status") or {}
        self._take_spec()

    # What it hears.

    def change(self, body: Mapping[str, Any]) -> None:
        """Take over how the object is now."""
        changed = body["metadata"].get("generation") != self._body["metadata"].get("generation")
        self._body = body
        if changed:
            self._refused = ""
            self._take_spec()
            self._wake.set()

    def look_again(self) -> None:
        """Note that one of its sessions has changed."""
        self._wake.set()

    def happened(self, events: list[PodEvent]) -> None:
        """Note what happened to its pods."""
        room = _MOST_EVENTS - len(self._events)
        self._events += events[:room]
        if len(events) > room:
            message = "Events came faster than they could be looked at."
            self._skip(Skip(decision.COOL_DOWN, message, len(events) - room))
        self._wake.set()

    async def run(self) -> None:
        """Serve the schedule; ends when its object is gone."""
        try:
            while True:
                self._wake.clear()
                self._follow_pods()
                try:
                    await self._look()
                except NotFoundError:
                    return
                except ClusterError as error:
                    _log.warning("%s: not served now: %s", self.row.path, error)
                    await asyncio.sleep(self._around.retry_seconds)
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._seconds()):
                        await self._wake.wait()
        finally:
            if self._follower is not None:
                self._follower.cancel()

    # What it does.

    def _take_spec(self) -> None:
        self._stop_following()
        try:
            self._spec = parse(self._body)
        except InvalidSpecError as error:
            self._spec = None
            self._standing = Standing(False, "InvalidSpec", f"{error}.", stalled=True)
            self._post("Warning", "InvalidSpec", f"{error}.", key=f"invalid {self._generation}")
            return
        self._record.follow(self._spec.rules.cron, self._around.now())

    def _follow_pods(self) -> None:
        spec = self._spec
        if spec is None or not spec.watches_pods or self._follower is not None:
            return
        follower = PodFollower(self._around.cluster, self.row.namespace, spec.target, spec.events)
        self._follower = asyncio.create_task(follower.run(self.happened, self._around.retry_seconds))

    def _stop_following(self) -> None:
        self._events.clear()
        if self._follower is not None:
            self._follower.cancel()
            self._follower = None

    def _seconds(self) -> float:
        """Return how long to wait for what comes by itself."""
        if self._spec is None:
            return _LONGEST_WAIT
        now = self._around.now()
        following = decision.next_look(self._spec.rules, self._record.state, now)
        if following is None:
            return _LONGEST_WAIT
        return min(_LONGEST_WAIT, max(0.0, (following - now).total_seconds()))

    async def _look(self) -> None:
        rows = await self._around.objects.sessions(self.row)
        self._learn(rows)
        if self._spec is not None:
            rows = await self._at_slots(self._spec, rows)
            rows = await self._at_events(self._spec, rows)
            await self._keep_history(self._spec, rows)
            self._standing = self._present(self._spec)
        await self._write(rows)

    def _learn(self, rows: list[SessionRow]) -> None:
        """Take over what the sessions say: an operator may have ended between a session and its status."""
        known = {row.name: when for row in rows if (when := status.time_of(row.created)) is not None}
        now = self._around.now()
        state = self._record.state.believable(now)
        starts = State(state.considered, starts={**known, **state.starts}).recent(now)
        self._record.state = replace(state, starts=starts)
        # Of a schedule that goes on for years the others are many; none of them is met again.
        self._counted &= known.keys() | starts.keys()
        self._record.last_successful = status.last_successful(rows, self._record.last_successful)

    async def _at_slots(self, spec: ScheduleSpec, rows: list[SessionRow]) -> list[SessionRow]:
        names = {row.name for row in rows}

        def is_made(slot: datetime) -> bool:
            return objects.slot_name(self.row, slot) in names

        step = decision.at_time(spec.rules, self._record.state, _active(rows), self._around.now(), is_made)
        if step.slot is not None and (step.start or step.made):
            name, cause = objects.slot_name(self.row, step.slot), objects.slot_cause(step.slot)
            if step.made:
                self._made(name, cause)
            else:
                rows, step = await self._start(spec, step, rows, name, cause)
            if step.start or step.made:
                self._record.last_schedule = step.slot
        self._take(step)
        if step.slot is not None and step.state.held is not None:
            message = f"The slot of {step.slot:%Y-%m-%d %H:%M} UTC waits: a session runs."
            self._post("Normal", decision.ACTIVE, message, key=f"held {step.slot}")
        return rows

    async def _at_events(self, spec: ScheduleSpec, rows: list[SessionRow]) -> list[SessionRow]:
        while self._events:
            event = self._events[0]
            name, cause = objects.event_name(self.row, event), objects.event_cause(event)
            if any(row.name == name for row in rows):
                # The attempt before made it and heard no answer, or an earlier operator did.
                self._record.state = decision.had_event(self._record.state, name)
                self._made(name, cause)
            else:
                step = decision.at_event(spec.rules, self._record.state, _active(rows), self._around.now())
                if step.start:
                    rows, step = await self._start(spec, step, rows, name, cause)
                self._take(step)
            # Another spec may have come meanwhile, whose events these are not.
            if self._events and self._events[0] is event:
                del self._events[0]
        return rows

    def _take(self, step: Step) -> None:
        """Take over the state after a step, with the sessions that were started meanwhile."""
        self._record.state = replace(step.state, starts=self._record.state.starts)
        for skip in step.skips:
            self._skip(skip)

    async def _start(
        self, spec: ScheduleSpec, step: Step, rows: list[SessionRow], name: str, cause: Mapping[str, str]
    ) -> tuple[list[SessionRow], Step]:
        """Make a session; return the sessions that there are then, and the step as it was done. Raises ClusterError."""
        labels = await self._around.cluster.namespace_labels(self.row.namespace)
        closed = self._around.refusal(self.row.namespace, labels)
        if closed:
            self._refuse(Skip(decision.CLOSED, closed))
            return rows, replace(step, start=False)
        if step.replace:
            await self._delete([row for row in rows if not row.finished and row.name != name], "replaced")
        try:
            await self._around.objects.create_session(objects.session(self.row, spec, name, cause))
        except ConflictError:
            # An operator that ended before it wrote the status has made it; or it is somebody else's.
            rows = await self._around.objects.sessions(self.row)
            if not any(row.name == name for row in rows):
                self._refuse(Skip(decision.REFUSED, f"There is another session with the name {name}."))
                return rows, replace(step, start=False)
        except (ForbiddenError, RejectedError) as error:
            self._refuse(Skip(decision.REFUSED, f"The API server refused session {name}: {error}."))
            return rows, replace(step, start=False)
        self._made(name, cause)
        return await self._around.objects.sessions(self.row), step

    def _made(self, name: str, cause: Mapping[str, str]) -> None:
        self._refused = ""
        if name in self._counted:
            return
        self._counted.add(name)
        self._record.created += 1
        metrics.scheduled(cause.get(objects.EVENT, ""))
        self._record.state = decision.started(self._record.state, name, self._around.now())
        why = ", ".join(f"{key.rpartition('/')[2]} {value}" for key, value in cause.items())
        _log.info("%s: made session %s (%s)", self.row.path, name, why)
        self._post("Normal", "SessionCreated", f"Made session {name} ({why}).", key=f"made {name}")

    def _refuse(self, skip: Skip) -> None:
        self._refused = skip.message
        self._skip(skip)

    def _skip(self, skip: Skip) -> None:
        now = self._around.now()
        self._record.skip(skip, now)
        metrics.schedule_skipped(skip.reason, skip.count)
        if skip.reason not in _QUIET:
            # Of one kind there is one event an hour: a storm of events would be as many.
            key = f"{skip.reason} {now:%Y-%m-%d %H}"
            kind = "Normal" if skip.reason == decision.ACTIVE else "Warning"
            self._post(kind, skip.reason, skip.message, key=key)

    async def _keep_history(self, spec: ScheduleSpec, rows: list[SessionRow]) -> None:
        await self._delete(objects.superfluous(rows, spec), "beyond the history limit")

    async def _delete(self, rows: list[SessionRow], why: str) -> None:
        for row in rows:
            with suppress(NotFoundError):
                await self._around.objects.delete_session(row)
                _log.info("%s: deleted session %s, %s", self.row.path, row.name, why)

    def _present(self, spec: ScheduleSpec) -> Standing:
        if self._refused:
            return Standing(False, "SessionRefused", self._refused)
        if spec.rules.suspend:
            return Standing(True, "ScheduleSuspended", "No sessions are made while spec.suspend is true.")
        return Standing(True, "Active", "Sessions are made as the spec says.")

    async def _write(self, rows: list[SessionRow]) -> None:
        now = self._around.now()
        document = status.document(
            self._record,
            rows,
            self._standing,
            generation=self._generation,
            following=self._following(now),
            now=now,
            previous=self._written.get("conditions") or (),
        )
        if document != self._written:
            try:
                await self._around.objects.write_status(self.row, document)
            except RejectedError as error:
                # The CRD is an older one: the schedule works on, and says so where it can.
                _log.error("%s: the status was refused: %s", self.row.path, error)
            self._written = document

    def _following(self, now: datetime) -> datetime | None:
        if self._spec is None or self._spec.rules.cron is None or self._spec.rules.suspend:
            return None
        return self._spec.rules.cron.following(max(now, self._record.state.considered))

    @property
    def _generation(self) -> int:
        return int(self._body["metadata"].get("generation") or 1)

    def _post(self, kind: str, reason: str, message: str, key: str) -> None:
        self._around.post(self.row, kind, reason, message, key)


def _active(rows: list[SessionRow]) -> int:
    return sum(1 for row in rows if not row.finished and not row.deleting)
