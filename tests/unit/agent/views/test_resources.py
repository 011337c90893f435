"""Numbers of cgroups of either version: what their files say, and the difference that a session reports."""

import time
from pathlib import Path

import pytest
from google.protobuf import any_pb2
from view_messages import resources

from kubestrace_agent.kernel.counters.counts import RawCounts
from kubestrace_agent.views.grid import Grid
from kubestrace_agent.views.resources import parsing
from kubestrace_agent.views.resources.by_bucket import ByBucket
from kubestrace_agent.views.resources.collector import Numbers
from kubestrace_agent.views.resources.files import CgroupFiles, GoneError
from kubestrace_agent.views.resources.values import Reading
from kubestrace_agent.views.resources.view import VIEW
from kubestrace_agent.views.view import RequestError
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.resources_names import GROWN, LEVELS
from kubestrace_protos.v1.views.resources_pb2 import ResourcesRequest, ResourcesResult

PSI = "some avg10=1.00 avg60=0.50 avg300=0.00 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
ID = "c" * 64


def write(folder: Path, **files: str) -> Path:
    """Write files; `__` stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def process(proc: Path, pid: int = 42, *, failed: int = 3, open_files: str = "1024") -> None:
    """Make what is asked of a process, and the node's own network namespace."""
    for number in (pid, 1):
        write(
            proc / str(number) / "net",
            snmp=f"Tcp: AttemptFails\nTcp: {failed}\n",
            netstat="TcpExt: ListenDrops\nTcpExt: 1\n",
            sockstat="TCP: inuse 2 tw 1\n",
        )
    write(proc / str(pid), limits=f"Limit Soft Hard Units\nMax open files            {open_files} 4096 files\n")


def unified(root: Path, *, usage_us: int = 100, some_us: int = 50, threads: str = "max") -> Path:
    """Make a container's cgroup in a tree of v2, below a pod with a tighter limit."""
    write(root, cgroup__controllers="cpu memory")
    write(root / "pod", cgroup__controllers="", cpu__max="20000 100000", memory__max="max", pids__max=threads)
    write(root / "pod", pids__current="70", pids__events="max 5\n")
    return write(
        root / "pod" / ID,
        cgroup__controllers="",
        cgroup__events="populated 1\nfrozen 0\n",
        cgroup__procs="42\n",
        cpu__stat=f"usage_usec {usage_us}\nuser_usec 60\nsystem_usec 40\nnr_periods 9\nnr_throttled 3\n"
        "throttled_usec 1500\n",
        cpu__max="50000 100000",
        memory__current="5000",
        memory__peak="9000",
        memory__max="10000",
        memory__events="low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 0\n",
        memory__stat="anon 100\nfile 200\ninactive_file 1000\npgfault 11\npgmajfault 12\n"
        "workingset_refault_anon 1\nworkingset_refault_file 2\n",
        pids__current="9",
        pids__max="100",
        pids__events="max 2\n",
        cpu__pressure=PSI.format(some_us),
        memory__pressure=PSI.format(0),
        io__pressure=PSI.format(0),
    )


def test_all_numbers_of_a_cgroup_of_v2_are_read(tmp_path: Path) -> None:
    """In nanoseconds and bytes; the limits are the tightest of those that count."""
    process(tmp_path / "proc")
    reading = CgroupFiles(unified(tmp_path), tmp_path / "proc").read()

    assert reading.unavailable == {}
    assert set(reading.grown) == set(GROWN)
    assert set(reading.levels) == set(LEVELS)
    assert reading.grown["cpu.usageNanoseconds"] == 100_000
    assert reading.grown["cpu.throttledNanoseconds"] == 1_500_000
    assert reading.grown["memory.oomKills"] == 4
    assert reading.grown["memory.refaults"] == 3
    assert reading.grown["pressure.cpuSomeNanoseconds"] == 50_000
    assert reading.levels["cpu.limitMillicores"] == 200
    assert reading.levels["memory.limitBytes"] == 10_000
    assert reading.levels["memory.workingSetBytes"] == 4000
    assert (reading.levels["pids.current"], reading.levels["pids.limit"], reading.levels["pids.underLimit"]) == (
        9,
        100,
        9,
    )
    assert reading.grown["pids.maxEvents"] == 2
    assert reading.levels["limits.openFiles"] == 1024
    assert reading.network
    assert reading.network.numbers["Tcp.AttemptFails"] == 3
    assert not reading.after_end


