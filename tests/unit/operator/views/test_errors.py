"""The view errors: spec, status, what is cut, and its text and flag in local mode."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubestrace_cli.local import options
from kubestrace_operator.api import conditions
from kubestrace_operator.api.conditions import Outcome
from kubestrace_operator.api.spec import InvalidSpecError, parse
from kubestrace_operator.results import merge
from kubestrace_operator.results.places import Places
from kubestrace_operator.status import builder, error_lines
from kubestrace_operator.status.progress import Progress
from kubestrace_operator.views import errors
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import errors_pb2

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
STARTED = Progress(
    Outcome(conditions.SUCCEEDED, "Completed", "done"), start=NOW - timedelta(seconds=30), completion=NOW
)


def test_errors_have_a_default_and_bounds() -> None:
    """3 samples; no fewer than 1 and no more than 10."""
    target = {"podName": "a"}

    assert parse({"target": target, "views": {"errors": {}}}).views["errors"] == errors.Settings(3)
    with pytest.raises(InvalidSpecError, match=r"spec.views.errors.samples is 0; it must be from 1 to 10"):
        parse({"target": target, "views": {"errors": {"samples": 0}}})


def test_errors_may_have_a_number_of_samples(capsys: pytest.CaptureFixture[str]) -> None:
    """3 without one; within the schema's bounds."""
    assert options.parse(["local", "--errors", "-p", "1"]).views == {"errors": {"samples": 3}}
    assert options.parse(["local", "--errors", "10", "-p", "1"]).views == {"errors": {"samples": 10}}
    with pytest.raises(SystemExit):
        options.parse(["local", "--errors=11", "-p", "1"])
    assert "a whole number from 1 to 10" in capsys.readouterr().err


def failing(count: int, arguments: str = "") -> merge.Merged:
    """Return as many kinds of failures on each of two nodes, each with three samples; the later node's are alike."""
    reports = []
    for node in ("n1", "n2"):
        report = agent_pb2.Report(node=node, agent_id=node)
        container = report.containers.add()
        container.state.container.pod_name = node
        found = errors_pb2.ErrorsResult()
        for number in range(count):
            container.syscalls.add(name=f"call_{number}").errnos.add(name="ENOENT", count=count - number)
            errno = found.kinds.add(syscall=f"call_{number}", errno="ENOENT")
            begin = 1_767_268_800_000_000_000 + (5_000_000_000 if node == "n2" else 0)
            errno.first_time_unix_nanoseconds, errno.last_time_unix_nanoseconds = begin, begin + 10**9
            for told in range(3):
                errno.samples.add(
                    time_unix_nanoseconds=begin + told,
                    arguments=f"{arguments}{told}",
                    alike=1 + told,
                    pid=7,
                    process="app",
                )
        container.views["errors"].Pack(found)
        reports.append(report)
    return merge.merge(reports)


def test_errors_have_times_and_samples_when_asked_for() -> None:
    """Of all containers the first and last time; of the same arguments one call, in the order of time."""
    merged = failing(1)

    asked = builder.status(merged, replace(STARTED, views={"errors": errors.Settings(2)}), now=NOW)
    more = builder.status(merged, replace(STARTED, views={"errors": errors.Settings(3)}), now=NOW)
    other = builder.status(merged, STARTED, now=NOW)
    (row,) = asked["summary"]["errorCounts"]

    assert (row["count"], row["firstTime"], row["lastTime"]) == (
        2, "2026-01-01T12:00:00.000000Z", "2026-01-01T12:00:06.000000Z",
    )  # fmt: skip
    assert [(sample["arguments"], sample["pod"]) for sample in row["samples"]] == [("0", "n1"), ("2", "n2")]
    (row,) = more["summary"]["errorCounts"]
    assert [(sample["arguments"], sample["pod"]) for sample in row["samples"]] == [
        ("0", "n1"),
        ("1", "n2"),
        ("2", "n2"),
    ]
    assert asked["trust"]["losses"]["errorSamples"] == 0
    assert other["summary"]["errorCounts"] == [{"syscall": "call_0", "errno": "ENOENT", "count": 2}]
    assert "losses" not in other["trust"]


