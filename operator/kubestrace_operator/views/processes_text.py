"""Processes as text, each as `strace -f -c` would sum it up. Pure. A part of the view processes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.rows import shown_name


def lines(rows: Sequence[Mapping[str, Any]], others: Mapping[str, Any]) -> Iterator[str]:
    """Yield the busiest, and the sum of the others."""
    if not rows:
        yield "No process made a call."
        return
    yield "processes, by time in calls that work"
    for row in rows:
        yield ""
        yield from _process(row)
    if others["processes"]:
        yield ""
        many = "1 other process" if others["processes"] == 1 else f"{others['processes']} other processes"
        yield f"{many}: {_sums(others)}"


def _process(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"pid {row['pid']}  {row['command']}{_executable(row)}  (parent {row['parentPid']}{_end(row)})"
    if row["execsSeen"] > 1:
        names = ", ".join(each["executable"] for each in row["execs"])
        left_out = row["execsSeen"] - len(row["execs"])
        yield f"  executed {f'{left_out} before, ' if left_out else ''}{names}"
    yield "       seconds     calls    errors syscall"
    shown = row["syscalls"]
    yield from (_line(each["totalNanoseconds"], each, _name(each)) for each in shown)
    left_out = row["calls"] - sum(each["calls"] for each in shown)
    if left_out:
        rest = {
            "calls": left_out,
            "errors": row["errors"] - sum(each["errors"] for each in shown),
            "waitNanoseconds": row["waitNanoseconds"] - _sum_ns(shown, wait=True),
        }
        yield _line(row["totalNanoseconds"] - _sum_ns(shown, wait=False), rest, f"(others){_waited(rest)}")
    yield _line(row["totalNanoseconds"], row, f"total{_waited(row)}")
    for each in row["busiestThreads"]:
        yield f"  thread {each['tid']:5} {each['name']:<16} {_sums(each)}"
    if row["threads"] > len(row["busiestThreads"]) and row["busiestThreads"]:
        yield f"  {row['threads']} threads in all"


def _sum_ns(shown: Sequence[Mapping[str, Any]], *, wait: bool) -> int:
    return sum(each["totalNanoseconds"] for each in shown if each["wait"] == wait)


def _executable(row: Mapping[str, Any]) -> str:
    return f" [{row['executable']}]" if row["executable"] not in {"", row["command"]} else ""


def _end(row: Mapping[str, Any]) -> str:
    words = ""
    if "lifetimeNanoseconds" in row:
        words = f", lived {duration(row['lifetimeNanoseconds'])}"
    if "exitCode" in row:
        words += f", exit code {row['exitCode']}"
    if "signal" in row:
        words += f", ended by {row['signal']}"
    return words


def _name(each: Mapping[str, Any]) -> str:
    return shown_name(each["name"], each.get("abi", ""), wait=each["wait"])


def _line(nanoseconds: int, counts: Mapping[str, Any], name: str) -> str:
    return f"{nanoseconds / 1e9:14.6f} {counts['calls']:9} {counts['errors'] or '':9} {name}"


def _waited(row: Mapping[str, Any]) -> str:
    return f", and {row['waitNanoseconds'] / 1e9:.6f} s waiting" if row["waitNanoseconds"] else ""


def _sums(sums: Mapping[str, Any]) -> str:
    return f"{sums['calls']} calls, {sums['errors']} errors, {sums['totalNanoseconds'] / 1e9:.6f} s{_waited(sums)}"