def test_the_limit_of_the_pod_counts_where_it_is_tighter(tmp_path: Path) -> None:
    """With all that share it, and what it refused."""
    reading = CgroupFiles(unified(tmp_path, threads="80"), tmp_path / "proc").read()

    assert (reading.levels["pids.limit"], reading.levels["pids.underLimit"]) == (80, 70)
    assert (reading.levels["pids.current"], reading.grown["pids.maxEvents"]) == (9, 5)


def test_what_no_process_says_is_told_with_the_reason(tmp_path: Path) -> None:
    """Its cgroup says all the rest."""
    reading = CgroupFiles(unified(tmp_path), tmp_path / "proc").read()

    assert set(reading.unavailable) == {"pods", "limits.openFiles"}
    assert reading.network is None
    assert "limits.openFiles" not in reading.levels


def test_a_process_without_limit_may_open_as_many_as_there_are(tmp_path: Path) -> None:
    """The largest number of the wire's and the API's integers."""
    process(tmp_path / "proc", open_files="unlimited")

    assert CgroupFiles(unified(tmp_path), tmp_path / "proc").read().levels["limits.openFiles"] == 2**63 - 1


def test_what_is_not_there_is_told_with_the_reason(tmp_path: Path) -> None:
    """And is in no map: a 0 would be a number that nobody counted."""
    cgroup = unified(tmp_path)
    for name in ("cpu.max", "memory.current", "memory.peak", "cpu.pressure", "io.pressure", "pids.current"):
        (cgroup / name).unlink()
    process(tmp_path / "proc")

    reading = CgroupFiles(cgroup, tmp_path / "proc").read()

    cpu = {"cpu.periods", "cpu.limitMillicores"}
    assert set(reading.unavailable) == cpu | {"memory", "pids", "pressure.cpu", "pressure.io"}
    assert all(reading.unavailable.values())
    assert not [name for name in (*reading.grown, *reading.levels) if name.startswith(("memory.", "pressure.cpu"))]
    assert reading.grown["cpu.usageNanoseconds"] == 100_000


def hybrid(root: Path, paths: str) -> CgroupFiles:
    """Make a container whose controllers are in hierarchies of v1, where `paths` says that its process is."""
    cgroup = unified(root / "unified")
    for name in (
        "cpu.max",
        "memory.current",
        "memory.peak",
        "memory.max",
        "memory.events",
        "memory.stat",
        "pids.current",
    ):
        (cgroup / name).unlink()
    (cgroup / "cpu.stat").write_text("usage_usec 5\nuser_usec 3\nsystem_usec 2\n")
    (cgroup / "cgroup.procs").write_text("0\n42\n")
    write(root / "proc" / "42", cgroup=paths)
    process(root / "proc")
    write(
        root / "cpu" / "pod" / ID,
        cpu__stat="nr_periods 7\nnr_throttled 2\nthrottled_time 123\n",
        cpu__cfs_quota_us="-1",
        cpu__cfs_period_us="100000",
    )
    write(root / "cpu" / "pod", cpu__cfs_quota_us="150000", cpu__cfs_period_us="100000")
    write(
        root / "memory" / "pod" / ID,
        memory__usage_in_bytes="70",
        memory__max_usage_in_bytes="90",
        memory__limit_in_bytes=str((1 << 63) - 4096),
        memory__failcnt="6",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
        memory__stat="rss 1\npgfault 1\ntotal_rss 10\ntotal_cache 20\ntotal_inactive_file 30\ntotal_pgfault 40\n",
    )
    write(root / "pids" / "pod" / ID, pids__current="4", pids__max="max", pids__events="max 1\n")
    return CgroupFiles(cgroup, root / "proc")


def test_on_hybrid_nodes_the_controllers_of_v1_are_read(tmp_path: Path) -> None:
    """Found by a process of the container, also in a cgroup of its own below."""
    reading = hybrid(
        tmp_path, f"4:memory:/pod/{ID}/init.scope\n1:cpu,cpuacct:/pod/{ID}\n2:pids:/pod/{ID}\n0::/pod/{ID}\n"
    ).read()

    assert reading.grown["cpu.usageNanoseconds"] == 5000
    assert (reading.grown["cpu.periods"], reading.grown["cpu.throttledNanoseconds"]) == (7, 123)
    assert reading.levels["cpu.limitMillicores"] == 1500
    assert (reading.grown["memory.faults"], reading.levels["memory.anonBytes"]) == (40, 10)
    assert (reading.grown["memory.oomKills"], reading.grown["memory.maxEvents"]) == (5, 6)
    assert (reading.levels["memory.currentBytes"], reading.levels["memory.workingSetBytes"]) == (70, 40)
    assert "memory.limitBytes" not in reading.levels
    assert (reading.levels["pids.current"], reading.grown["pids.maxEvents"]) == (4, 1)
    assert "pids.limit" not in reading.levels
    assert set(reading.unavailable) == {"memory.highEvents", "memory.ooms"}


