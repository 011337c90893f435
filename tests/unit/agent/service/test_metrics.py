"""What the agent tells Prometheus of itself."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kubestrace_agent import settings
from kubestrace_agent.kernel import usage
from kubestrace_agent.service.metrics import Metrics, Sources
from kubestrace_agent.service.tallies import Tallies
from kubestrace_protos.v1 import agent_pb2

DESCRIPTION = agent_pb2.DescribeResponse(
    agent_version="1.2.3",
    kernel_release="6.1.0",
    architecture="x86_64",
    cgroup_mode=agent_pb2.CGROUP_MODE_HYBRID,
    can_trace=True,
    views=[
        agent_pb2.ViewSupport(name="files", available=True),
        agent_pb2.ViewSupport(name="blockIO", available=False, message="no block layer"),
    ],
)


def sources(**other: object) -> Sources:
    """Return sources of an agent that has done nothing."""
    given: dict[str, object] = {
        "description": DESCRIPTION,
        "tallies": Tallies(),
        "standing": lambda: (2, 5),
        "runtime_errors": Counter,
        "programs": dict,
        "walk_failures": lambda: 0,
        "max_traces": 96,
        "max_containers": 512,
    }
    return Sources(**{**given, **other})  # type: ignore[arg-type]


async def scraped(of: Sources, path: str = "/metrics") -> tuple[str, dict[str, float]]:
    """Return the status line and what a scraper reads, by name and labels."""
    metrics = Metrics(of)
    port = await metrics.start("127.0.0.1:0")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await metrics.stop()
    samples = [sample for family in text_string_to_metric_families(body) for sample in family.samples]
    return head.splitlines()[0], {
        name + "".join(f" {key}={text}" for key, text in sorted(labels.items())): value
        for name, labels, value, *_ in samples
    }


async def test_what_the_node_can() -> None:
    """Its kernel, and each view that it serves or not."""
    _, read = await scraped(sources())

    assert read["kubestrace_agent_can_trace reason="] == 1
    assert read["kubestrace_agent_view_available view=files"] == 1
    assert read["kubestrace_agent_view_available view=blockIO"] == 0
    facts = "architecture=x86_64 cgroup_mode=hybrid kernel=6.1.0 version=1.2.3"
    assert read[f"kubestrace_agent_info {facts}"] == 1


async def test_a_node_that_cannot_trace_serves_no_view() -> None:
    """The reason is a word of the agent's own."""
    cannot = agent_pb2.DescribeResponse()
    cannot.CopyFrom(DESCRIPTION)
    cannot.can_trace, cannot.reason = False, "UnsupportedKernel"

    _, read = await scraped(sources(description=cannot))

    assert read["kubestrace_agent_can_trace reason=UnsupportedKernel"] == 0
    assert read["kubestrace_agent_view_available view=files"] == 0


async def test_what_was_done_and_what_failed() -> None:
    """Traces and containers now; reports, caps and errors since the start; the process itself."""
    tallies = Tallies()
    tallies.report_sent(final=False, after_seconds=None, interval_seconds=1)
    tallies.report_sent(final=False, after_seconds=3.0, interval_seconds=1)
    tallies.report_sent(final=True, after_seconds=3.1, interval_seconds=1)
    tallies.refused["TooManyTraces"] += 3
    tallies.strangers += 1

    _, read = await scraped(sources(tallies=tallies, runtime_errors=lambda: {"UNAVAILABLE": 4}))

    assert (read["kubestrace_agent_traces"], read["kubestrace_agent_containers"]) == (2, 5)
    assert (read["kubestrace_agent_max_traces"], read["kubestrace_agent_max_containers"]) == (96, 512)
    assert read["kubestrace_agent_reports_total kind=interim"] == 2
    assert read["kubestrace_agent_reports_total kind=final"] == 1
    assert read["kubestrace_agent_reports_late_total"] == 1
    assert read["kubestrace_agent_requests_refused_total reason=TooManyTraces"] == 3
    assert read["kubestrace_agent_strangers_refused_total"] == 1
    assert read["kubestrace_agent_runtime_errors_total code=UNAVAILABLE"] == 4
    assert read["process_resident_memory_bytes"] > 1e6
    assert read["process_cpu_seconds_total"] > 0


