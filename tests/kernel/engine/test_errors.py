"""Failures as the kernel tells them: when each kind was first and last, which files were missing, who is silenced."""

import errno
import time
from pathlib import Path

from engine_runs import Cgroup, Runs, links
from view_messages import errors

from kubestrace_agent.syscalls import name
from kubestrace_agent.views.errors.collector import Failures
from kubestrace_agent.views.processes.values import Wants
from kubestrace_agent.views.slow_calls.values import Floors
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import errors_pb2
from kubestrace_protos.v1.views.errors_limits import MAX_SAMPLES

# Between the program's own clock and the tracepoints, on a machine that does other things.
ROUGHLY_NS = 10_000_000


class Watched:
    """A cgroup whose failures are told, collected as a session does."""

    def __init__(self, runs: Runs, cgroup: Cgroup, samples: int = MAX_SAMPLES) -> None:
        self.runs = runs
        self.slot = runs.trace(cgroup)
        self.collector = Failures(samples, None)
        self.collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("errors", self.slot, self.collector.wanted)

    def read(self) -> None:
        """Take what there is."""
        offset = time.time_ns() - time.monotonic_ns()
        told = self.runs.tracer.read("errors").get(self.slot)
        self.collector.take(told, self.runs.tracer.lost("errors", self.slot), offset)

    def report(self) -> agent_pb2.ContainerReport:
        """Read, and give what a session would report."""
        self.read()
        report = agent_pb2.ContainerReport(syscalls=self.runs.since(self.slot).syscalls)
        self.collector.write(report)
        return report

    def kinds(self) -> dict[tuple[str, str], errors_pb2.ErrorKind]:
        """By call and errno."""
        return errors(self.report())


def counts(report: agent_pb2.ContainerReport) -> dict[tuple[str, str], int]:
    """How often each call failed with each errno."""
    return {(row.name, each.name): each.count for row in report.syscalls for each in row.errnos}


def said(output: str) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Call and errno -> how often, first and last time; as the program says."""
    lines = [line.split() for line in output.splitlines() if line.count(" ") == 4]
    return {(called, errno): (int(count), int(first), int(last)) for called, errno, count, first, last in lines}


def paths(error: errors_pb2.ErrorKind) -> set[str]:
    """The paths of an openat's samples."""
    return {sample.arguments.split('"')[1] for sample in error.samples}


def test_two_ways_in_which_one_call_fails(runs: Runs) -> None:
    """Each has its own count, times and samples, with who made the call."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    run = runs.start(cgroup, "failing", "two")
    expected = said(run.finish())
    report = watched.report()
    found = errors(report)

    assert len(expected) == 2
    for key, (count, first, last) in expected.items():
        assert counts(report)[key] == count
        assert abs(found[key].first_time_unix_nanoseconds - first) < ROUGHLY_NS
        assert abs(found[key].last_time_unix_nanoseconds - last) < ROUGHLY_NS
    (sample,) = found["openat", "ENOTDIR"].samples
    assert sample.arguments == 'AT_FDCWD, "/proc/self/exe/below/a/file", O_RDONLY'
    assert (sample.pid, sample.host_pid, sample.tid) == (run.process.pid,) * 3
    assert (sample.process, sample.thread) == ("failing", "failing")
    assert first <= sample.time_unix_nanoseconds + ROUGHLY_NS


def test_different_files_are_told(runs: Runs) -> None:
    """Of 8 missing files that fail in turns all 8 are shown; of many more as many as are asked for."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    runs.start(cgroup, "failing", "paths", "8").finish()
    found = watched.kinds()

    assert paths(found["openat", "ENOENT"]) == {f"/nowhere/of/many/file-{n}" for n in range(8)}
    runs.start(cgroup, "failing", "paths", "40").finish()
    assert len(paths(watched.kinds()["openat", "ENOENT"])) == MAX_SAMPLES


