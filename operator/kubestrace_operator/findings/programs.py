"""Findings about programs that are started again and again. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from posixpath import basename
from typing import Any

from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Rule,
    Severity,
    number,
    of_these,
)

_EXECS = ("execve", "execveat")
# A program that starts others as it begins is no churn, however short the session.
_EXEC_RATE, _LEAST_EXECS = 10.0, 100
# Whose work it is to start programs: where one of these runs, the others are its steps.
BUILDERS = frozenset(
    {
        *("make", "gmake", "ninja", "samu", "cmake", "ctest", "meson", "bazel", "buck2", "scons", "ccache", "sccache"),
        *(
            "gcc",
            "g++",
            "cc",
            "c++",
            "cc1",
            "cc1plus",
            "clang",
            "clang++",
            "ld",
            "rustc",
            "cargo",
            "go",
            "javac",
            "mvn",
        ),
        *("gradle", "npm", "yarn", "pnpm", "pip", "pip3", "dpkg", "dpkg-deb", "apt", "apt-get", "apk", "rpm", "dnf"),
        *("yum", "microdnf", "zypper", "pacman", "docker-buildx", "buildkitd", "buildah", "parallel", "xargs"),
    }
)

_Row = Mapping[str, Any]


def _process_churn(facts: Facts) -> Iterator[Finding]:
    rows = facts.named(_EXECS)
    count = sum(row.calls - row.errors for row in rows)
    if facts.rate(count) < _EXEC_RATE or count < _LEAST_EXECS:
        return
    yield Finding(
        "process-churn",
        _severity(facts),
        Confidence.MEDIUM,
        f"{number(facts.rate(count))} programs a second are executed: {count:,} in {facts.seconds:.0f} s."
        f"{_executed(facts)}",
        f"Use a library instead of a command; turn exec probes into httpGet or grpc probes.{_who(facts)}",
        "A build, or a shell script that is the job.",
        (Evidence("programsPerSecond", facts.rate(count), _EXEC_RATE),),
        weight=facts.share(rows),
    )


def _severity(facts: Facts) -> Severity:
    """Return a warning where it is known what runs, and no build does."""
    rows = _processes(facts)
    return Severity.INFO if not rows or any(_programs(row) & BUILDERS for row in rows) else Severity.WARNING


def _processes(facts: Facts) -> list[_Row]:
    return list(facts.status.get("processes", ()))


def _programs(row: _Row) -> set[str]:
    """Return the names of the programs that a process ran."""
    execs = [each["executable"] for each in row.get("execs", ())]
    return {basename(path) for path in (row.get("executable", ""), *execs)} | {row.get("name", "")}


def _who(facts: Facts) -> str:
    return "" if _processes(facts) else " views.processes tells which programs they are."


def _executed(facts: Facts) -> str:
    """Name the program that was executed most, where processes were counted."""
    programs: Counter[str] = Counter()
    for row in _processes(facts):
        # What was there before the session, or was only forked, has executed nothing.
        if row.get("executable") and row.get("image", 1):
            programs[row["executable"]] += row.get("processes", 1)
    if not programs:
        return ""
    ((program, count),) = programs.most_common(1)
    return f" {of_these(count, programs.total())} that are told one by one run {program}."


RULES = (
    Rule(
        "process-churn",
        _process_churn,
        about="10 programs a second or more are executed, and 100 or more: a warning where views.processes knows them, "
        "and no build is among them.",
        source="an exec costs 1 ms of CPU",
    ),
)
