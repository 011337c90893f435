"""Requests and results of views, into and out of the messages that carry them by the views' names."""

from typing import TypeVar

from google.protobuf import any_pb2, message

from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import (
    block_io_pb2,
    callers_pb2,
    counters_pb2,
    cpu_time_pb2,
    errors_pb2,
    files_pb2,
    io_uring_pb2,
    locks_pb2,
    memory_pb2,
    network_pb2,
    processes_pb2,
    resources_pb2,
    security_pb2,
    slow_calls_pb2,
    timeline_pb2,
)

_Result = TypeVar("_Result", bound=message.Message)


def packed(request: message.Message) -> any_pb2.Any:
    """Pack a request or a result."""
    into = any_pb2.Any()
    into.Pack(request)
    return into


def every_view(seconds: float = 60) -> dict[str, any_pb2.Any]:
    """Ask for each view that there is, and for much of it, in a session of so many seconds."""
    return asking(
        resources=resources_pb2.ResourcesRequest(),
        cpuTime=cpu_time_pb2.CpuTimeRequest(),
        slowCalls=slow_calls_pb2.SlowCallsRequest(threshold_nanoseconds=20_000_000, limit=200, stacks=True),
        processes=processes_pb2.ProcessesRequest(top=100),
        errors=errors_pb2.ErrorsRequest(samples=10),
        timeline=timeline_pb2.TimelineRequest(buckets=60, duration_milliseconds=int(seconds * 1000)),
        blockIO=block_io_pb2.BlockIORequest(),
        counters=counters_pb2.CountersRequest(),
        memory=memory_pb2.MemoryRequest(),
        ioUring=io_uring_pb2.IOUringRequest(),
        locks=locks_pb2.LocksRequest(),
        files=files_pb2.FilesRequest(),
        network=network_pb2.NetworkRequest(dns=True),
        callers=callers_pb2.CallersRequest(per_second=1000, by_errno=True),
        security=security_pb2.SecurityRequest(),
    )


def asking(**requests: message.Message) -> dict[str, any_pb2.Any]:
    """Ask for views by their names."""
    return {name: packed(request) for name, request in requests.items()}


def _result(report: agent_pb2.ContainerReport, name: str, into: _Result) -> _Result:
    assert report.views[name].Unpack(into)
    return into


def errors(report: agent_pb2.ContainerReport) -> dict[tuple[str, str], errors_pb2.ErrorKind]:
    """By call and errno."""
    result = _result(report, "errors", errors_pb2.ErrorsResult())
    return {(each.syscall, each.errno): each for each in result.kinds}


def processes(report: agent_pb2.ContainerReport) -> processes_pb2.ProcessesResult:
    """The processes of a report."""
    return _result(report, "processes", processes_pb2.ProcessesResult())


def block_io(report: agent_pb2.ContainerReport) -> list[block_io_pb2.BlockRow]:
    """The block I/O of a report."""
    return list(_result(report, "blockIO", block_io_pb2.BlockIOResult()).rows)


def callers(report: agent_pb2.ContainerReport) -> callers_pb2.CallersResult:
    """The callers of a report."""
    return _result(report, "callers", callers_pb2.CallersResult())


def locks(report: agent_pb2.ContainerReport) -> locks_pb2.LocksResult:
    """The waits for locks of a report."""
    return _result(report, "locks", locks_pb2.LocksResult())


def io_uring(report: agent_pb2.ContainerReport) -> io_uring_pb2.IOUringResult:
    """The operations of io_uring of a report."""
    return _result(report, "ioUring", io_uring_pb2.IOUringResult())


def network(report: agent_pb2.ContainerReport) -> network_pb2.NetworkResult:
    """The connections of a report."""
    return _result(report, "network", network_pb2.NetworkResult())


def counters(report: agent_pb2.ContainerReport) -> counters_pb2.CountersResult:
    """The counters of a report."""
    return _result(report, "counters", counters_pb2.CountersResult())


def memory(report: agent_pb2.ContainerReport) -> memory_pb2.MemoryResult:
    """The memory of a report."""
    return _result(report, "memory", memory_pb2.MemoryResult())


def cpu_time(report: agent_pb2.ContainerReport) -> cpu_time_pb2.CpuTimeResult:
    """The CPU time of a report."""
    return _result(report, "cpuTime", cpu_time_pb2.CpuTimeResult())


def slow_calls(report: agent_pb2.ContainerReport) -> list[slow_calls_pb2.SlowCall]:
    """The slow calls of a report."""
    return list(_result(report, "slowCalls", slow_calls_pb2.SlowCallsResult()).calls)


def resources(report: agent_pb2.ContainerReport) -> resources_pb2.ResourcesResult:
    """The numbers of a report's cgroup."""
    return _result(report, "resources", resources_pb2.ResourcesResult())


def security(report: agent_pb2.ContainerReport) -> security_pb2.SecurityResult:
    """What of a report is of interest for security."""
    return _result(report, "security", security_pb2.SecurityResult())


def timeline(report: agent_pb2.ContainerReport) -> timeline_pb2.TimelineResult:
    """The timeline of a report."""
    return _result(report, "timeline", timeline_pb2.TimelineResult())


def files(report: agent_pb2.ContainerReport) -> files_pb2.FilesResult:
    """The files of a report."""
    return _result(report, "files", files_pb2.FilesResult())