def test_a_rare_file_among_many_failures(runs: Runs) -> None:
    """One in two hundred, of another path: it is told, beside the one that fails again and again."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    runs.start(cgroup, "failing", "rare", "200").finish()
    samples = sorted(watched.kinds()["openat", "ENOENT"].samples, key=lambda sample: -sample.alike)

    assert [sample.arguments.split('"')[1] for sample in samples] == ["/nowhere/often", "/nowhere/rare"]
    assert samples[0].alike > samples[1].alike == 1


def test_denied_calls_have_samples_too(runs: Runs) -> None:
    """They have an exit without an entry: seccomp said no."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    runs.start(cgroup, "denied").finish()
    report = watched.report()
    found = errors(report)

    assert counts(report)["mkdirat", "EPERM"] == 100
    assert found["mkdirat", "EPERM"].samples[0].arguments == 'AT_FDCWD, "/nowhere/at/all", 00'
    assert found["swapoff", "errno_1000"].first_time_unix_nanoseconds > 0


def test_calls_that_were_interrupted_are_no_errors(runs: Runs) -> None:
    """The kernel makes them again or says EINTR afterwards: no row, no sample."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    runs.start(cgroup, "interrupted").finish()
    report = watched.report()

    assert sum(row.interrupted for row in report.syscalls) > 0
    told = runs.tracer.read("errors")[watched.slot]
    assert not {times.number for times in told.times} & {512, 513, 514, 516}
    assert errors(report).keys() == counts(report).keys()
    assert all(each.first_time_unix_nanoseconds for each in errors(report).values())


def test_every_failure_has_its_time(runs: Runs) -> None:
    """Of a shell at work: each row of errors that was counted has first and last time, and a sample."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    runs.start_shell(cgroup, "ls /nowhere; cat /; cd /nowhere; kill -0 1; true").finish()
    report = watched.report()
    found = errors(report)

    assert len(found) > 3
    assert found.keys() == counts(report).keys()
    for each in found.values():
        assert 0 < each.first_time_unix_nanoseconds <= each.last_time_unix_nanoseconds
        assert each.samples


def test_a_storm_silences_nobody(runs: Runs) -> None:
    """It tells few of its calls; a quiet container's are all told, whatever the other does."""
    noisy, quiet = runs.cgroup(), runs.cgroup()
    loud, watched = Watched(runs, noisy), Watched(runs, quiet)

    storm = runs.start(noisy, "failing", "storm", "300000")
    runs.start(quiet, "failing", "paths", "8").finish()
    storm.finish()
    report = watched.report()
    told = runs.tracer.read("errors")
    loud.collector.take(told[loud.slot], runs.tracer.lost("errors", loud.slot), 0)

    assert report.trust.losses["errorSamples"] == 0
    assert len(paths(next(each for (called, _), each in errors(report).items() if called == "openat"))) == 8
    assert runs.since(loud.slot).syscalls
    # Some hundred of 300,000: those with new paths, and ever rarer ones.
    assert len(told[loud.slot].calls) + runs.tracer.lost("errors", loud.slot) < 1000


def test_what_finds_no_room_is_counted(runs: Runs) -> None:
    """Hundreds of containers share the ring: with a hundred, one that fails in all ways loses some."""
    cgroups = [runs.cgroup() for _ in range(100)]
    watched = [Watched(runs, cgroup) for cgroup in cgroups]

    runs.start(cgroups[0], "failing", "paths", "60").finish()
    runs.start(cgroups[1], "failing", "two").finish()

    assert watched[0].report().trust.losses["errorSamples"] > 0
    assert runs.tracer.lost("errors", watched[1].slot) == 0


