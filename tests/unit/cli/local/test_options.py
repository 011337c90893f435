"""What the command line accepts and how it refuses."""

from pathlib import Path
from typing import Any

import pytest

from kubestrace_cli.local import options
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.registry import CHOOSABLE, PROFILES, VIEWS
from kubestrace_operator.views.view import Flag, View


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Parse words that are wrong and return what was said."""
    with pytest.raises(SystemExit) as ended:
        options.parse(words)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_everything_behind_the_two_dashes_is_the_commands_own() -> None:
    """Words that look like our options stay COMMAND's when they come after --."""
    parsed = options.parse(["local", "-o", "json", "--", "ls", "-o", "--to", "--", "x"])

    assert parsed.command == ("ls", "-o", "--to", "--", "x")
    assert (parsed.output, parsed.to) == ("json", None)


def test_each_kind_of_target_is_shown_as_the_results_target() -> None:
    """The spec.target of the result names what the command line named."""
    targets = [
        options.parse(["local", *words]).target
        for words in (["--pid", "7"], ["--cgroup", "a/b"], ["--container", "3f4e"], ["--", "ls", "-l"])
    ]

    assert targets == [{"pid": 7}, {"cgroup": "a/b"}, {"containerID": "3f4e"}, {"command": ["ls", "-l"]}]


def test_without_options_the_session_decides() -> None:
    """Duration and syscalls are left to the session, the result is a table on standard output."""
    parsed = options.parse(["local", "-p", "1"])

    assert parsed == options.Options(None, "table", None, None, None, pid=1)


def test_options_are_read_with_their_units() -> None:
    """The session file, seconds and the result's file arrive as typed values."""
    parsed = options.parse(["local", "-f", "s.yaml", "-d", "5", "--to", "out", "-o", "yaml", "--cgroup", "/x"])

    assert (parsed.session_file, parsed.duration_seconds, parsed.to) == (Path("s.yaml"), 5, Path("out"))


def test_a_profile_and_views_are_named_in_any_case() -> None:
    """Views have their defaults, and flags set their fields; `all` is all of them."""
    parsed = options.parse(["local", "--profile", "cpu", "--views", "blockio, files", "--files", "7", "-p", "1"])
    everything = options.parse(["local", "--views", "files,all", "-p", "1"])

    assert parsed.profile is Profile.CPU
    assert parsed.views == {"blockIO": {"enabled": True}, "files": {"enabled": True, "top": 7}}
    assert list(everything.views) == [view.name for view in CHOOSABLE]
    assert everything.profile is None