async def test_a_label_has_few_values() -> None:
    """Whatever goes wrong, an agent makes no thousands of series."""
    tallies = Tallies(refused=Counter({f"Reason{number}": 1 for number in range(1000)}))

    _, read = await scraped(sources(tallies=tallies))

    assert sum(name.startswith("kubestrace_agent_requests_refused_total") for name in read) == 50


@pytest.mark.parametrize(("path", "status"), [("/metrics?name[]=x", "200"), ("/healthz", "404"), ("/", "404")])
async def test_a_scraper_reaches_nothing_else(path: str, status: str) -> None:
    """The port has one path."""
    line, _ = await scraped(sources(), path)

    assert line.split()[1] == status


def test_it_listens_only_where_it_is_told_to() -> None:
    """Off by default; an IPv6 address gets its brackets."""
    assert settings.parse([], {}).metrics_listen == ""
    assert settings.parse([], {"KUBESTRACE_METRICS_LISTEN": "fd00::1:9642"}).metrics_listen == "[fd00::1]:9642"
    with pytest.raises(SystemExit):
        settings.parse(["--metrics-listen", "9642"], {})


# What the kernel holds.

MAP = "map_type:\t1\nkey_size:\t8\nmemlock:\t{memory}\nmap_id:\t{identity}\n"
PROGRAM = (
    "prog_type:\t17\nmemlock:\t4096\nprog_id:\t{identity}\nrun_time_ns:\t{ns}\nrun_cnt:\t{runs}\nrecursion_misses:\t2\n"
)


def process(folder: Path, *files: tuple[str, str]) -> Path:
    """Make what /proc has of a process with these open files: what each is a link to, and its fdinfo."""
    for name in ("fd", "fdinfo"):
        (folder / name).mkdir()
    for number, (target, text) in enumerate(files):
        (folder / "fd" / str(number)).symlink_to(target)
        (folder / "fdinfo" / str(number)).write_text(text)
    (folder / "stats").write_text("0\n")
    return folder


def test_maps_and_programs_are_counted_once_each(tmp_path: Path) -> None:
    """Two file descriptors of one map are one map; other files are none of ours."""
    one = ("anon_inode:bpf-map", MAP.format(memory=8192, identity=1))
    other = ("anon_inode:bpf-map", MAP.format(memory=4096, identity=2))
    program = ("anon_inode:bpf-prog", PROGRAM.format(identity=1, ns=0, runs=0))
    folder = process(tmp_path, one, one, other, program, ("anon_inode:bpf_link", ""), ("socket:[1]", "memlock:\t9"))

    used = usage.read({3: "files"}, process=folder, stats=folder / "stats")

    assert (used.maps, used.map_bytes, used.program_bytes, used.links) == (2, 12288, 4096, 1)
    assert used.programs == {"files": usage.ProgramUse(loaded=1, skipped=2)}
    assert not used.has_run_times


def test_run_times_are_those_of_the_parts(tmp_path: Path) -> None:
    """A program without a part is the counting's."""
    files = [("anon_inode:bpf-prog", PROGRAM.format(identity=n, ns=1000 * n, runs=n)) for n in (1, 2, 3)]
    folder = process(tmp_path, *files)

    used = usage.read({0: "files", 1: "files", 2: ""}, process=folder, stats=folder / "stats")

    assert used.programs["files"] == usage.ProgramUse(loaded=2, run_ns=3000, runs=3, skipped=4)
    assert used.programs["counting"] == usage.ProgramUse(loaded=1, run_ns=3000, runs=3, skipped=2)
    assert used.has_run_times


@pytest.mark.parametrize(("text", "enabled"), [("1\n", True), ("0\n", False)])
def test_statistics_are_asked_for_and_never_switched_on(tmp_path: Path, text: str, enabled: bool) -> None:
    """The node's owner decides; that they are off is no zero."""
    folder = process(tmp_path, ("anon_inode:bpf-prog", PROGRAM.format(identity=1, ns=0, runs=0)))
    (folder / "stats").write_text(text)
    (folder / "stats").chmod(0o444)

    used = usage.read({}, process=folder, stats=folder / "stats")

    assert used.stats_enabled is used.has_run_times is enabled
    assert (folder / "stats").read_text() == text


def test_a_closed_file_is_passed_over(tmp_path: Path) -> None:
    """Others open and close files while they are read."""
    folder = process(tmp_path, ("anon_inode:bpf-map", MAP.format(memory=8192, identity=1)))
    (folder / "fdinfo" / "0").unlink()

    assert usage.read({}, process=folder, stats=folder / "nothing").maps == 0
