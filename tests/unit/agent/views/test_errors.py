"""Failures as a session collects them: their times, and which of the calls that the kernel tells are shown."""

import errno
import platform

import pytest
from view_messages import asking, errors

from kubestrace_agent.kernel.counters.counts import RawCall
from kubestrace_agent.service import limits
from kubestrace_agent.syscalls import SyscallKey, parse_patterns
from kubestrace_agent.views.errors import harmless
from kubestrace_agent.views.errors.collector import Failures
from kubestrace_agent.views.errors.values import ErrorTimes, RawErrors
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import errors_pb2

RMDIR, UNLINK = (
    next(key for key in parse_patterns([name], platform.machine()).keys() or () if key.abi == platform.machine())
    for name in ("rmdir", "unlink")
)
OFFSET = 10**18


def call(path: bytes, end_ns: int, key: SyscallKey = RMDIR, number: int = errno.ENOENT) -> RawCall:
    """One that failed, with the path that it was given."""
    return RawCall(
        key=key, waits=False, start_ns=end_ns - 5, length_ns=5, arguments=(1, 0, 0, 0, 0, 0), result=-number, tid=108,
        pid=107, inner_tid=8, inner_pid=7, thread=b"io", process=b"\x1bapp", captures=((0, path), (0, b"")),
    )  # fmt: skip


def reported(failures: Failures, *told: RawErrors, lost: int = 0) -> agent_pb2.ContainerReport:
    """A report of what is counted anyway, with what was collected."""
    report = agent_pb2.ContainerReport()
    report.syscalls.add(name="rmdir").errnos.add(name="ENOENT", count=9)
    for each in told:
        failures.take(each, lost, OFFSET)
    failures.write(report)
    return report


def shown(failures: Failures, *told: RawErrors) -> list[str]:
    """The arguments of the samples."""
    return [sample.arguments for sample in errors(reported(failures, *told))["rmdir", "ENOENT"].samples]


def test_first_and_last_time() -> None:
    """Of all readings, as Unix time; a row of another errno has none."""
    failures = Failures(3, None)
    readings = [RawErrors([ErrorTimes(RMDIR, errno.ENOENT, *times)]) for times in ((100, 200), (100, 300))]
    other = RawErrors([ErrorTimes(UNLINK, errno.ENOENT, 1, 2), ErrorTimes(RMDIR, errno.EBUSY, 1, 2)])

    ((_, found),) = errors(reported(failures, *readings, other)).items()

    assert (found.syscall, found.errno) == ("rmdir", "ENOENT")
    assert (found.first_time_unix_nanoseconds, found.last_time_unix_nanoseconds) == (OFFSET + 100, OFFSET + 300)
    assert len(found.samples) == 0


def test_a_sample_says_who_and_what() -> None:
    """Inside and outside of the container, and safe to print."""
    report = reported(Failures(3, None), RawErrors(calls=[call(b"/a\nb", 500)]))
    (sample,) = errors(report)["rmdir", "ENOENT"].samples

    assert sample == errors_pb2.ErrorSample(
        time_unix_nanoseconds=OFFSET + 500, arguments='"/a\\x0ab"', tid=8, pid=7, host_tid=108, host_pid=107,
        thread="io", process="\\x1bapp", alike=1,
    )  # fmt: skip


def test_different_arguments_are_shown_from_all_of_the_time() -> None:
    """What is met most often, the last, the first, then the others; in the order of time."""
    calls = [call(b"/once", 1), call(b"/again", 2), call(b"/late", 3), call(b"/again", 4), call(b"/later", 5)]

    assert shown(Failures(1, None), RawErrors(calls=calls)) == ['"/again"']
    assert shown(Failures(2, None), RawErrors(calls=calls)) == ['"/again"', '"/later"']
    assert shown(Failures(3, None), RawErrors(calls=calls)) == ['"/once"', '"/again"', '"/later"']
    assert shown(Failures(9, None), RawErrors(calls=calls)) == ['"/once"', '"/late"', '"/again"', '"/later"']


def test_files_that_programs_do_without_come_last() -> None:
    """Translations are looked for when a message is printed: after the file that it is about."""
    calls = [call(b"/usr/share/locale/C/LC_MESSAGES/libc.mo", n) for n in (1, 5, 6)]
    told = RawErrors(calls=[*calls, call(b"/etc/app.yaml", 3)])

    assert shown(Failures(1, None), told) == ['"/etc/app.yaml"']
    assert len(shown(Failures(2, None), told)) == 2