@pytest.mark.parametrize("name", ["weather", "", "resources"])
def test_names_that_are_not_known_are_told_the_right_ones(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of profiles and of views."""
    views, profiles = ", ".join(view.name for view in CHOOSABLE), ", ".join(PROFILES)

    assert f"--profile: {name!r} is not a profile; there are {profiles}" in refused(
        ["local", "--profile", name, "-p", "1"], capsys
    )
    assert f"--views: {name!r} is not a view; there are {views}, all" in refused(
        ["local", "--views", f"files,{name}", "-p", "1"], capsys
    )


def test_patterns_add_up() -> None:
    """Each flag is one."""
    assert options.parse(["local", "--redact", "*.key", "--redact", "a,b", "-p", "1"]).redact == ("*.key", "a,b")


def test_a_dash_is_standard_input_or_output() -> None:
    """As kubectl has it, for the session and for the result."""
    parsed = options.parse(["local", "-f", "-", "--to", "-", "-p", "1"])

    assert (parsed.session_file, parsed.to) == (Path("-"), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("openat", ("openat",)),
        ("trace=openat,%network", ("openat", "%network")),
        ("t=%file,!stat", ("%file", "!stat")),
        ("!futex,nanosleep", ("!futex", "!nanosleep")),
        ("trace=!futex,!nanosleep", ("!futex", "!nanosleep")),
        ("/^get.*id$", ("/^get.*id$",)),
        ("trace=all", ("all",)),
        ("?openat,?no_such_call", ("?openat", "?no_such_call")),
        ("!?stat,?lstat", ("!?stat", "!?lstat")),
    ],
)
def test_syscalls_are_read_as_strace_reads_them(text: str, expected: tuple[str, ...]) -> None:
    """-e takes strace's qualifier, a list, and a leading ! that excludes the whole list."""
    assert options.parse(["local", "-e", text, "-p", "1"]).syscalls == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a command"),
        (["local"], "say what to trace"),
        (["local", "--"], "no COMMAND after --"),
        (["local", "ls"], "put -- before COMMAND"),
        (["local", "--pdi", "1"], "unknown words: --pdi"),
        (["local", "--pid", "1", "--", "ls"], "name one thing"),
        (["local", "--pid", "1", "--cgroup", "x"], "not allowed with"),
        (["local", "--pid", "0"], "not a process ID"),
        (["local", "--pid", "x"], "not a process ID"),
        (["local", "--container", " "], "must not be empty"),
        (["local", "-d", "0", "--", "ls"], "1 to 3600"),
        (["local", "-d", "3601", "--", "ls"], "1 to 3600"),
        (["local", "-d", "1.5", "--", "ls"], "whole seconds"),
        (["local", "-e", "", "--", "ls"], "names separated by commas"),
        (["local", "-e", "a,,b", "--", "ls"], "names separated by commas"),
        (["local", "-e", "!", "--", "ls"], "names separated by commas"),
        (["local", "-o", "xml", "--", "ls"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_words_end_with_2_and_a_sentence(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each wrong use names what is wrong, on standard error, with exit code 2."""
    error = refused(words, capsys)

    assert said in error
    assert error.startswith("kubestrace")
    assert error.count("\n") == 1


def test_version_and_help_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the distribution's version, --help its examples and exit codes."""
    for words in (["--version"], ["local", "--help"], ["--help"]):
        with pytest.raises(SystemExit) as ended:
            options.parse(words)
        assert ended.value.code == 0

    printed = capsys.readouterr().out
    assert "kubestrace 0." in printed
    assert "kubestrace local -- make -j4" in printed


def test_processes_may_have_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    """20 without one; within the schema's bounds."""
    assert options.parse(["local", "--processes", "-p", "1"]).views == {"processes": {"top": 20}}
    assert options.parse(["local", "--processes", "5", "-p", "1"]).views == {"processes": {"top": 5}}
    assert options.parse(["local", "-p", "1"]).views == {}
    for wrong in ("0", "101", "x"):
        assert "a whole number from 1 to 100" in refused(["local", f"--processes={wrong}", "-p", "1"], capsys)


def test_slow_calls_have_a_threshold_in_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole ones, within the schema's bounds."""
    assert options.parse(["local", "--slow", "10", "-p", "1"]).views == {"slowCalls": {"thresholdMilliseconds": 10}}
    for wrong in ("0", "60001", "1.5", "-1", "x"):
        assert "whole milliseconds from 1 to 60000" in refused(["local", f"--slow={wrong}", "-p", "1"], capsys)


def test_cpu_time_is_asked_for() -> None:
    """A word without a value."""
    assert options.parse(["local", "--cpu-time", "-p", "1"]).views == {"cpuTime": {}}
    assert options.parse(["local", "-p", "1"]).views == {}


@pytest.mark.parametrize(
    ("view", "flag"),
    [(view, flag) for view in VIEWS for flag in view.flags],
    ids=lambda value: getattr(value, "words", ""),
)
def test_each_flag_of_a_view_sets_a_field_of_its_spec(
    view: View[Any, Any, Any], flag: Flag, capsys: pytest.CaptureFixture[str]
) -> None:
    """The value that it has by default, or its largest; --help names it."""
    values = [str(flag.bounds[1])] if flag.metavar and flag.default is None else []
    expected = {flag.field: (flag.default or flag.bounds[1]) if flag.metavar else flag.value} if flag.field else {}

    assert options.parse(["local", flag.words, *values, "-p", "1"]).views == {view.name: expected}
    assert set(expected) <= set(view.fields)
    with pytest.raises(SystemExit):
        options.parse(["local", "--help"])
    printed = capsys.readouterr().out
    assert f"[{flag.usage}]" in printed
    assert (f"kubestrace local {view.example}" in printed) or not view.example
