"""Findings about single files: one that is empty. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
)
from kubestrace_operator.results.rows import ContainerRow
from kubestrace_protos.v1.views import errors_optional_files as optional_files

_LEAST_EMPTY, _NAMED = 5, 3
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
# Empty in many images, and read by C libraries and logins.
_OFTEN_EMPTY = frozenset(f"/etc/{name}" for name in ("environment", "machine-id", "motd", "mtab", "fstab", "exports"))
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


EMPTY_FILE = Rule(
    "empty-file",
    _empty_file,
    needs=("files", "errors"),
    about="A file of settings or a secret (below etc, config, secrets, or by its ending) was opened, read, and had no "
    "bytes: critical where a container ended with an error and no failed call explains that, a warning where it was "
    f"opened {_LEAST_EMPTY} times or more, and twice as often as programs were executed.",
    source="kubelet makes an empty file of an empty key; its readers seldom say that it was empty",
)
RULES = (EMPTY_FILE,)
