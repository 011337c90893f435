"""Files that are empty, in words."""

from typing import Any

from kubestrace_operator.findings.finding import Facts, Severity
from kubestrace_operator.findings.rules import judge
from kubestrace_operator.results.rows import ContainerRow
from kubestrace_protos.v1 import agent_pb2

VIEWS = frozenset({"errors", "files", "processes"})


def file(path: str, **changes: Any) -> dict[str, Any]:
    """Return a row of a file that was opened and read once."""
    sizes = dict.fromkeys(("stats", "syncs", "readBytes", "writes", "writeBytes", "errors"), 0)
    return {"path": path, "opens": 1, "reads": 1, "totalNanoseconds": 1000, **sizes, **changes}


def facts(*files: dict[str, Any], exit_code: int = 0) -> Facts:
    """Return a result of ten seconds with a container that has ended."""
    container = agent_pb2.Container(pod_name="shop-1", container_name="app")
    state = agent_pb2.ContainerState(container=container, exit_code=exit_code)
    return Facts(10, (), [ContainerRow(state, "n1")], {"files": {"paths": list(files)}}, VIEWS)


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
