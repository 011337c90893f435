"""What a schedule does now: start a session, wait, or leave it out, and why. Pure.

As CronJob has it, of several missed slots only the last is made up for, and with Forbid a slot waits for the session
that runs, until its deadline or the next slot.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from kubestrace_operator.schedules.cron import Cron

ALLOW, FORBID, REPLACE = "Allow", "Forbid", "Replace"
HOUR = timedelta(hours=1)
# Clocks of different nodes may differ by so much.
_SKEW = timedelta(minutes=1)
# Missed slots are counted up to here, so that a minutely schedule that slept for a year does not count for long.
MOST_MISSED = 1000

# Why a slot or an event made no session.
MISSED = "Missed"
DEADLINE = "DeadlinePassed"
ACTIVE = "SessionActive"
COOL_DOWN = "CoolDown"
CAP = "HourlyCap"
REFUSED = "Refused"
CLOSED = "NamespaceClosed"
REASONS = (MISSED, DEADLINE, ACTIVE, COOL_DOWN, CAP, REFUSED, CLOSED)


@dataclass(frozen=True)
class Rules:
    """What a schedule says about when."""

    cron: Cron | None
    concurrency: str = FORBID
    starting_deadline: timedelta | None = None
    cool_down: timedelta = timedelta(minutes=5)
    most_per_hour: int = 12
    suspend: bool = False


@dataclass(frozen=True)
class State:
    """What a schedule has done so far."""

    # Slots up to here are dealt with: started or left out for good.
    considered: datetime
    # A slot that waits for a session to end.
    held: datetime | None = None
    # When an event last made a session.
    last_event: datetime | None = None
    # When sessions of the last hour were started, by their names.
    starts: Mapping[str, datetime] = field(default_factory=dict)

    def recent(self, now: datetime) -> dict[str, datetime]:
        """Return the sessions of the last hour; one that a wrong clock put into the future is among them."""
        return {name: when for name, when in self.starts.items() if when > now - HOUR}

    def believable(self, now: datetime) -> "State":
        """Return the state without dates of the future: a clock was ahead, and nothing would come until then.

        Slots that came by that clock have their sessions, by which they are known when they come again.
        """
        latest = now + _SKEW
        return replace(
            self,
            considered=self.considered if self.considered <= latest else now,
            held=self.held if self.held is None or self.held <= latest else None,
            last_event=self.last_event if self.last_event is None or self.last_event <= latest else now,
        )


@dataclass(frozen=True)
class Skip:
    """Slots or events that made no session."""

    reason: str
    message: str
    count: int = 1


@dataclass(frozen=True)
class Step:
    """What is to be done, and the state after it."""

    state: State
    start: bool = False
    # The session is there already: an operator made it and could not say so.
    made: bool = False
    # The slot that is started, or left out.
    slot: datetime | None = None
    # Sessions that run end first.
    replace: bool = False
    skips: tuple[Skip, ...] = ()


def at_time(
    rules: Rules, state: State, active: int, now: datetime, is_made: Callable[[datetime], bool] = lambda _: False
) -> Step:
    """Return what to do about slots that have come; `is_made` says whether a slot has its session already."""
    if rules.cron is None or rules.suspend:
        return Step(state)
    slot = rules.cron.latest(state.considered, now)
    if slot is None:
        return Step(state)
    step = _at_slot(rules, state, slot, active, now, made=is_made(slot))
    return replace(step, slot=slot, skips=(*_superseded(rules.cron, state, slot), *step.skips))


def _at_slot(rules: Rules, state: State, slot: datetime, active: int, now: datetime, *, made: bool) -> Step:
    """Return what to do about the last slot that has come."""
    held = replace(state, considered=slot - timedelta(microseconds=1), held=slot)
    done = replace(state, considered=slot, held=None)
    if made:
        return Step(done, made=True)
    if rules.starting_deadline is not None and now > slot + rules.starting_deadline:
        return Step(done, skips=(_late(state, slot, rules.starting_deadline),))
    if active and rules.concurrency == FORBID:
        return Step(held)
    if len(state.recent(now)) >= rules.most_per_hour:
        return Step(done, skips=(_capped(rules),))
    return Step(done, start=True, replace=rules.concurrency == REPLACE)


def at_event(rules: Rules, state: State, active: int, now: datetime) -> Step:
    """Return what to do about an event of a pod."""
    if rules.suspend:
        return Step(state)
    if state.last_event is not None and now < state.last_event + rules.cool_down:
        seconds = int(rules.cool_down.total_seconds())
        return Step(state, skips=(Skip(COOL_DOWN, f"An event came within {seconds} s of the last that was traced."),))
    if active and rules.concurrency == FORBID:
        return Step(state, skips=(Skip(ACTIVE, "An event came while a session ran."),))
    if len(state.recent(now)) >= rules.most_per_hour:
        return Step(state, skips=(_capped(rules),))
    return Step(replace(state, last_event=now), start=True, replace=rules.concurrency == REPLACE)


def started(state: State, name: str, now: datetime) -> State:
    """Return the state after a session was started."""
    return replace(state, starts={**state.recent(now), name: now})


def had_event(state: State, name: str) -> State:
    """Return the state with the event of a session that is there already."""
    known = [when for when in (state.last_event, state.starts.get(name)) if when is not None]
    return replace(state, last_event=max(known, default=None))


def next_look(rules: Rules, state: State, now: datetime) -> datetime | None:
    """Return when slots are to be looked at again; None: nothing comes by itself."""
    if rules.cron is None or rules.suspend:
        return None
    after = max(now, state.considered)
    following = rules.cron.following(after)
    if state.held is not None and rules.starting_deadline is not None:
        passed = state.held + rules.starting_deadline + timedelta(microseconds=1)
        return passed if following is None else min(following, passed)
    return following


def _superseded(cron: Cron, state: State, slot: datetime) -> tuple[Skip, ...]:
    """Return why the slots before this one made no session."""
    before = cron.count(state.considered, slot, MOST_MISSED)
    was_held = state.held is not None and state.held < slot
    missed = before - was_held
    skips = []
    if was_held:
        skips.append(Skip(ACTIVE, f"The slot of {state.held:%Y-%m-%d %H:%M} UTC passed while a session ran."))
    if missed > 0:
        more = "at least " if missed >= MOST_MISSED - 1 else ""
        skips.append(Skip(MISSED, f"{more}{missed} slots before {slot:%Y-%m-%d %H:%M} UTC were missed.", missed))
    return tuple(skips)


def _late(state: State, slot: datetime, deadline: timedelta) -> Skip:
    seconds = int(deadline.total_seconds())
    if state.held == slot:
        return Skip(ACTIVE, f"The session before ran more than {seconds} s longer than the slot of {slot:%H:%M} UTC.")
    return Skip(DEADLINE, f"The slot of {slot:%Y-%m-%d %H:%M} UTC was missed by more than {seconds} s.")


def _capped(rules: Rules) -> Skip:
    return Skip(CAP, f"{rules.most_per_hour} sessions were started within an hour already: maxSessionsPerHour.")
