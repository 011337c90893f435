from google.protobuf import any_pb2 as _any_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CgroupMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CGROUP_MODE_UNSPECIFIED: _ClassVar[CgroupMode]
    CGROUP_MODE_UNIFIED: _ClassVar[CgroupMode]
    CGROUP_MODE_HYBRID: _ClassVar[CgroupMode]
    CGROUP_MODE_LEGACY: _ClassVar[CgroupMode]

class EndReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    END_REASON_UNSPECIFIED: _ClassVar[EndReason]
    END_REASON_COMPLETED: _ClassVar[EndReason]
    END_REASON_STOPPED: _ClassVar[EndReason]
    END_REASON_LEASE_EXPIRED: _ClassVar[EndReason]
    END_REASON_AGENT_SHUTDOWN: _ClassVar[EndReason]
CGROUP_MODE_UNSPECIFIED: CgroupMode
CGROUP_MODE_UNIFIED: CgroupMode
CGROUP_MODE_HYBRID: CgroupMode
CGROUP_MODE_LEGACY: CgroupMode
END_REASON_UNSPECIFIED: EndReason
END_REASON_COMPLETED: EndReason
END_REASON_STOPPED: EndReason
END_REASON_LEASE_EXPIRED: EndReason
END_REASON_AGENT_SHUTDOWN: EndReason

class DescribeRequest(_message.Message):
    __slots__ = ("syscalls",)
    SYSCALLS_FIELD_NUMBER: _ClassVar[int]
    syscalls: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, syscalls: _Optional[_Iterable[str]] = ...) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("node", "agent_id", "agent_version", "kernel_release", "architecture", "cgroup_mode", "can_trace", "reason", "message", "syscall_problems", "views", "watches_pods", "redacts")
    NODE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    KERNEL_RELEASE_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    CGROUP_MODE_FIELD_NUMBER: _ClassVar[int]
    CAN_TRACE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SYSCALL_PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    WATCHES_PODS_FIELD_NUMBER: _ClassVar[int]
    REDACTS_FIELD_NUMBER: _ClassVar[int]
    node: str
    agent_id: str
    agent_version: str
    kernel_release: str
    architecture: str
    cgroup_mode: CgroupMode
    can_trace: bool
    reason: str
    message: str
    syscall_problems: _containers.RepeatedScalarFieldContainer[str]
    views: _containers.RepeatedCompositeFieldContainer[ViewSupport]
    watches_pods: bool
    redacts: bool
    def __init__(self, node: _Optional[str] = ..., agent_id: _Optional[str] = ..., agent_version: _Optional[str] = ..., kernel_release: _Optional[str] = ..., architecture: _Optional[str] = ..., cgroup_mode: _Optional[_Union[CgroupMode, str]] = ..., can_trace: _Optional[bool] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., syscall_problems: _Optional[_Iterable[str]] = ..., views: _Optional[_Iterable[_Union[ViewSupport, _Mapping]]] = ..., watches_pods: _Optional[bool] = ..., redacts: _Optional[bool] = ...) -> None: ...