def test_the_numbers_of_a_cgroup_that_others_share_are_not_the_containers(tmp_path: Path) -> None:
    """As where only the tree of v2 has a cgroup for it."""
    reading = hybrid(tmp_path, f"4:memory:/system\n1:cpu:/\n0::/pod/{ID}\n").read()

    assert {"cpu.periods", "cpu.limitMillicores", "memory"} <= set(reading.unavailable)
    assert "/system" in reading.unavailable["memory"]
    assert "cpu.periods" not in reading.grown


def test_a_path_that_climbs_is_taken_as_that_of_v2(tmp_path: Path) -> None:
    """The agent's cgroup namespace may begin elsewhere."""
    reading = hybrid(tmp_path, "4:memory:/../../x\n1:cpu:/../y\n0::/../z\n").read()

    assert reading.grown["cpu.periods"] == 7
    assert reading.levels["memory.currentBytes"] == 70


def test_a_cgroup_that_was_removed_is_gone(tmp_path: Path) -> None:
    """And is told from one that cannot be read."""
    with pytest.raises(GoneError):
        CgroupFiles(write(tmp_path / "gone")).read()


@pytest.mark.parametrize(
    ("maximum", "limit"), [("max 100000", None), ("20000 100000", 200), ("250000 100000\n", 2500), ("1000 50000", 20)]
)
def test_a_cpu_limit_is_read_in_millicores(maximum: str, limit: int | None) -> None:
    """Of the quota and its period."""
    assert parsing.cpu_limit(maximum) == limit


def result(collector: Numbers) -> ResourcesResult:
    """Return what a collector reports."""
    report = agent_pb2.ContainerReport()
    collector.write(report)
    return resources(report)


def after(collector: Numbers, cgroup: Path, **numbers: int) -> ResourcesResult:
    """Return what is reported when the files have changed and the counts were read again."""
    time.sleep(0.03)
    unified(cgroup.parent.parent, **numbers)
    collector.count(RawCounts(time_ns=time.monotonic_ns()))
    return result(collector)


def test_a_session_reports_what_was_added(tmp_path: Path) -> None:
    """Levels are those of the last reading."""
    cgroup, collector = unified(tmp_path), Numbers()
    collector.begin_cgroup(cgroup, new=False)

    told = after(collector, cgroup, usage_us=400, some_us=50)

    assert told.grown["cpu.usageNanoseconds"] == 300_000
    assert told.grown["cpu.periods"] == told.grown["pressure.cpuSomeNanoseconds"] == 0
    assert told.levels["memory.peakBytes"] == 9000
    assert told.covered_nanoseconds >= 30_000_000


def test_what_nobody_sees_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without buckets: the newest is read when it is told, or when the session ends."""
    monkeypatch.setattr(
        "kubestrace_agent.views.resources.files.CgroupFiles.__init__.__defaults__", (tmp_path / "proc",)
    )
    process(tmp_path / "proc")
    cgroup, collector = unified(tmp_path), Numbers()
    collector.begin_cgroup(cgroup, new=False)
    reads: list[object] = []
    read = CgroupFiles.read
    monkeypatch.setattr(CgroupFiles, "read", lambda files, **how: reads.append(files) or read(files, **how))

    def snapshots(usage_us: int) -> None:
        for _ in range(3):
            time.sleep(0.03)
            unified(tmp_path, usage_us=usage_us)
            collector.count(RawCounts(time_ns=time.monotonic_ns()))

    snapshots(400)
    assert reads == []
    assert result(collector).grown["cpu.usageNanoseconds"] == 300_000
    assert len(reads) == 1
    snapshots(500)
    collector.end()
    unified(tmp_path, usage_us=900)
    time.sleep(0.03)

    assert result(collector).grown["cpu.usageNanoseconds"] == 400_000
    assert len(reads) == 2


def test_the_network_of_a_pod_is_reported_from_the_first_reading_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a new container: its pod's network namespace has been there before it."""
    monkeypatch.setattr(
        "kubestrace_agent.views.resources.files.CgroupFiles.__init__.__defaults__", (tmp_path / "proc",)
    )
    process(tmp_path / "proc", failed=3)
    cgroup, collector = unified(tmp_path), Numbers()
    collector.begin_cgroup(cgroup, new=True)
    write(tmp_path / "proc/42/net", snmp="Tcp: AttemptFails\nTcp: 9\n")

    told = after(collector, cgroup)

    assert dict(told.pod_network.counters) == {"Tcp.AttemptFails": 6, "TcpExt.ListenDrops": 0}
    assert told.pod_network.levels["TCP.tw"] == 1
    assert not told.pod_network.of_node


