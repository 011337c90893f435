"""The result of a local trace: the same status as in a cluster, and how it is written."""

import codecs
import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import yaml

from kubestrace_cli.local.endings import Ending
from kubestrace_cli.output import error_lines, narrow
from kubestrace_cli.session_file.sessions import Session
from kubestrace_operator.api import conditions
from kubestrace_operator.comparison import text as comparison_text
from kubestrace_operator.comparison.baseline import Compared, Unusable
from kubestrace_operator.findings import text as findings_text
from kubestrace_operator.results import merge
from kubestrace_operator.results.rows import shown_mark
from kubestrace_operator.status import builder as statuses
from kubestrace_operator.status import progress
from kubestrace_operator.views import registry
from kubestrace_operator.views.view import Loss
from kubestrace_protos.v1 import agent_pb2

_MODES = {agent_pb2.CGROUP_MODE_UNIFIED: "unified", agent_pb2.CGROUP_MODE_HYBRID: "hybrid"}
# Lines of the lists below the table; -o yaml and json have more.
_SHOWN_UNRETURNED = 20


class ResultFileError(Exception):
    """The file of --to, or standard output, cannot be written."""


def status(
    session: Session,
    report: agent_pb2.Report,
    ending: Ending,
    mode: agent_pb2.CgroupMode,
    remarks: Sequence[str] = (),
    *,
    compared: Compared | Unusable | None = None,
) -> dict[str, Any]:
    """Return the status, whole: no cap on its size. `remarks` are added to the message of how it ended."""
    message = " ".join(f"{text[0].upper()}{text[1:]}." for text in (ending.message, *remarks))
    if ending.by_person:
        outcome = conditions.Outcome(conditions.CANCELLED, "Cancelled", message)
    else:
        outcome = conditions.Outcome(conditions.SUCCEEDED, "Completed", message)
    end = _moment(report.time_unix_nanoseconds)
    stands = progress.Progress(
        outcome=outcome,
        generation=session.generation,
        start=_moment(report.start_time_unix_nanoseconds),
        completion=end,
        targets=progress.Targets(matched=1, finished=1),
        cgroup_modes=frozenset({_MODES[mode]}),
        filtered=bool(session.syscalls),
        views=session.views,
        duration_seconds=session.duration_seconds,
        compared=compared,
    )
    return statuses.status(merge.merge([report]), stands, now=end, limit_bytes=None)


@contextlib.contextmanager
def opened(to: Path | None) -> Iterator[TextIO]:
    """Open the result's place before the trace, so that a wrong one is reported at once.

    A file keeps what it holds until the result is written: there may be no trace, and none is made for nothing.
    """
    if to is None:
        if sys.stdout is None:
            raise ResultFileError("cannot write the result: standard output is closed; name a file with --to")
        yield sys.stdout
        return
    try:
        is_new = not to.exists()
        file = to.open("a")
    except OSError as error:
        raise ResultFileError(f"cannot write the result to {to}: {error.strerror}") from error
    with file:
        try:
            yield file
        finally:
            if is_new:
                _remove_empty(to)


def _remove_empty(path: Path) -> None:
    with contextlib.suppress(OSError):
        if not path.stat().st_size:
            path.unlink()


def write(document: Mapping[str, Any], output: str, to: TextIO, *, anew: bool = False) -> None:
    """Write the whole document (yaml, json), its folded stacks or the table, `anew` in the place of what a file held.

    A reader that has gone away is no error. Raises ResultFileError for any other reason.
    """
    # What the place's encoding does not have (a lone surrogate of the session's file, anything but ASCII in some
    # locales) is written as an escape: A document has its format's own escapes.
    encoding = to.encoding or "utf-8"
    as_utf_8 = codecs.lookup(encoding).name == "utf-8"
    if output == "table":
        text = table(document, _columns(to))
    elif output == "folded":
        text = _folded(document)
    else:
        text = {"yaml": _yaml, "json": _json}[output](document, as_utf_8)
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        if anew:
            _empty(to.fileno())
        to.write(text)
        to.flush()
    except OSError as error:
        # What is left in Python's buffer is written once more when the file is closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), to.fileno())
        if not isinstance(error, BrokenPipeError):
            name = "standard output" if to is sys.stdout else to.name
            raise ResultFileError(f"cannot write the result to {name}: {error.strerror}") from error