class ViewSupport(_message.Message):
    __slots__ = ("name", "available", "message")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    available: bool
    message: str
    def __init__(self, name: _Optional[str] = ..., available: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...

class Container(_message.Message):
    __slots__ = ("pod_uid", "pod_namespace", "pod_name", "container_name", "container_id", "restart_count", "kind")
    POD_UID_FIELD_NUMBER: _ClassVar[int]
    POD_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    POD_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    RESTART_COUNT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    pod_uid: str
    pod_namespace: str
    pod_name: str
    container_name: str
    container_id: str
    restart_count: int
    kind: str
    def __init__(self, pod_uid: _Optional[str] = ..., pod_namespace: _Optional[str] = ..., pod_name: _Optional[str] = ..., container_name: _Optional[str] = ..., container_id: _Optional[str] = ..., restart_count: _Optional[int] = ..., kind: _Optional[str] = ...) -> None: ...

class Pod(_message.Message):
    __slots__ = ("uid", "namespace", "name", "excluded_containers", "containers", "kinds")
    class KindsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    UID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    uid: str
    namespace: str
    name: str
    excluded_containers: _containers.RepeatedScalarFieldContainer[str]
    containers: _containers.RepeatedScalarFieldContainer[str]
    kinds: _containers.ScalarMap[str, str]
    def __init__(self, uid: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., excluded_containers: _Optional[_Iterable[str]] = ..., containers: _Optional[_Iterable[str]] = ..., kinds: _Optional[_Mapping[str, str]] = ...) -> None: ...

class StartTraceRequest(_message.Message):
    __slots__ = ("session_uid", "session_name", "containers", "syscalls", "duration_milliseconds", "lease_seconds", "views", "elapsed_milliseconds", "pods", "redact")
    class ViewsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _any_pb2.Any
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...
    SESSION_UID_FIELD_NUMBER: _ClassVar[int]
    SESSION_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    SYSCALLS_FIELD_NUMBER: _ClassVar[int]
    DURATION_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    LEASE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    REDACT_FIELD_NUMBER: _ClassVar[int]
    session_uid: str
    session_name: str
    containers: _containers.RepeatedCompositeFieldContainer[Container]
    syscalls: _containers.RepeatedScalarFieldContainer[str]
    duration_milliseconds: int
    lease_seconds: int
    views: _containers.MessageMap[str, _any_pb2.Any]
    elapsed_milliseconds: int
    pods: _containers.RepeatedCompositeFieldContainer[Pod]
    redact: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, session_uid: _Optional[str] = ..., session_name: _Optional[str] = ..., containers: _Optional[_Iterable[_Union[Container, _Mapping]]] = ..., syscalls: _Optional[_Iterable[str]] = ..., duration_milliseconds: _Optional[int] = ..., lease_seconds: _Optional[int] = ..., views: _Optional[_Mapping[str, _any_pb2.Any]] = ..., elapsed_milliseconds: _Optional[int] = ..., pods: _Optional[_Iterable[_Union[Pod, _Mapping]]] = ..., redact: _Optional[_Iterable[str]] = ...) -> None: ...

class StartTraceResponse(_message.Message):
    __slots__ = ("agent_id", "created", "containers", "start_time_unix_nanoseconds")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    created: bool
    containers: _containers.RepeatedCompositeFieldContainer[ContainerState]
    start_time_unix_nanoseconds: int
    def __init__(self, agent_id: _Optional[str] = ..., created: _Optional[bool] = ..., containers: _Optional[_Iterable[_Union[ContainerState, _Mapping]]] = ..., start_time_unix_nanoseconds: _Optional[int] = ...) -> None: ...

