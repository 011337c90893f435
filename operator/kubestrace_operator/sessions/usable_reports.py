"""A status of all reports, or of those that can be summed: one agent's nonsense must not cost the others' results.

What can be checked of a report is checked when it comes (agents.reports). Numbers of views may still make no sense
together: of an agent that was taken over, or by an error of ours.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from kubestrace_operator.results import merge
from kubestrace_operator.results.merge import Merged, Trust
from kubestrace_protos.v1 import agent_pb2

_log = logging.getLogger(__name__)
_INVALID = "InvalidReport"
# The API server refuses a whole status for one number that needs more bits.
_MOST = 2**63 - 1

# Makes a status of reports, and of what is known beside them.
Make = Callable[[Sequence[agent_pb2.Report], Merged], dict[str, Any]]


def status(reports: Sequence[agent_pb2.Report], beside: Merged, make: Make) -> dict[str, Any]:
    """Return a status; reports of which none can be made are left out, each with a gap. Raises what others raise.

    Numbers that the API does not hold become the largest that it does.
    """
    document: dict[str, Any] = _held(_status(reports, beside, make))
    return document


def _status(reports: Sequence[agent_pb2.Report], beside: Merged, make: Make) -> dict[str, Any]:
    document, problem = None, None
    try:
        document = make(reports, beside)
    except Exception as error:  # noqa: BLE001 -- raised below, where it is nobody's report
        problem = error
    if document is not None and _is_whole(document, make):
        return document
    left_out = [report for report in reports if not _is_usable(report, make)]
    if left_out:
        gaps = Merged(trust=Trust(gaps=[_gap(report) for report in left_out]))
        return make([report for report in reports if report not in left_out], merge.add([beside, gaps]))
    if document is None:
        raise problem or ValueError("no status was made")
    return document


def _is_whole(document: dict[str, Any], make: Make) -> bool:
    """Tell whether a status has its sums; one whose texts leave no room for anything has not."""
    return "summary" in document or "summary" not in make([], Merged())


def _held(value: Any) -> Any:
    kind = type(value)
    # Most of thousands are these.
    if kind is int:
        return value if -_MOST <= value <= _MOST else max(-_MOST, min(value, _MOST))
    if kind is str or kind is bool:
        return value
    if isinstance(value, dict):
        return {name: _held(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_held(each) for each in value]
    return value


def _is_usable(report: agent_pb2.Report, make: Make) -> bool:
    try:
        if _is_whole(make([report], Merged()), make):
            return True
        _log.warning("the report of the agent on node %s leaves no room for any result", report.node)
    except Exception:  # noqa: BLE001 -- whatever it is, the others can be summed
        _log.exception("the report of the agent on node %s makes no sense", report.node)
    return False


def _gap(report: agent_pb2.Report) -> agent_pb2.Gap:
    return agent_pb2.Gap(
        node=report.node,
        reason=_INVALID,
        message=f"what the agent on node {report.node} reported makes no sense and is left out",
        start_time_unix_nanoseconds=report.start_time_unix_nanoseconds,
        end_time_unix_nanoseconds=report.time_unix_nanoseconds,
    )