def _empty(fd: int) -> None:
    """Take away what a file held, but not what was written through our own output (--to /dev/stderr) just now."""
    place = os.fstat(fd)
    if stat.S_ISREG(place.st_mode) and not any(_leads_to(own, place) for own in (1, 2)):
        os.ftruncate(fd, 0)


def _leads_to(fd: int, place: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), place)
    except OSError:  # closed
        return False


def _columns(to: TextIO) -> int | None:
    """Return how wide a terminal is; None: this is none, or one that does not say."""
    try:
        return os.get_terminal_size(to.fileno()).columns or None
    except OSError:
        return None


def _folded(document: Mapping[str, Any]) -> str:
    return "".join(f"{line}\n" for view in registry.VIEWS for line in view.folded(document["status"]))


def table(document: Mapping[str, Any], columns: int | None = None) -> str:
    """Return the table of the status with the lists below it, and what to know before trusting it.

    It fits into a terminal with so many columns, but for lines of lists, which may hold paths of any length.
    """
    state = document["status"]
    text = state["table"].rstrip("\n")
    lines = [narrow.fitted(text, columns) if columns else text]
    found = list(findings_text.lines({"findings": state["findings"]})) if state.get("findings") else []
    for block in (list(comparison_text.lines(state)), found):
        if block:
            lines = [*(narrow.wrapped(block, columns) if columns else block), "", *lines]
    for view in registry.VIEWS:
        lines += view.overview(state)
    lines += error_lines.lines(state["summary"]["errorCounts"])
    for view in registry.VIEWS:
        lines += view.details(state)
    lines += _unreturned(state["unreturned"])
    remarks = list(_remarks(state))
    lines += ["", *(narrow.wrapped(remarks, columns) if columns else remarks)]
    return "\n".join(lines) + "\n"


def _unreturned(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the calls that have not returned: for how long, who, and what; `>` means at least."""
    if not rows:
        return
    yield from ("", "not returned and not counted, those that wait at the end")
    yield "        sec   pid   tid  thread           call"
    for row in rows[:_SHOWN_UNRETURNED]:
        age = f"{'>' if row['beganEarlier'] else ''}{row['ageNanoseconds'] / 1e9:.3f}"
        mark = shown_mark(row.get("abi", ""), wait=row["wait"])
        who = f"{row.get('pid', row['hostPid']):5} {row.get('tid', row['hostTid']):5}  {row.get('thread', ''):<16}"
        yield f"{age:>11} {who} {row['syscall']}({row.get('arguments', '')})  {mark}".rstrip()
    if len(rows) > _SHOWN_UNRETURNED:
        yield f"({len(rows) - _SHOWN_UNRETURNED} more)"


def _remarks(state: Mapping[str, Any]) -> Iterator[str]:
    """Yield how it ended, and what the numbers do not hold."""
    conditions = {each["type"]: each for each in state["conditions"]}
    trust = state["trust"]
    yield conditions["Finished"]["message"]
    if not trust["complete"]:
        yield f"NOT COMPLETE: {conditions['DataComplete']['message']}"
    if trust["unmatchedCalls"]:
        yield f"In progress when counting began: {trust['unmatchedCalls']}, counted without a length."
    # The list above says so of those that are in it.
    if trust["unreturnedCalls"] and not state["unreturned"]:
        yield f"Not returned when counting ended: {trust['unreturnedCalls']}, not counted."
    for view in registry.VIEWS:
        yield from view.remarks(state)
        yield from _losses(view.known_losses, trust.get("losses", {}))


def _losses(known: Sequence[Loss], losses: Mapping[str, int]) -> Iterator[str]:
    """Yield the losses that leave the result complete: the others are in DataComplete."""
    for loss in known:
        if not loss.reason and losses.get(loss.name):
            yield loss.sentence(losses[loss.name])


def _json(document: Mapping[str, Any], as_utf_8: bool) -> str:
    return json.dumps(document, indent=2, ensure_ascii=not as_utf_8) + "\n"


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines, the table, as a block that can be read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(document: Mapping[str, Any], as_utf_8: bool) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=as_utf_8, width=120)


def _moment(unix_ns: int) -> datetime:
    return datetime.fromtimestamp(unix_ns / 1e9, UTC)
