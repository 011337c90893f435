"""What was done with files: added up over containers, ordered, as a document and as text."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.status.sections import combined
from kubestrace_operator.views.files import MAX_ERRNOS, MAX_TOP, Files, Part, Settings, worst
from kubestrace_operator.views.view import ContainerResult, Shown
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import files_pb2

VIEW = Files()
MS = 1_000_000


def row(path: str, *, errnos: dict[str, int] | None = None, file: str = "", **numbers: int) -> files_pb2.FileRow:
    """Return a path's row."""
    failed = [files_pb2.FileErrno(name=name, count=count) for name, count in (errnos or {}).items()]
    return files_pb2.FileRow(path=path, file=file, errnos=failed, failed=sum((errnos or {}).values()), **numbers)


def merged(*containers: list[files_pb2.FileRow], rest: int = 0) -> Part:
    """Return what a node's containers come to; `rest` paths of each were left out, stats all of them."""
    return VIEW.merge(
        ContainerResult(
            ContainerKey("n1", "pod", "app", f"c{number}"),
            agent_pb2.Container(),
            files_pb2.FilesResult(
                paths=rows,
                other_paths=files_pb2.FileRow(stats=rest),
                other_path_count=rest,
                others=[files_pb2.FileRow(path="socket", reads=1, read_bytes=10)],
            ),
        )
        for number, rows in enumerate(containers)
    )


def shown(part: Part, top: int = 30) -> Shown[Settings, Part]:
    """Return what a status is made of."""
    now = datetime.now(UTC)
    return Shown(Settings(top), part, [], [], now, now, 0)


def status(part: Part, top: int = 30, kept: int | None = None) -> dict[str, Any]:
    """Return the view's part of a status."""
    (section,) = VIEW.sections(shown(part, top))
    return combined(VIEW.document(shown(part, top)), section.document(len(section.rows) if kept is None else kept))[
        "files"
    ]


def test_containers_and_nodes_are_added() -> None:
    """Paths of one name are one row; the parts stay as they are, and the order does not matter."""
    one = merged(
        [row("/a", opens=2, errnos={"ENOENT": 1}, max_nanoseconds=5)],
        [row("/a", opens=3, reads=4, read_bytes=40, max_nanoseconds=9, file="/b"), row("/c", stats=1)],
        rest=2,
    )
    other = merged([row("/a", opens=1, errnos={"ENOENT": 2, "EACCES": 1})])

    whole = VIEW.add([one, other])

    assert (whole.paths["/a"].opens, whole.paths["/a"].reads, whole.paths["/a"].max_nanoseconds) == (6, 4, 9)
    assert whole.paths["/a"].errnos == {"ENOENT": 3, "EACCES": 1}
    assert whole.paths["/a"].file == "/b"
    assert (whole.rest_paths, whole.rest.stats, whole.others["socket"].reads) == (4, 4, 3)
    assert one.paths["/a"].opens == 5
    assert VIEW.add([other, one]) == whole
    assert VIEW.add([]) == Part()


def test_a_storm_of_cheap_calls_and_failures_are_not_ranked_away() -> None:
    """The first three rows are the worst by time, by failures, by calls."""
    slow = [row(f"/slow-{number}", syncs=1, total_nanoseconds=(50 - number) * MS) for number in range(50)]
    part = merged([*slow, row("/stormed", stats=900), row("/denied", opens=3, errnos={"EACCES": 3})])

    assert worst(part.paths)[:3] == ["/slow-0", "/denied", "/stormed"]
    assert len(worst(part.paths)) == 52


def test_an_empty_file_is_not_ranked_away() -> None:
    """Beside the link that led there; one that failed or was written is no such file."""
    busy = [row(f"/busy-{number}", stats=9, total_nanoseconds=MS) for number in range(50)]
    link = row("/etc/app.yaml", opens=1, file="/etc/..data/app.yaml")
    others = [row("/denied", reads=1, errnos={"EISDIR": 1}), row("/written", reads=1, writes=1), row("/full", reads=1)]
    others[-1].read_bytes = 1
    part = merged([*busy, link, row("/etc/..data/app.yaml", reads=1), *others])

    first = worst(part.paths)[:6]
    assert {"/etc/app.yaml", "/etc/..data/app.yaml"} < set(first)
    assert not {"/written", "/full"} & set(first)
    assert sorted(worst(part.paths)) == sorted(part.paths)


def test_rows_that_are_not_shown_are_in_the_sums() -> None:
    """However many are kept; the totals are those of all calls."""
    part = merged([row(f"/{number}", stats=1, total_nanoseconds=number) for number in range(10)], rest=5)

    for top, kept, left_out in ((30, None, 0), (4, None, 6), (4, 2, 8), (30, 0, 10)):
        found = status(part, top, kept)
        assert len(found["paths"]) == 10 - left_out
        assert found["otherPaths"]["paths"] == found["otherPaths"]["stats"] == 5 + left_out
        assert (found["stats"], found["reads"], found["calls"]) == (15, 1, 16)
    assert status(part)["withoutPath"][0]["kind"] == "socket"


def test_rows_have_averages_and_the_most_frequent_errnos() -> None:
    """In units that their names say."""
    many = {f"E{number}": number for number in range(1, MAX_ERRNOS + 3)}
    part = merged([row("/a", reads=3, read_bytes=100, writes=1, write_bytes=1, opens=40, errnos=many, file="/b")])

    (found,) = status(part)["paths"]

    assert found["avgBytes"] == 25
    assert found["file"] == "/b"
    assert found["errors"] == sum(many.values())
    assert [each["count"] for each in found["failed"]] == sorted(many.values(), reverse=True)[:MAX_ERRNOS]


def test_the_text_has_ten_rows_the_most_time_first() -> None:
    """Aligned, in the units that people read; long paths by their ends."""
    long = "/" + "x" * 200 + "/end"
    rows = [row(f"/f{number}", stats=number, total_nanoseconds=number * MS) for number in range(12)]
    part = merged([*rows, row(long, writes=2, write_bytes=3 << 20, total_nanoseconds=99 * MS, errnos={"EIO": 1})])

    head, *lines, more = VIEW.table_text(shown(part)).splitlines()[1:]

    assert " ".join(head.split()) == "time max opens stats other reads writes syncs bytes avg errors file"
    assert len(lines) == 10
    assert lines[0].split()[0] == "99.0ms"
    assert lines[0].endswith("xxx/end (EIO)")
    assert "3.0MiB" in lines[0]
    assert len(lines[0]) < 250
    assert lines[1].endswith("/f11")
    assert more == "and 3 more: see status.files"


def test_nothing_is_said_so() -> None:
    """No head without rows."""
    assert VIEW.table_text(shown(Part())).strip() == "No file was named or used."


@pytest.mark.parametrize("value", [0, MAX_TOP + 1])
def test_the_number_of_paths_has_bounds(value: int) -> None:
    """A spec beyond them is refused with both."""
    fields = Fields({"top": value}, "spec.views.files", VIEW.fields)

    VIEW.parse(fields, 60)

    assert fields.problems == [f"spec.views.files.top is {value}; it must be from 1 to {MAX_TOP}"]
    assert VIEW.spec(VIEW.parse(Fields({}, "", VIEW.fields), 60)) == {"top": 30}