def test_many_arguments_have_a_bound() -> None:
    """Those that were met least and longest ago make room."""
    calls = [call(b"/file-%d" % n, n) for n in range(1, 1000)]
    failures = Failures(2, None)

    assert shown(failures, RawErrors(calls=[call(b"/again", 0)] * 2), RawErrors(calls=calls)) == [
        '"/again"',
        '"/file-999"',
    ]


def test_too_many_arguments_are_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a container may have held is bounded over all kinds."""
    monkeypatch.setattr("kubestrace_agent.views.errors.collector._MOST_CANDIDATES", 5)
    failures = Failures(2, None)
    failures.begin(0, 10)

    report = reported(failures, RawErrors(calls=[call(b"/%d" % n, n) for n in range(9)]), lost=12)

    assert report.trust.losses["errorSamples"] == 2 + 4


def test_only_what_is_the_sessions_own() -> None:
    """Not what failed before it began, nor calls that it does not count."""
    failures = Failures(3, frozenset({RMDIR}))
    failures.begin(400, 0)
    told = RawErrors(
        [ErrorTimes(RMDIR, errno.ENOENT, 100, 450), ErrorTimes(UNLINK, errno.ENOENT, 500, 500)],
        [call(b"/before", 399), call(b"/since", 450), call(b"/other", 450, UNLINK)],
    )

    report = reported(failures, told, RawErrors([ErrorTimes(RMDIR, errno.EBUSY, 1, 399)]))
    ((_, found),) = errors(report).items()

    assert found.first_time_unix_nanoseconds == OFFSET + 400
    assert [sample.arguments for sample in found.samples] == ['"/since"']


def test_sessions_share_what_the_kernel_tells() -> None:
    """Times are told since the last one began: the others have read until then."""
    early, late = Failures(3, None), Failures(3, None)
    early.begin(100, 0)
    late.begin(200, 0)

    assert Failures.union([early.wanted, late.wanted]) == late.wanted


@pytest.mark.parametrize("samples", [0, 11])
async def test_the_bound_of_a_request(make_traces, samples: int) -> None:  # type: ignore[no-untyped-def]
    """As the resource's schema has it."""
    views = asking(errors=errors_pb2.ErrorsRequest(samples=samples))
    request = agent_pb2.StartTraceRequest(session_uid="s", duration_milliseconds=1000, views=views)

    with pytest.raises(limits.InvalidRequestError, match="from 1 to 10"):
        await make_traces().start(request)


def test_what_a_call_and_its_error_mean_makes_it_harmless() -> None:
    """All calls of the row; not where the call waited, as then a time limit passed, nor another error or call."""
    not_ready, connecting = errors_pb2.HARMLESS_NOT_READY, errors_pb2.HARMLESS_CONNECTING

    assert harmless.by_name("recvmsg", "EAGAIN", wait=False) == not_ready
    assert harmless.by_name("recvmsg", "EAGAIN", wait=True) == 0
    assert harmless.by_name("clone", "EAGAIN", wait=False) == 0
    assert harmless.by_name("connect", "EINPROGRESS", wait=False) == connecting
    assert harmless.by_name("connect", "EINPROGRESS", wait=True) == 0
    assert harmless.by_name("futex", "ETIMEDOUT", wait=True) == errors_pb2.HARMLESS_TIME_PASSED
    assert harmless.by_name("connect", "ETIMEDOUT", wait=True) == 0


def test_expected_errors_of_a_kind_are_summed_over_readings() -> None:
    """What the kernel counted is a sum; it begins anew with a first failure when another session does."""
    failures = Failures(3, None)
    values = [(100, 1), (100, 4), (300, 2), (300, 3)]
    readings = [RawErrors([ErrorTimes(RMDIR, errno.ENOENT, first, 400, count)]) for first, count in values]

    found = errors(reported(failures, *readings))["rmdir", "ENOENT"]

    assert (found.expected, found.harmless) == (7, errors_pb2.HARMLESS_FOUND_LATER)


def test_no_more_are_expected_than_were_counted() -> None:
    """Of a row with 9 errors."""
    failures = Failures(3, None)

    found = errors(reported(failures, RawErrors([ErrorTimes(RMDIR, errno.ENOENT, 1, 2, 12)])))

    assert found["rmdir", "ENOENT"].expected == 9
