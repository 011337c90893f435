"""Findings about single files: one that is empty, and one that is read again and again. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.api.sizes import size
from kubestrace_operator.findings import endings, exit_codes
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Rule,
    Severity,
    at_head,
    cut,
    many,
    number,
    percent,
)
from kubestrace_operator.results.rows import ContainerRow
from kubestrace_protos.v1.views import errors_optional_files as optional_files

_LEAST_EMPTY, _NAMED = 5, 3
_LEAST_OPENS, _OPEN_RATE, _SHARE, _WARNING_SHARE = 100, 10.0, 0.05, 0.2
# A rate that costs less than this share of a core is information at most.
_LEAST_CORE = 0.01
# Each program that is started may read a file once or twice.
_BY_EACH_PROGRAM = 2
_NO_FILES = ("/proc/", "/sys/", "/dev/")
_SETTINGS = re.compile(
    r"""
    (?: /etc | /configs? | /conf | /secrets? ) (?: /.* )? /[^/]+$
    | \.(?: conf | cnf | cfg | config | ini | ya?ml | json | toml | properties | xml | env | pem | crt | cer | key | p12
        | jks | token | secret | passwd | htpasswd )$
    """,
    re.VERBOSE,
)
# Empty in many images, and read by C libraries and logins. The second line is read at each look-up of a name.
_OFTEN_EMPTY = frozenset(f"/etc/{name}" for name in ("environment", "machine-id", "motd", "mtab", "fstab", "exports"))
_OF_NAMES = frozenset(
    f"/etc/{name}" for name in ("hosts", "resolv.conf", "nsswitch.conf", "gai.conf", "host.conf", "services")
)

_Row = Mapping[str, Any]


@dataclass(frozen=True)
class _File:
    """A file that was opened by a path, which may be a symbolic link, and read."""

    path: str
    opens: int
    time_ns: int
    # What was done with what is behind the path.
    row: _Row


def _files(facts: Facts) -> Iterator[_File]:
    """Yield files that were read and hardly written: those of a ConfigMap are behind two links."""
    rows: Sequence[_Row] = [
        row for row in facts.status.get("files", {}).get("paths", ()) if row["path"].startswith("/")
    ]
    opens, time_ns = Counter[str](), Counter[str]()
    links: dict[str, str] = {}
    for row in rows:
        target = row.get("file") or row["path"]
        opens[target] += row.get("opens", 0)
        time_ns[target] += row["totalNanoseconds"]
        if target != row["path"]:
            links.setdefault(target, row["path"])
    for row in rows:
        path: str = row["path"]
        if row["reads"] and not path.startswith(_NO_FILES) and 10 * row["writes"] <= opens[path]:
            yield _File(links.get(path, path), opens[path], time_ns[path], row)


def _executions(facts: Facts) -> int:
    return sum(row.calls - row.errors for row in facts.named(("execve", "execveat")))


def _empty_file(facts: Facts) -> Iterator[Finding]:
    """Near an end that no call explains, or opened again and again."""
    files = [each for each in _files(facts) if _is_empty(each)]
    again = [each for each in files if each.opens >= max(_LEAST_EMPTY, _BY_EACH_PROGRAM * _executions(facts))]
    ended = _unexplained(facts)
    told = files if ended else again
    if not told:
        return
    names = [cut(each.path) for each in sorted(told, key=lambda each: (-each.opens, each.path))]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    verb = "is empty: it was" if len(names) == 1 else "are empty: they were"
    end = f" {at_head(endings.named_places(endings.places_of(ended)))} ended with an error." if ended else ""
    opens = sum(each.opens for each in told)
    yield Finding(
        "empty-file",
        Severity.CRITICAL if ended else Severity.WARNING,
        Confidence.MEDIUM,
        f"{', '.join(names[:_NAMED])}{more} {verb} opened {many(opens, 'time')} and had nothing to read.{end}",
        "Look at the ConfigMap or Secret behind it: its key may be missing or empty, or a template rendered nothing.",
        "An empty file is allowed there, or another process fills it later.",
        (Evidence("opensOfEmptyFiles", opens, 1 if ended else _LEAST_EMPTY),),
        endings.places_of(ended),
        weight=1.0,
    )


def _is_empty(file: _File) -> bool:
    """Tell whether a file that holds settings or a secret had no bytes; what failed says why itself."""
    is_told = _SETTINGS.search(file.path) and file.path not in _OFTEN_EMPTY
    has_nothing = file.opens and not (file.row["readBytes"] or file.row["writes"] or file.row.get("errors", 0))
    return bool(is_told and has_nothing) and not optional_files.names_one(f'"{file.path}"')


def _unexplained(facts: Facts) -> list[ContainerRow]:
    known = {id(row) for rows in endings.explained(facts).values() for row in rows}
    return [
        row
        for row in facts.containers
        if endings.has_error(row) and id(row) not in known and row.state.exit_code not in exit_codes.ENDED_BY_OTHERS
    ]


def _read_again(facts: Facts) -> Iterator[Finding]:
    files = [each for each in _files(facts) if _is_read_again(facts, each)]
    if not files:
        return
    worst = max(files, key=lambda each: each.time_ns)
    share = _share(facts, worst)
    others = f" {many(len(files) - 1, 'other file')} too." if len(files) > 1 else ""
    yield Finding(
        "read-again",
        _severity(facts, worst, share),
        Confidence.MEDIUM,
        f"{cut(worst.path)} is opened and read {number(facts.rate(worst.opens))} times a second, "
        f"{size(worst.row['readBytes'] // worst.opens)} each time: {percent(share)} of the time in calls that work."
        f"{others}",
        "Read it once and keep what it says; look at its time of change now and then, or watch it (inotify).",
        "A web server that hands out the file.",
        (
            Evidence("opensPerSecond", facts.rate(worst.opens), _OPEN_RATE),
            Evidence("opens", worst.opens, _LEAST_OPENS),
            Evidence("shareOfWorkingTime", share, _SHARE),
        ),
        weight=share,
    )


def _is_read_again(facts: Facts, file: _File) -> bool:
    is_read = file.row["reads"] >= file.opens and file.row["readBytes"] >= file.opens
    return (
        is_read
        and file.opens >= max(_LEAST_OPENS, _BY_EACH_PROGRAM * _executions(facts))
        and facts.rate(file.opens) >= _OPEN_RATE
        and _share(facts, file) >= _SHARE
    )


def _share(facts: Facts, file: _File) -> float:
    return min(1.0, file.time_ns / facts.working_ns) if facts.working_ns else 0.0


def _severity(facts: Facts, file: _File, share: float) -> Severity:
    """Pages and scripts are handed out again and again on purpose; settings are not, but by the C library."""
    is_settings = _SETTINGS.search(file.path) and file.path not in _OF_NAMES
    is_costly = share >= _WARNING_SHARE and facts.rate(file.time_ns / 1e9) >= _LEAST_CORE
    return Severity.WARNING if is_settings and is_costly else Severity.INFO


EMPTY_FILE = Rule(
    "empty-file",
    _empty_file,
    needs=("files", "errors"),
    about="A file of settings or a secret (below etc, config, secrets, or by its ending) was opened, read, and had no "
    "bytes: critical where a container ended with an error and no failed call explains that, a warning where it was "
    f"opened {_LEAST_EMPTY} times or more, and twice as often as programs were executed.",
    source="kubelet makes an empty file of an empty key; its readers seldom say that it was empty",
)
READ_AGAIN = Rule(
    "read-again",
    _read_again,
    needs=("files",),
    compares=True,
    about=f"One file is opened and read {number(_OPEN_RATE)} times a second or more, {_LEAST_OPENS} times or more "
    f"and more often than programs are executed, and takes {percent(_SHARE)} of the working time: a warning from "
    f"{percent(_WARNING_SHARE)} on, if it holds settings and takes 1 % of a CPU.",
    source="measured here: Python took 8 us to open and read a file of 11 KiB, which had not changed",
)
RULES = (EMPTY_FILE, READ_AGAIN)
