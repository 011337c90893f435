"""A session's time as an operator sees it that may be away or stopped."""

import asyncio

from operator_fakes import in_no_time, now

from kubestrace_operator.sessions.clock import Schedule
from kubestrace_operator.sessions.interfaces import Timing
from kubestrace_operator.sessions.session_state import SessionState


@in_no_time
async def test_an_operator_that_was_stopped_has_its_time_to_collect() -> None:
    """It sees the end as late as it wakes: what the agents sent meanwhile is still to be read."""
    state = SessionState(1, {}, now)
    schedule = Schedule(state, Timing(), now)
    schedule.duration_seconds = 10
    state.start = schedule.started()
    await asyncio.sleep(60)

    late_at_first = schedule.late
    schedule.see_end()
    until_due = schedule.until_due()
    await asyncio.sleep(3)
    schedule.see_end()

    assert (schedule.remaining, late_at_first, until_due) == (-53, 0, Timing().final)
    assert schedule.late == 3
    assert schedule.until_due() == Timing().streamed - 3