def test_a_session_that_joins_has_its_own_first_time(runs: Runs) -> None:
    """What failed before it began is the other's; both have what fails afterwards."""
    cgroup = runs.cgroup()
    first = Watched(runs, cgroup)
    runs.start(cgroup, "failing", "two").finish()
    first.read()
    second = Failures(3, None)
    began = time.time_ns()
    second.begin(time.monotonic_ns(), 0)
    runs.tracer.enable("errors", first.slot, Failures.union([first.collector.wanted, second.wanted]))

    runs.start(cgroup, "failing", "paths", "1").finish()
    told, offset = runs.tracer.read("errors")[first.slot], time.time_ns() - time.monotonic_ns()
    reports = []
    for collector in (first.collector, second):
        collector.take(told, 0, offset)
        report = agent_pb2.ContainerReport(syscalls=runs.since(first.slot).syscalls)
        collector.write(report)
        reports.append(errors(report))

    assert reports[0]["openat", "ENOENT"].first_time_unix_nanoseconds < began
    assert reports[1]["openat", "ENOENT"].first_time_unix_nanoseconds >= began
    assert ("openat", "ENOTDIR") not in reports[1]
    assert paths(reports[1]["openat", "ENOENT"]) == {"/nowhere/of/many/file-0"}
    assert paths(reports[0]["openat", "ENOENT"]) > paths(reports[1]["openat", "ENOENT"])


def test_the_program_runs_only_while_asked_for(runs: Runs) -> None:
    """It takes no tracepoint of its own, and gives all back with the last container that asks."""
    runs.trace(runs.cgroup())
    counting = links()
    first, second = Watched(runs, runs.cgroup()), Watched(runs, runs.cgroup())
    assert "on_error" in runs.tracer.active
    assert links() == counting

    runs.tracer.enable("errors", first.slot, None)
    assert "on_error" in runs.tracer.active
    runs.tracer.remove(second.slot)
    runs.slots.remove(second.slot)
    assert "on_error" not in runs.tracer.active
    assert runs.tracer.read("errors") == {}


def test_one_call_goes_through_all_views(runs: Runs) -> None:
    """A call that failed late: the counting goes on with processes, then with errors, then with slow calls."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)
    runs.tracer.enable("slow_calls", watched.slot, Floors(10_000_000, 10_000_000))
    runs.tracer.enable("processes", watched.slot, Wants())

    runs.start(cgroup, "failing", "late").finish()
    slow = runs.tracer.read("slow_calls")[watched.slot]
    processes = runs.tracer.read("processes")[watched.slot]
    report = watched.report()
    futex = errors(report)["futex", "ETIMEDOUT"]

    assert [-call.result for call in slow if name(call.key) == "futex"] == [errno.ETIMEDOUT]
    assert sum(used.errors for thread in processes.threads for used in thread.used if name(used.key) == "futex") == 1
    assert (counts(report)["futex", "ETIMEDOUT"], len(futex.samples)) == (1, 1)
    assert futex.samples[0].arguments.startswith("0x")


def samples(runs: Runs, *arguments: str, count: int = MAX_SAMPLES) -> dict[tuple[str, str], list[str]]:
    """The arguments of the samples of a program's failures, by call and errno."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup, count)
    runs.start(cgroup, "places", *arguments).finish()
    return {key: [sample.arguments for sample in kind.samples] for key, kind in watched.kinds().items()}


def test_the_one_file_among_thousands_below_a_long_folder(runs: Runs, tmp_path: Path) -> None:
    """Paths are compared whole, and a storm of names that differ in numbers does not hide it."""
    found = samples(runs, "long", str(tmp_path), count=3)["openat", "ENOENT"]

    assert len(found) == 3
    assert [said for said in found if said.endswith('/license.key", O_RDONLY')]
    assert [said for said in found if "/chunk-" in said]


def test_relative_paths_have_their_folder(runs: Runs, tmp_path: Path) -> None:
    """The working folder, or that of the descriptor."""
    found = samples(runs, "relative", str(tmp_path))

    assert f'AT_FDCWD<{tmp_path}>, "app.yaml", O_RDONLY' in found["openat", "ENOENT"]
    (made,) = found["mkdirat", "ENOENT"]
    assert made.endswith(f'<{tmp_path}>, "no/such", 0700')
    assert found["rmdir", "ENOENT"] == [f'<{tmp_path}>/"gone"']