class ContainerState(_message.Message):
    __slots__ = ("container", "phase", "reason", "message", "host_pid", "pid", "start_time_unix_nanoseconds", "end_time_unix_nanoseconds", "exit_code", "exit_reason", "finish_time_unix_nanoseconds")
    class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PHASE_UNSPECIFIED: _ClassVar[ContainerState.Phase]
        PHASE_TRACING: _ClassVar[ContainerState.Phase]
        PHASE_ENDED: _ClassVar[ContainerState.Phase]
        PHASE_FAILED: _ClassVar[ContainerState.Phase]
    PHASE_UNSPECIFIED: ContainerState.Phase
    PHASE_TRACING: ContainerState.Phase
    PHASE_ENDED: ContainerState.Phase
    PHASE_FAILED: ContainerState.Phase
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HOST_PID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    EXIT_REASON_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    container: Container
    phase: ContainerState.Phase
    reason: str
    message: str
    host_pid: int
    pid: int
    start_time_unix_nanoseconds: int
    end_time_unix_nanoseconds: int
    exit_code: int
    exit_reason: str
    finish_time_unix_nanoseconds: int
    def __init__(self, container: _Optional[_Union[Container, _Mapping]] = ..., phase: _Optional[_Union[ContainerState.Phase, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., host_pid: _Optional[int] = ..., pid: _Optional[int] = ..., start_time_unix_nanoseconds: _Optional[int] = ..., end_time_unix_nanoseconds: _Optional[int] = ..., exit_code: _Optional[int] = ..., exit_reason: _Optional[str] = ..., finish_time_unix_nanoseconds: _Optional[int] = ...) -> None: ...

class WatchTraceRequest(_message.Message):
    __slots__ = ("session_uid", "interval_milliseconds")
    SESSION_UID_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    session_uid: str
    interval_milliseconds: int
    def __init__(self, session_uid: _Optional[str] = ..., interval_milliseconds: _Optional[int] = ...) -> None: ...

class StopTraceRequest(_message.Message):
    __slots__ = ("session_uid",)
    SESSION_UID_FIELD_NUMBER: _ClassVar[int]
    session_uid: str
    def __init__(self, session_uid: _Optional[str] = ...) -> None: ...

class StopTraceResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: Report
    def __init__(self, report: _Optional[_Union[Report, _Mapping]] = ...) -> None: ...

class ListTracesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListTracesResponse(_message.Message):
    __slots__ = ("agent_id", "traces")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    TRACES_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    traces: _containers.RepeatedCompositeFieldContainer[TraceSummary]
    def __init__(self, agent_id: _Optional[str] = ..., traces: _Optional[_Iterable[_Union[TraceSummary, _Mapping]]] = ...) -> None: ...

class TraceSummary(_message.Message):
    __slots__ = ("session_uid", "session_name", "ended", "containers", "start_time_unix_nanoseconds")
    SESSION_UID_FIELD_NUMBER: _ClassVar[int]
    SESSION_NAME_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    session_uid: str
    session_name: str
    ended: bool
    containers: int
    start_time_unix_nanoseconds: int
    def __init__(self, session_uid: _Optional[str] = ..., session_name: _Optional[str] = ..., ended: _Optional[bool] = ..., containers: _Optional[int] = ..., start_time_unix_nanoseconds: _Optional[int] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("session_uid", "node", "agent_id", "sequence", "final", "end_reason", "start_time_unix_nanoseconds", "time_unix_nanoseconds", "containers", "trust")
    SESSION_UID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    END_REASON_FIELD_NUMBER: _ClassVar[int]
    START_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    TRUST_FIELD_NUMBER: _ClassVar[int]
    session_uid: str
    node: str
    agent_id: str
    sequence: int
    final: bool
    end_reason: EndReason
    start_time_unix_nanoseconds: int
    time_unix_nanoseconds: int
    containers: _containers.RepeatedCompositeFieldContainer[ContainerReport]
    trust: Trust
    def __init__(self, session_uid: _Optional[str] = ..., node: _Optional[str] = ..., agent_id: _Optional[str] = ..., sequence: _Optional[int] = ..., final: _Optional[bool] = ..., end_reason: _Optional[_Union[EndReason, str]] = ..., start_time_unix_nanoseconds: _Optional[int] = ..., time_unix_nanoseconds: _Optional[int] = ..., containers: _Optional[_Iterable[_Union[ContainerReport, _Mapping]]] = ..., trust: _Optional[_Union[Trust, _Mapping]] = ...) -> None: ...

class ContainerReport(_message.Message):
    __slots__ = ("state", "syscalls", "trust", "unreturned", "views")
    class ViewsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _any_pb2.Any
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...
    STATE_FIELD_NUMBER: _ClassVar[int]
    SYSCALLS_FIELD_NUMBER: _ClassVar[int]
    TRUST_FIELD_NUMBER: _ClassVar[int]
    UNRETURNED_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    state: ContainerState
    syscalls: _containers.RepeatedCompositeFieldContainer[SyscallCounts]
    trust: Trust
    unreturned: _containers.RepeatedCompositeFieldContainer[UnreturnedCall]
    views: _containers.MessageMap[str, _any_pb2.Any]
    def __init__(self, state: _Optional[_Union[ContainerState, _Mapping]] = ..., syscalls: _Optional[_Iterable[_Union[SyscallCounts, _Mapping]]] = ..., trust: _Optional[_Union[Trust, _Mapping]] = ..., unreturned: _Optional[_Iterable[_Union[UnreturnedCall, _Mapping]]] = ..., views: _Optional[_Mapping[str, _any_pb2.Any]] = ...) -> None: ...

class UnreturnedCall(_message.Message):
    __slots__ = ("name", "abi", "wait", "age_nanoseconds", "began_earlier", "arguments", "tid", "pid", "host_tid", "host_pid", "thread", "process")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    AGE_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    BEGAN_EARLIER_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    TID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    HOST_TID_FIELD_NUMBER: _ClassVar[int]
    HOST_PID_FIELD_NUMBER: _ClassVar[int]
    THREAD_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    name: str
    abi: str
    wait: bool
    age_nanoseconds: int
    began_earlier: bool
    arguments: str
    tid: int
    pid: int
    host_tid: int
    host_pid: int
    thread: str
    process: str
    def __init__(self, name: _Optional[str] = ..., abi: _Optional[str] = ..., wait: _Optional[bool] = ..., age_nanoseconds: _Optional[int] = ..., began_earlier: _Optional[bool] = ..., arguments: _Optional[str] = ..., tid: _Optional[int] = ..., pid: _Optional[int] = ..., host_tid: _Optional[int] = ..., host_pid: _Optional[int] = ..., thread: _Optional[str] = ..., process: _Optional[str] = ...) -> None: ...

class SyscallCounts(_message.Message):
    __slots__ = ("name", "abi", "wait", "calls", "errors", "interrupted", "timed", "total_nanoseconds", "max_nanoseconds", "errnos", "latency", "bytes", "zero_results")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTED_FIELD_NUMBER: _ClassVar[int]
    TIMED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    ERRNOS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    ZERO_RESULTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    abi: str
    wait: bool
    calls: int
    errors: int
    interrupted: int
    timed: int
    total_nanoseconds: int
    max_nanoseconds: int
    errnos: _containers.RepeatedCompositeFieldContainer[ErrnoCount]
    latency: Histogram
    bytes: int
    zero_results: int
    def __init__(self, name: _Optional[str] = ..., abi: _Optional[str] = ..., wait: _Optional[bool] = ..., calls: _Optional[int] = ..., errors: _Optional[int] = ..., interrupted: _Optional[int] = ..., timed: _Optional[int] = ..., total_nanoseconds: _Optional[int] = ..., max_nanoseconds: _Optional[int] = ..., errnos: _Optional[_Iterable[_Union[ErrnoCount, _Mapping]]] = ..., latency: _Optional[_Union[Histogram, _Mapping]] = ..., bytes: _Optional[int] = ..., zero_results: _Optional[int] = ...) -> None: ...

class ErrnoCount(_message.Message):
    __slots__ = ("name", "count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Histogram(_message.Message):
    __slots__ = ("buckets", "counts")
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    buckets: _containers.RepeatedScalarFieldContainer[int]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, buckets: _Optional[_Iterable[int]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class RingUser(_message.Message):
    __slots__ = ("pid", "host_pid", "process", "polled", "pod_name", "container_name", "rings")
    PID_FIELD_NUMBER: _ClassVar[int]
    HOST_PID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    POLLED_FIELD_NUMBER: _ClassVar[int]
    POD_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_NAME_FIELD_NUMBER: _ClassVar[int]
    RINGS_FIELD_NUMBER: _ClassVar[int]
    pid: int
    host_pid: int
    process: str
    polled: bool
    pod_name: str
    container_name: str
    rings: int
    def __init__(self, pid: _Optional[int] = ..., host_pid: _Optional[int] = ..., process: _Optional[str] = ..., polled: _Optional[bool] = ..., pod_name: _Optional[str] = ..., container_name: _Optional[str] = ..., rings: _Optional[int] = ...) -> None: ...

class Trust(_message.Message):
    __slots__ = ("unmatched_calls", "unreturned_calls", "lost_calls", "io_uring", "ring_users", "other_ring_users", "rings", "gaps", "agent_cpu_millicores", "skipped_calls", "losses", "runtime_calls")
    class LossesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    UNMATCHED_CALLS_FIELD_NUMBER: _ClassVar[int]
    UNRETURNED_CALLS_FIELD_NUMBER: _ClassVar[int]
    LOST_CALLS_FIELD_NUMBER: _ClassVar[int]
    IO_URING_FIELD_NUMBER: _ClassVar[int]
    RING_USERS_FIELD_NUMBER: _ClassVar[int]
    OTHER_RING_USERS_FIELD_NUMBER: _ClassVar[int]
    RINGS_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    AGENT_CPU_MILLICORES_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_CALLS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_CALLS_FIELD_NUMBER: _ClassVar[int]
    unmatched_calls: int
    unreturned_calls: int
    lost_calls: int
    io_uring: bool
    ring_users: _containers.RepeatedCompositeFieldContainer[RingUser]
    other_ring_users: int
    rings: int
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    agent_cpu_millicores: int
    skipped_calls: int
    losses: _containers.ScalarMap[str, int]
    runtime_calls: int
    def __init__(self, unmatched_calls: _Optional[int] = ..., unreturned_calls: _Optional[int] = ..., lost_calls: _Optional[int] = ..., io_uring: _Optional[bool] = ..., ring_users: _Optional[_Iterable[_Union[RingUser, _Mapping]]] = ..., other_ring_users: _Optional[int] = ..., rings: _Optional[int] = ..., gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., agent_cpu_millicores: _Optional[int] = ..., skipped_calls: _Optional[int] = ..., losses: _Optional[_Mapping[str, int]] = ..., runtime_calls: _Optional[int] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("node", "reason", "message", "start_time_unix_nanoseconds", "end_time_unix_nanoseconds", "container")
    NODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    node: str
    reason: str
    message: str
    start_time_unix_nanoseconds: int
    end_time_unix_nanoseconds: int
    container: Container
    def __init__(self, node: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., start_time_unix_nanoseconds: _Optional[int] = ..., end_time_unix_nanoseconds: _Optional[int] = ..., container: _Optional[_Union[Container, _Mapping]] = ...) -> None: ...
