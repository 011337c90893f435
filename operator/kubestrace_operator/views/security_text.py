"""The view security as text for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.results.places import Places

_MOST = 12
_SAID = "Seen at the end of calls, and no proof: names may be chosen. io_uring and what was before are not seen."


def lines(
    matches: Sequence[Mapping[str, Any]], execs: Sequence[Mapping[str, Any]], executions: int, places: Places
) -> Iterator[str]:
    """Yield the rows of status.security, and what they are worth."""
    if not matches and not execs:
        yield f"Nothing of interest for security was seen, in {executions} executions among others. {_SAID}"
        return
    yield f"{'count':>10} {'kind':<14} of interest for security"
    for row in execs[:_MOST]:
        yield f"{row['count']:>10} {'execution':<14} {_execution(row)}{_origin(row)}{_where(row, places)}"
    if len(execs) > _MOST:
        yield f"and {len(execs) - _MOST} more in status.security.execs"
    for row in matches[:_MOST]:
        yield f"{row['count']:>10} {row['kind']:<14} {_match(row)}{_origin(row)}{_where(row, places)}"
    if len(matches) > _MOST:
        yield f"and {len(matches) - _MOST} more in status.security.matches"
    yield _SAID


def _execution(row: Mapping[str, Any]) -> str:
    words = [f"{row['path']} ({', '.join(row['signs'])})"]
    words += [f"by {row['parent']}"] if "parent" in row else []
    words += [f"with {row['peer']}"] if "peer" in row else []
    return " ".join(words)


def _match(row: Mapping[str, Any]) -> str:
    words = [row["program"], row["syscall"]]
    words += [row["object"]] if "object" in row else []
    words += [f"({row['access']})"] if "access" in row else []
    words += [row["errno"]] if "errno" in row else []
    words += ["expected"] if row.get("expected") else []
    return " ".join(words)


def _where(row: Mapping[str, Any], places: Places) -> str:
    return places.behind_some(row.get("containers", ()), row.get("containerCount", 1))


def _origin(row: Mapping[str, Any]) -> str:
    if row.get("runtime"):
        return ", by the container's runtime"
    return ", from outside of the container" if row.get("fromOutside") else ""