def test_peers_of_messages(runs: Runs, tmp_path: Path) -> None:
    """The address that a message has, of the first where there are several."""
    found = samples(runs, "peers", str(tmp_path))

    for called in ("sendmsg", "sendmmsg"):
        (said,) = found[called, "EPIPE"]
        assert said.split(", ")[1] == "{127.0.0.1:5353}"


def test_errors_that_programs_expect(runs: Runs, tmp_path: Path) -> None:
    """Non-blocking calls, searches, questions for a terminal, time limits; what fails alike is not marked."""
    (tmp_path / "found").touch()
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    runs.start(cgroup, "harmless", str(tmp_path)).finish()
    report = watched.report()
    result = errors_pb2.ErrorsResult()
    report.views["errors"].Unpack(result)
    known = {
        (kind.syscall, kind.errno, kind.wait): (kind.expected, errors_pb2.Harmless.Name(kind.harmless))
        for kind in result.kinds
    }

    at = {(row.name, each.name, row.wait): each.count for row in report.syscalls for each in row.errnos}
    assert known["openat", "ENOENT", False] == (5, "HARMLESS_FOUND_LATER")
    assert known["newfstatat", "ENOENT", False] == (2, "HARMLESS_FOUND_LATER")
    assert at["newfstatat", "ENOENT", False] == 3
    assert known["access", "ENOENT", False] == (0, "HARMLESS_UNSPECIFIED")
    assert known["ioctl", "ENOTTY", False] == (4, "HARMLESS_NO_TERMINAL")
    assert at["ioctl", "ENOTTY", False] == 5
    assert known["read", "EAGAIN", False] == (6, "HARMLESS_NOT_READY")
    assert known["read", "EAGAIN", True] == (0, "HARMLESS_UNSPECIFIED")
    assert known["connect", "EINPROGRESS", False] == (1, "HARMLESS_CONNECTING")
    assert known["futex", "EAGAIN", False] == (1, "HARMLESS_FUTEX_CHANGED")
    assert known["futex", "ETIMEDOUT", True] == (1, "HARMLESS_TIME_PASSED")
    assert known["execve", "ENOENT", False] == (3, "HARMLESS_FOUND_LATER")
    assert at["execve", "ENOENT", False] == 4


def test_a_second_session_knows_only_its_own_expected_errors(runs: Runs, tmp_path: Path) -> None:
    """The kernel counts anew for it, and the first goes on."""
    (tmp_path / "found").touch()
    cgroup = runs.cgroup()
    first = Watched(runs, cgroup)
    runs.start(cgroup, "harmless", str(tmp_path)).finish()
    first.read()
    second = Failures(MAX_SAMPLES, None)
    second.begin(time.monotonic_ns(), 0)
    runs.tracer.enable("errors", first.slot, Failures.union([first.collector.wanted, second.wanted]))

    runs.start(cgroup, "harmless", str(tmp_path)).finish()
    told = runs.tracer.read("errors")[first.slot]
    report = agent_pb2.ContainerReport(syscalls=runs.since(first.slot).syscalls)
    found = []
    for collector in (first.collector, second):
        collector.take(told, 0, 0)
        report.views.clear()
        collector.write(report)
        found.append(errors(report)["newfstatat", "ENOENT"].expected)

    assert found == [4, 2]


def test_the_lock_that_is_refused_is_told(runs: Runs) -> None:
    """The command and the members of its struct flock."""
    cgroup = runs.cgroup()
    watched = Watched(runs, cgroup)

    runs.start(cgroup, "spoken").finish()
    said_of_locks = [sample.arguments for sample in watched.kinds()["fcntl", "EBADF"].samples]

    assert said_of_locks[0] == "-1, F_SETLKW, {l_type=F_WRLCK, l_whence=SEEK_END, l_start=7, l_len=9}"
