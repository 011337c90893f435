"""Files in words: one that is empty, and one that is read again and again."""

from typing import Any

import pytest

from kubestrace_operator.findings.finding import Facts, Severity
from kubestrace_operator.findings.rules import judge
from kubestrace_operator.results.rows import ContainerRow, SyscallRow
from kubestrace_protos.v1 import agent_pb2

MS = 1_000_000
VIEWS = frozenset({"errors", "files", "processes"})


def file(path: str, **changes: Any) -> dict[str, Any]:
    """Return a row of a file that was opened and read once."""
    sizes = dict.fromkeys(("stats", "syncs", "readBytes", "writes", "writeBytes", "errors"), 0)
    return {"path": path, "opens": 1, "reads": 1, "totalNanoseconds": 1000, **sizes, **changes}


def facts(*files: dict[str, Any], exit_code: int = 0, rows: tuple[SyscallRow, ...] = ()) -> Facts:
    """Return a result of ten seconds with a container that has ended."""
    container = agent_pb2.Container(pod_name="shop-1", container_name="app")
    state = agent_pb2.ContainerState(container=container, exit_code=exit_code)
    return Facts(10, rows, [ContainerRow(state, "n1")], {"files": {"paths": list(files)}}, VIEWS)


def test_an_empty_file_of_a_configmap_is_named_as_the_program_does() -> None:
    """What it opens leads to the file that it reads."""
    link = file("/etc/shop/app.yaml", file="/etc/shop/..2026_11/app.yaml", reads=0)
    behind = file("/etc/shop/..2026_11/app.yaml", opens=0)
    first, second = judge(facts(link, behind, exit_code=1)).findings

    assert first.summary == (
        "/etc/shop/app.yaml is empty: it was opened 1 time and had nothing to read. Container app of pod shop-1 ended "
        "with an error."
    )
    assert (first.severity, second.id) == (Severity.CRITICAL, "ended-with-error")


def test_several_empty_files_are_one_finding() -> None:
    """Those that were opened most often are named."""
    files = [file(f"/config/{each}.conf", opens=each, reads=each) for each in range(4, 9)]
    (one,) = judge(facts(*files)).findings

    assert one.summary == (
        "/config/8.conf, /config/7.conf, /config/6.conf and 1 more are empty: they were opened 26 times and had "
        "nothing to read."
    )
    assert one.severity == Severity.WARNING


@pytest.mark.parametrize(
    ("path", "time_ms", "severity"),
    [
        ("/srv/shop/settings.json", 500, Severity.WARNING),
        # Little of a CPU, a page, and what the C library reads for each name.
        ("/srv/shop/settings.json", 99, Severity.INFO),
        ("/srv/shop/index.html", 500, Severity.INFO),
        ("/etc/hosts", 500, Severity.INFO),
    ],
)
def test_settings_are_read_once_and_pages_are_handed_out(path: str, time_ms: int, severity: Severity) -> None:
    """A warning is for what costs time and has no reason."""
    rows = (SyscallRow("openat", calls=4000, timed=4000, total_ns=time_ms * MS),)
    again = file(path, opens=2000, reads=4000, readBytes=2000 * 1024, totalNanoseconds=time_ms * MS)
    (one,) = judge(facts(again, rows=rows)).findings

    assert one.severity == severity
    assert one.summary == (
        f"{path} is opened and read 200 times a second, 1.0KiB each time: 100 % of the time in calls that work."
    )