SAMPLES = st.lists(
    st.builds(
        errors_pb2.ErrorSample,
        time_unix_nanoseconds=st.integers(0, 60),
        arguments=st.sampled_from("abcdefghijklmnopqrs"),
        alike=st.integers(1, 3),
        host_tid=st.integers(1, 9),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@given(parts=st.lists(SAMPLES, min_size=1, max_size=4), count=st.integers(1, 10))
def test_samples_of_parts_are_those_of_the_whole(parts: list[list[errors_pb2.ErrorSample]], count: int) -> None:
    """However reports are added up: the first, the last and the best of all are among those of the parts."""
    view, kind = errors.Errors(), errors.Kind("openat", "", "ENOENT")

    def added(*rows: list[errors.SampleRow]) -> errors.Details:
        return view.add([{kind: errors.Detail(1, 2, each)} for each in rows])

    rows = [[errors.SampleRow(each, agent_pb2.Container(), "n") for each in part] for part in parts]
    whole = added([each for part in rows for each in part])
    shown = errors.chosen(whole[kind].samples, count)

    assert view.add([added(part) for part in rows])[kind].samples == whole[kind].samples
    assert len({row.sample.arguments for row in shown}) == len(shown) <= count
    assert [row.sample.time_unix_nanoseconds for row in shown] == sorted(
        row.sample.time_unix_nanoseconds for row in shown
    )


def test_files_that_programs_do_without_come_last() -> None:
    """Also where every container of many has some."""
    rows = [
        errors.SampleRow(errors_pb2.ErrorSample(arguments=path, alike=alike), agent_pb2.Container(), "n")
        for path, alike in (('"/usr/lib/locale/C/LC_CTYPE"', 9), ('"/etc/app.yaml"', 1))
    ]

    assert [row.sample.arguments for row in errors.chosen(rows, 1)] == ['"/etc/app.yaml"']


def test_samples_of_errors_are_cut_to_the_room() -> None:
    """The most frequent failures keep theirs; all rows keep their times."""
    document = builder.status(failing(90, "x" * 500), replace(STARTED, views={"errors": errors.Settings(3)}), now=NOW)

    rows = document["summary"]["errorCounts"]
    with_samples = ["samples" in row for row in rows]
    assert builder.size(document) <= builder.MAX_STATUS_BYTES
    assert document["truncated"]
    assert 5 < sum(with_samples) < 90
    assert with_samples == sorted(with_samples, reverse=True)
    assert all("firstTime" in row for row in rows)


def test_errors_are_told_with_their_times_and_calls() -> None:
    """Which file is missing: below the row, with who and when; what was lost is in the condition's words."""
    merged = failing(1, 'AT_FDCWD, "/etc/app/missing.conf", ')
    merged.trust.losses["errorSamples"] = 4

    document = builder.status(merged, replace(STARTED, views={"errors": errors.Settings(2)}), now=NOW)
    text = "\n".join([*error_lines.lines(document["summary"]["errorCounts"], Places(document)), ""])

    assert " ENOENT           call_0              12:00:00.000000 12:00:06.000000\n" in text
    assert '\n          call_0(AT_FDCWD, "/etc/app/missing.conf", 2)  app[7] 12:00:05.000000  in n2\n' in text
    complete = next(each for each in document["conditions"] if each["type"] == "DataComplete")
    assert (complete["reason"], "4 failed calls had no room" in complete["message"]) == ("ErrorSamplesLost", True)
    plain = builder.status(failing(1), STARTED, now=NOW)["summary"]["errorCounts"]
    assert not any("first and last" in line for line in error_lines.lines(plain, Places({})))


def expecting(*expected: int) -> dict[str, object]:
    """The row of as many containers, each with two errors, of which so many are expected."""
    reports = []
    for number, known in enumerate(expected):
        report = agent_pb2.Report(node=f"n{number}", agent_id=f"n{number}")
        container = report.containers.add()
        container.syscalls.add(name="openat").errnos.add(name="ENOENT", count=2)
        found = errors_pb2.ErrorsResult()
        kind = found.kinds.add(syscall="openat", errno="ENOENT", expected=known)
        kind.first_time_unix_nanoseconds = kind.last_time_unix_nanoseconds = 1_767_268_800_000_000_000
        kind.harmless = errors_pb2.HARMLESS_FOUND_LATER if known else errors_pb2.HARMLESS_UNSPECIFIED
        container.views["errors"].Pack(found)
        reports.append(report)
    state = builder.status(merge.merge(reports), replace(STARTED, views={"errors": errors.Settings(3)}), now=NOW)
    (row,) = state["summary"]["errorCounts"]
    return dict(row)


def test_errors_that_are_expected_say_so() -> None:
    """All of a row, some of it, or none; they stay counted as errors."""
    reason = "a later call of the same process succeeded with the same file name"

    every, some, none = expecting(2, 2), expecting(2, 0), expecting(0, 0)

    assert (every["expected"], every["expectedCount"], every["count"]) == (True, 4, 4)
    assert (some["expected"], some["expectedCount"], some["count"]) == (False, 2, 4)
    assert "expected" not in none
    assert list(error_lines.lines([every], Places({})))[-1].strip() == f"expected: {reason}"
    assert list(error_lines.lines([some], Places({})))[-1].strip() == f"2 of 4 expected: {reason}"


def test_the_table_shows_what_failed_last_before_a_container_ended() -> None:
    """The missing file and the exit code stand together; a container that ended well has no such line."""
    report = agent_pb2.Report(node="n1", agent_id="n1")
    for number, code in enumerate((3, 3, 0)):
        container = report.containers.add()
        state = container.state
        state.phase = agent_pb2.ContainerState.PHASE_ENDED
        state.container.pod_name, state.container.container_name = "crash", "app"
        state.container.container_id, state.container.restart_count = f"id-{number}", number
        state.exit_code, state.exit_reason = code, "Error" if code else "Completed"
        container.syscalls.add(name="openat", calls=1, errors=1).errnos.add(name="ENOENT", count=1)
        found = errors_pb2.ErrorsResult()
        kind = found.kinds.add(syscall="openat", errno="ENOENT")
        kind.samples.add(
            time_unix_nanoseconds=1_767_268_800_000_000_000 + number,
            arguments=f'AT_FDCWD, "/config/{code}.yaml", O_RDONLY',
            process="cat",
            pid=7,
        )
        container.views["errors"].Pack(found)
    progress = replace(STARTED, views={"errors": errors.Settings(3)})

    table = builder.status(merge.merge([report]), progress, now=NOW)["table"]

    assert table.endswith(
        "ended with an error:\n"
        "  app of pod crash: exit code 3 (Error), 2 times\n"
        "failed last, of those that ended with an error, the latest first:\n"
        '  openat(AT_FDCWD, "/config/3.yaml", O_RDONLY) ENOENT  cat[7]\n'
    )
