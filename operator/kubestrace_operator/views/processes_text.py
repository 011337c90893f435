"""Processes as text, each as `strace -f -c` would sum it up. Pure. A part of the view processes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.results.places import Places
from kubestrace_operator.results.rows import shown_name


def lines(rows: Sequence[Mapping[str, Any]], others: Mapping[str, Any], places: Places) -> Iterator[str]:
    """Yield the busiest, and the sum of the others."""
    if not rows:
        yield "No process made a call."
        return
    yield "processes, by time in calls that work"
    for row in rows:
        yield ""
        yield from _process(row, places.word(row))
    if others["processes"]:
        yield ""
        many = "1 other process" if others["processes"] == 1 else f"{others['processes']} other processes"
        yield f"{many}: {_sums(others)}"


def _process(row: Mapping[str, Any], where: str) -> Iterator[str]:
    yield _program_head(row, where) if row.get("processes", 0) > 1 else _head(row, where)
    if "title" in row:
        yield f"  now {row['title']}"
    if "firstName" in row:
        yield f"  renamed from {row['firstName']} to {row['name']}"
    if row["execsSeen"] > 1 and row["execs"]:
        names = ", ".join(each["executable"] for each in row["execs"])
        left_out = row["execsSeen"] - len(row["execs"])
        yield f"  executed {f'{left_out} before, ' if left_out else ''}{names}"
    if "denied" in row:
        yield f"  {row['denied']} of the errors are calls that seccomp denied"
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
        was = f" (was {each['firstName']})" if "firstName" in each else ""
        yield f"  thread {each['tid']:5} {each['name']:<16} {_sums(each)}{was}"
    if "otherThreads" in row:
        left_out = row["otherThreads"]["threads"]
        many = "1 other thread" if left_out == 1 else f"{left_out} other threads"
        yield f"  {many:<29} {_sums(row['otherThreads'])}"
    elif row["threads"] > len(row["busiestThreads"]) and row["busiestThreads"]:
        yield f"  {row['threads']} threads in all"


def _sum_ns(shown: Sequence[Mapping[str, Any]], *, wait: bool) -> int:
    return sum(each["totalNanoseconds"] for each in shown if each["wait"] == wait)


def _head(row: Mapping[str, Any], where: str) -> str:
    words = [*filter(None, [where]), f"parent {row['parentPid']}"]
    words += ["from outside the container"] if row.get("fromOutside") else []
    words += _end(row)
    return f"pid {row['pid']}  {_program(row)}  ({', '.join(words)})"


def _program_head(row: Mapping[str, Any], where: str) -> str:
    words = [*filter(None, [where]), *(["from outside the container"] if row.get("fromOutside") else [])]
    words += [f"{row['living']} alive"] if row["living"] else []
    words += [f"{each['count']} {each['end']}" for each in row["ends"]]
    said = f"  ({', '.join(words)})" if words else ""
    return f"{_program(row)} x {row['processes']}{said}"


def _program(row: Mapping[str, Any]) -> str:
    found = [row["command"], *(f"'{word}'" if " " in word else word for word in row.get("arguments", ()))]
    if row["executable"] not in {"", row["command"]}:
        found.append(f"[{row['executable']}]")
    return " ".join(found)


def _end(row: Mapping[str, Any]) -> list[str]:
    """How long it lived, and how it ended; older agents do not tell that in words."""
    words = [f"lived {duration(row['lifetimeNanoseconds'])}"] if "lifetimeNanoseconds" in row else []
    if "exitCode" in row:
        words.append(f"exit code {row['exitCode']}")
    elif "end" in row:
        words.append(row["end"])
    elif "signal" in row:
        words.append(f"ended by {row['signal']}")
    return words


def _name(each: Mapping[str, Any]) -> str:
    name = shown_name(each["name"], each.get("abi", ""), wait=each["wait"])
    return f"{name}, {each['denied']} denied by seccomp" if "denied" in each else name


def _line(nanoseconds: int, counts: Mapping[str, Any], name: str) -> str:
    return f"{nanoseconds / 1e9:14.6f} {counts['calls']:9} {counts['errors'] or '':9} {name}"


def _waited(row: Mapping[str, Any]) -> str:
    return f", and {row['waitNanoseconds'] / 1e9:.6f} s waiting" if row["waitNanoseconds"] else ""


def _sums(sums: Mapping[str, Any]) -> str:
    return f"{sums['calls']} calls, {sums['errors']} errors, {sums['totalNanoseconds'] / 1e9:.6f} s{_waited(sums)}"