def reading(at_ns: int, usage_ns: int, bytes_: int) -> Reading:
    """Return a reading of two numbers."""
    return Reading(at_ns, {"cpu.usageNanoseconds": usage_ns}, {"memory.anonBytes": bytes_})


def by_bucket(grid: Grid, *readings: Reading) -> dict[str, dict[int, int]]:
    """Return what readings come to by bucket, as the wire carries it."""
    buckets = ByBucket(grid)
    buckets.begin(readings[0])
    for each in readings[1:]:
        buckets.add(each)
    message = buckets.message()
    return {name: dict(zip(message.buckets, each.values, strict=True)) for name, each in message.series.items()}


def test_numbers_stand_in_the_bucket_of_the_middle_of_their_time() -> None:
    """What was added adds up; a level is that of the last reading. The same one adds nothing."""
    grid = Grid(0, 4000, 4)
    last = reading(2050, 90, 4)

    found = by_bucket(grid, reading(0, 10, 1), reading(500, 20, 2), reading(1010, 50, 3), last, last)

    assert found["cpu.usageNanoseconds"] == {0: 40, 1: 40}
    assert found["memory.anonBytes"] == {0: 3, 1: 4}
    assert found.keys() == {"cpu.usageNanoseconds", "memory.anonBytes"}


def test_buckets_of_a_session_without_duration_double() -> None:
    """What was added adds up, the later level stays."""
    grid = Grid(0, 4000, 4, grows=True)

    found = by_bucket(grid, reading(0, 0, 1), *(reading(1000 * n, 10 * n, n) for n in range(1, 8)))

    assert found["cpu.usageNanoseconds"] == {0: 20, 1: 20, 2: 20, 3: 10}
    assert found["memory.anonBytes"] == {0: 2, 1: 4, 2: 6, 3: 7}


def test_a_session_with_buckets_reads_at_their_borders() -> None:
    """Others read whenever they report."""
    asked, plain = any_pb2.Any(), any_pb2.Any()
    asked.Pack(ResourcesRequest(buckets=4, duration_milliseconds=4000, elapsed_milliseconds=500))
    plain.Pack(ResourcesRequest())

    moment = VIEW.ask(asked, 0).next_snapshot(1)

    assert moment
    assert moment.at_ns == 500_000_000
    assert VIEW.ask(plain, 0).next_snapshot(1) is None
    asked.Pack(ResourcesRequest(buckets=1000))
    with pytest.raises(RequestError) as refused:
        VIEW.ask(asked, 0)
    assert refused.value.reason == "InvalidResources"


def test_of_a_cgroup_that_was_created_for_the_container_everything_is_told(tmp_path: Path) -> None:
    """Its first reading comes some time after its beginning."""
    cgroup, collector = unified(tmp_path), Numbers()
    collector.begin_cgroup(cgroup, new=True)

    assert after(collector, cgroup, usage_us=400).grown["cpu.usageNanoseconds"] == 400_000


def test_what_has_no_cgroup_of_its_own_has_no_numbers() -> None:
    """A process that is traced alone."""
    collector = Numbers()
    collector.begin_cgroup(None, new=False)

    told = result(collector)

    assert not told.grown
    assert set(told.unavailable) == {"cpu", "memory", "pressure", "pids", "pods", "limits"}


def test_a_container_that_has_gone_before_its_first_reading_is_told(tmp_path: Path) -> None:
    """As nothing is known of it."""
    collector = Numbers()
    collector.begin_cgroup(tmp_path / "gone", new=True)

    assert "ended" in result(collector).unavailable["cpu"]


def test_the_last_reading_stays_and_that_it_came_before_the_end_is_told(tmp_path: Path) -> None:
    """Where the cgroup was removed between two readings."""
    cgroup, collector = unified(tmp_path), Numbers()
    collector.begin_cgroup(cgroup, new=False)
    before = after(collector, cgroup, usage_us=400)
    cgroup.rename(tmp_path / "elsewhere")
    time.sleep(0.03)

    collector.count(RawCounts(time_ns=time.monotonic_ns()))
    told = result(collector)

    assert told.grown == before.grown
    assert (before.ended_unread, told.ended_unread) == (False, True)
