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
    __slots__ = ("node", "agent_id", "agent_version", "kernel_release", "architecture", "cgroup_mode", "can_trace", "reason", "message", "syscall_problems")
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
    def __init__(self, node: _Optional[str] = ..., agent_id: _Optional[str] = ..., agent_version: _Optional[str] = ..., kernel_release: _Optional[str] = ..., architecture: _Optional[str] = ..., cgroup_mode: _Optional[_Union[CgroupMode, str]] = ..., can_trace: _Optional[bool] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., syscall_problems: _Optional[_Iterable[str]] = ...) -> None: ...

class Container(_message.Message):
    __slots__ = ("pod_uid", "pod_namespace", "pod_name", "container_name", "container_id", "restart_count")
    POD_UID_FIELD_NUMBER: _ClassVar[int]
    POD_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    POD_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    RESTART_COUNT_FIELD_NUMBER: _ClassVar[int]
    pod_uid: str
    pod_namespace: str
    pod_name: str
    container_name: str
    container_id: str
    restart_count: int
    def __init__(self, pod_uid: _Optional[str] = ..., pod_namespace: _Optional[str] = ..., pod_name: _Optional[str] = ..., container_name: _Optional[str] = ..., container_id: _Optional[str] = ..., restart_count: _Optional[int] = ...) -> None: ...

class StartTraceRequest(_message.Message):
    __slots__ = ("session_uid", "session_name", "containers", "syscalls", "duration_milliseconds", "lease_seconds", "views", "elapsed_milliseconds")
    SESSION_UID_FIELD_NUMBER: _ClassVar[int]
    SESSION_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    SYSCALLS_FIELD_NUMBER: _ClassVar[int]
    DURATION_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    LEASE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    session_uid: str
    session_name: str
    containers: _containers.RepeatedCompositeFieldContainer[Container]
    syscalls: _containers.RepeatedScalarFieldContainer[str]
    duration_milliseconds: int
    lease_seconds: int
    views: Views
    elapsed_milliseconds: int
    def __init__(self, session_uid: _Optional[str] = ..., session_name: _Optional[str] = ..., containers: _Optional[_Iterable[_Union[Container, _Mapping]]] = ..., syscalls: _Optional[_Iterable[str]] = ..., duration_milliseconds: _Optional[int] = ..., lease_seconds: _Optional[int] = ..., views: _Optional[_Union[Views, _Mapping]] = ..., elapsed_milliseconds: _Optional[int] = ...) -> None: ...

class Views(_message.Message):
    __slots__ = ("slow_calls", "timeline", "cpu_time", "processes", "errors")
    SLOW_CALLS_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    CPU_TIME_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    slow_calls: SlowCallsView
    timeline: Timeline
    cpu_time: CpuTimeView
    processes: ProcessesView
    errors: ErrorsView
    def __init__(self, slow_calls: _Optional[_Union[SlowCallsView, _Mapping]] = ..., timeline: _Optional[_Union[Timeline, _Mapping]] = ..., cpu_time: _Optional[_Union[CpuTimeView, _Mapping]] = ..., processes: _Optional[_Union[ProcessesView, _Mapping]] = ..., errors: _Optional[_Union[ErrorsView, _Mapping]] = ...) -> None: ...

class CpuTimeView(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Timeline(_message.Message):
    __slots__ = ("buckets", "duration_milliseconds", "elapsed_milliseconds")
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    DURATION_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    buckets: int
    duration_milliseconds: int
    elapsed_milliseconds: int
    def __init__(self, buckets: _Optional[int] = ..., duration_milliseconds: _Optional[int] = ..., elapsed_milliseconds: _Optional[int] = ...) -> None: ...

class SlowCallsView(_message.Message):
    __slots__ = ("threshold_nanoseconds", "limit", "stacks")
    THRESHOLD_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STACKS_FIELD_NUMBER: _ClassVar[int]
    threshold_nanoseconds: int
    limit: int
    stacks: bool
    def __init__(self, threshold_nanoseconds: _Optional[int] = ..., limit: _Optional[int] = ..., stacks: _Optional[bool] = ...) -> None: ...

class ProcessesView(_message.Message):
    __slots__ = ("top",)
    TOP_FIELD_NUMBER: _ClassVar[int]
    top: int
    def __init__(self, top: _Optional[int] = ...) -> None: ...

class ErrorsView(_message.Message):
    __slots__ = ("samples",)
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    samples: int
    def __init__(self, samples: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("container", "phase", "reason", "message", "host_pid", "pid", "start_time_unix_nanoseconds", "end_time_unix_nanoseconds")
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
    container: Container
    phase: ContainerState.Phase
    reason: str
    message: str
    host_pid: int
    pid: int
    start_time_unix_nanoseconds: int
    end_time_unix_nanoseconds: int
    def __init__(self, container: _Optional[_Union[Container, _Mapping]] = ..., phase: _Optional[_Union[ContainerState.Phase, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., host_pid: _Optional[int] = ..., pid: _Optional[int] = ..., start_time_unix_nanoseconds: _Optional[int] = ..., end_time_unix_nanoseconds: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("state", "syscalls", "trust", "slow_calls", "timeline", "time_budget", "processes", "unreturned")
    STATE_FIELD_NUMBER: _ClassVar[int]
    SYSCALLS_FIELD_NUMBER: _ClassVar[int]
    TRUST_FIELD_NUMBER: _ClassVar[int]
    SLOW_CALLS_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    TIME_BUDGET_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    UNRETURNED_FIELD_NUMBER: _ClassVar[int]
    state: ContainerState
    syscalls: _containers.RepeatedCompositeFieldContainer[SyscallCounts]
    trust: Trust
    slow_calls: _containers.RepeatedCompositeFieldContainer[SlowCall]
    timeline: TimelineCounts
    time_budget: TimeBudget
    processes: ProcessCounts
    unreturned: _containers.RepeatedCompositeFieldContainer[UnreturnedCall]
    def __init__(self, state: _Optional[_Union[ContainerState, _Mapping]] = ..., syscalls: _Optional[_Iterable[_Union[SyscallCounts, _Mapping]]] = ..., trust: _Optional[_Union[Trust, _Mapping]] = ..., slow_calls: _Optional[_Iterable[_Union[SlowCall, _Mapping]]] = ..., timeline: _Optional[_Union[TimelineCounts, _Mapping]] = ..., time_budget: _Optional[_Union[TimeBudget, _Mapping]] = ..., processes: _Optional[_Union[ProcessCounts, _Mapping]] = ..., unreturned: _Optional[_Iterable[_Union[UnreturnedCall, _Mapping]]] = ...) -> None: ...

class TimeBudget(_message.Message):
    __slots__ = ("thread_nanoseconds", "wall_nanoseconds", "user_nanoseconds", "runnable_nanoseconds", "blocked_nanoseconds", "uncounted_kernel_nanoseconds", "uncounted_waiting_nanoseconds", "other_nanoseconds", "calls")
    THREAD_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    WALL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    USER_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    RUNNABLE_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    UNCOUNTED_KERNEL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    UNCOUNTED_WAITING_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    OTHER_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    thread_nanoseconds: int
    wall_nanoseconds: int
    user_nanoseconds: int
    runnable_nanoseconds: int
    blocked_nanoseconds: int
    uncounted_kernel_nanoseconds: int
    uncounted_waiting_nanoseconds: int
    other_nanoseconds: int
    calls: _containers.RepeatedCompositeFieldContainer[CallTime]
    def __init__(self, thread_nanoseconds: _Optional[int] = ..., wall_nanoseconds: _Optional[int] = ..., user_nanoseconds: _Optional[int] = ..., runnable_nanoseconds: _Optional[int] = ..., blocked_nanoseconds: _Optional[int] = ..., uncounted_kernel_nanoseconds: _Optional[int] = ..., uncounted_waiting_nanoseconds: _Optional[int] = ..., other_nanoseconds: _Optional[int] = ..., calls: _Optional[_Iterable[_Union[CallTime, _Mapping]]] = ...) -> None: ...

class CallTime(_message.Message):
    __slots__ = ("name", "abi", "kernel_nanoseconds", "waiting_nanoseconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    KERNEL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    WAITING_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    abi: str
    kernel_nanoseconds: int
    waiting_nanoseconds: int
    def __init__(self, name: _Optional[str] = ..., abi: _Optional[str] = ..., kernel_nanoseconds: _Optional[int] = ..., waiting_nanoseconds: _Optional[int] = ...) -> None: ...

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

class TimelineCounts(_message.Message):
    __slots__ = ("buckets", "calls", "errors", "total_nanoseconds", "wait_nanoseconds", "late_snapshots")
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    WAIT_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    LATE_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    buckets: _containers.RepeatedScalarFieldContainer[int]
    calls: _containers.RepeatedScalarFieldContainer[int]
    errors: _containers.RepeatedScalarFieldContainer[int]
    total_nanoseconds: _containers.RepeatedScalarFieldContainer[int]
    wait_nanoseconds: _containers.RepeatedScalarFieldContainer[int]
    late_snapshots: int
    def __init__(self, buckets: _Optional[_Iterable[int]] = ..., calls: _Optional[_Iterable[int]] = ..., errors: _Optional[_Iterable[int]] = ..., total_nanoseconds: _Optional[_Iterable[int]] = ..., wait_nanoseconds: _Optional[_Iterable[int]] = ..., late_snapshots: _Optional[int] = ...) -> None: ...

class SlowCall(_message.Message):
    __slots__ = ("name", "abi", "wait", "start_time_unix_nanoseconds", "nanoseconds", "result", "errno", "arguments", "tid", "pid", "host_tid", "host_pid", "thread", "process", "cpu_nanoseconds", "runnable_nanoseconds", "kernel_stack", "user_stack")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERRNO_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    TID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    HOST_TID_FIELD_NUMBER: _ClassVar[int]
    HOST_PID_FIELD_NUMBER: _ClassVar[int]
    THREAD_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    CPU_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    RUNNABLE_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    KERNEL_STACK_FIELD_NUMBER: _ClassVar[int]
    USER_STACK_FIELD_NUMBER: _ClassVar[int]
    name: str
    abi: str
    wait: bool
    start_time_unix_nanoseconds: int
    nanoseconds: int
    result: int
    errno: str
    arguments: str
    tid: int
    pid: int
    host_tid: int
    host_pid: int
    thread: str
    process: str
    cpu_nanoseconds: int
    runnable_nanoseconds: int
    kernel_stack: _containers.RepeatedScalarFieldContainer[str]
    user_stack: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., abi: _Optional[str] = ..., wait: _Optional[bool] = ..., start_time_unix_nanoseconds: _Optional[int] = ..., nanoseconds: _Optional[int] = ..., result: _Optional[int] = ..., errno: _Optional[str] = ..., arguments: _Optional[str] = ..., tid: _Optional[int] = ..., pid: _Optional[int] = ..., host_tid: _Optional[int] = ..., host_pid: _Optional[int] = ..., thread: _Optional[str] = ..., process: _Optional[str] = ..., cpu_nanoseconds: _Optional[int] = ..., runnable_nanoseconds: _Optional[int] = ..., kernel_stack: _Optional[_Iterable[str]] = ..., user_stack: _Optional[_Iterable[str]] = ...) -> None: ...

class ProcessCounts(_message.Message):
    __slots__ = ("processes", "seen", "others", "execs_lost")
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    EXECS_LOST_FIELD_NUMBER: _ClassVar[int]
    processes: _containers.RepeatedCompositeFieldContainer[Process]
    seen: int
    others: CallSums
    execs_lost: int
    def __init__(self, processes: _Optional[_Iterable[_Union[Process, _Mapping]]] = ..., seen: _Optional[int] = ..., others: _Optional[_Union[CallSums, _Mapping]] = ..., execs_lost: _Optional[int] = ...) -> None: ...

class CallSums(_message.Message):
    __slots__ = ("calls", "errors", "total_nanoseconds", "wait_nanoseconds")
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    WAIT_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    calls: int
    errors: int
    total_nanoseconds: int
    wait_nanoseconds: int
    def __init__(self, calls: _Optional[int] = ..., errors: _Optional[int] = ..., total_nanoseconds: _Optional[int] = ..., wait_nanoseconds: _Optional[int] = ...) -> None: ...

class Process(_message.Message):
    __slots__ = ("pid", "parent_pid", "host_pid", "start_time_unix_nanoseconds", "command", "executable", "lifetime_nanoseconds", "exit_code", "signal", "sums", "threads", "execs", "execs_seen", "syscalls", "busiest_threads")
    PID_FIELD_NUMBER: _ClassVar[int]
    PARENT_PID_FIELD_NUMBER: _ClassVar[int]
    HOST_PID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    EXECS_FIELD_NUMBER: _ClassVar[int]
    EXECS_SEEN_FIELD_NUMBER: _ClassVar[int]
    SYSCALLS_FIELD_NUMBER: _ClassVar[int]
    BUSIEST_THREADS_FIELD_NUMBER: _ClassVar[int]
    pid: int
    parent_pid: int
    host_pid: int
    start_time_unix_nanoseconds: int
    command: str
    executable: str
    lifetime_nanoseconds: int
    exit_code: int
    signal: str
    sums: CallSums
    threads: int
    execs: _containers.RepeatedCompositeFieldContainer[Exec]
    execs_seen: int
    syscalls: _containers.RepeatedCompositeFieldContainer[ProcessSyscall]
    busiest_threads: _containers.RepeatedCompositeFieldContainer[ProcessThread]
    def __init__(self, pid: _Optional[int] = ..., parent_pid: _Optional[int] = ..., host_pid: _Optional[int] = ..., start_time_unix_nanoseconds: _Optional[int] = ..., command: _Optional[str] = ..., executable: _Optional[str] = ..., lifetime_nanoseconds: _Optional[int] = ..., exit_code: _Optional[int] = ..., signal: _Optional[str] = ..., sums: _Optional[_Union[CallSums, _Mapping]] = ..., threads: _Optional[int] = ..., execs: _Optional[_Iterable[_Union[Exec, _Mapping]]] = ..., execs_seen: _Optional[int] = ..., syscalls: _Optional[_Iterable[_Union[ProcessSyscall, _Mapping]]] = ..., busiest_threads: _Optional[_Iterable[_Union[ProcessThread, _Mapping]]] = ...) -> None: ...

class Exec(_message.Message):
    __slots__ = ("time_unix_nanoseconds", "command", "executable")
    TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    time_unix_nanoseconds: int
    command: str
    executable: str
    def __init__(self, time_unix_nanoseconds: _Optional[int] = ..., command: _Optional[str] = ..., executable: _Optional[str] = ...) -> None: ...

class ProcessSyscall(_message.Message):
    __slots__ = ("name", "abi", "wait", "calls", "errors", "total_nanoseconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    abi: str
    wait: bool
    calls: int
    errors: int
    total_nanoseconds: int
    def __init__(self, name: _Optional[str] = ..., abi: _Optional[str] = ..., wait: _Optional[bool] = ..., calls: _Optional[int] = ..., errors: _Optional[int] = ..., total_nanoseconds: _Optional[int] = ...) -> None: ...

class ProcessThread(_message.Message):
    __slots__ = ("tid", "host_tid", "name", "sums")
    TID_FIELD_NUMBER: _ClassVar[int]
    HOST_TID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    tid: int
    host_tid: int
    name: str
    sums: CallSums
    def __init__(self, tid: _Optional[int] = ..., host_tid: _Optional[int] = ..., name: _Optional[str] = ..., sums: _Optional[_Union[CallSums, _Mapping]] = ...) -> None: ...

class SyscallCounts(_message.Message):
    __slots__ = ("name", "abi", "wait", "calls", "errors", "interrupted", "timed", "total_nanoseconds", "max_nanoseconds", "errnos", "latency", "cpu_nanoseconds", "runnable_nanoseconds", "asleep_nanoseconds")
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
    CPU_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    RUNNABLE_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    ASLEEP_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
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
    cpu_nanoseconds: int
    runnable_nanoseconds: int
    asleep_nanoseconds: int
    def __init__(self, name: _Optional[str] = ..., abi: _Optional[str] = ..., wait: _Optional[bool] = ..., calls: _Optional[int] = ..., errors: _Optional[int] = ..., interrupted: _Optional[int] = ..., timed: _Optional[int] = ..., total_nanoseconds: _Optional[int] = ..., max_nanoseconds: _Optional[int] = ..., errnos: _Optional[_Iterable[_Union[ErrnoCount, _Mapping]]] = ..., latency: _Optional[_Union[Histogram, _Mapping]] = ..., cpu_nanoseconds: _Optional[int] = ..., runnable_nanoseconds: _Optional[int] = ..., asleep_nanoseconds: _Optional[int] = ...) -> None: ...

class ErrnoCount(_message.Message):
    __slots__ = ("name", "count", "first_time_unix_nanoseconds", "last_time_unix_nanoseconds", "samples")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    first_time_unix_nanoseconds: int
    last_time_unix_nanoseconds: int
    samples: _containers.RepeatedCompositeFieldContainer[ErrorSample]
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ..., first_time_unix_nanoseconds: _Optional[int] = ..., last_time_unix_nanoseconds: _Optional[int] = ..., samples: _Optional[_Iterable[_Union[ErrorSample, _Mapping]]] = ...) -> None: ...

class ErrorSample(_message.Message):
    __slots__ = ("time_unix_nanoseconds", "arguments", "tid", "pid", "host_tid", "host_pid", "thread", "process", "alike")
    TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    TID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    HOST_TID_FIELD_NUMBER: _ClassVar[int]
    HOST_PID_FIELD_NUMBER: _ClassVar[int]
    THREAD_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    ALIKE_FIELD_NUMBER: _ClassVar[int]
    time_unix_nanoseconds: int
    arguments: str
    tid: int
    pid: int
    host_tid: int
    host_pid: int
    thread: str
    process: str
    alike: int
    def __init__(self, time_unix_nanoseconds: _Optional[int] = ..., arguments: _Optional[str] = ..., tid: _Optional[int] = ..., pid: _Optional[int] = ..., host_tid: _Optional[int] = ..., host_pid: _Optional[int] = ..., thread: _Optional[str] = ..., process: _Optional[str] = ..., alike: _Optional[int] = ...) -> None: ...

class Histogram(_message.Message):
    __slots__ = ("buckets", "counts")
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    buckets: _containers.RepeatedScalarFieldContainer[int]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, buckets: _Optional[_Iterable[int]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class Trust(_message.Message):
    __slots__ = ("unmatched_calls", "unreturned_calls", "lost_calls", "io_uring", "gaps", "agent_cpu_millicores", "slow_calls_lost", "cpu_time_lost", "process_calls_lost", "error_samples_lost", "skipped_calls", "stacks_lost")
    UNMATCHED_CALLS_FIELD_NUMBER: _ClassVar[int]
    UNRETURNED_CALLS_FIELD_NUMBER: _ClassVar[int]
    LOST_CALLS_FIELD_NUMBER: _ClassVar[int]
    IO_URING_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    AGENT_CPU_MILLICORES_FIELD_NUMBER: _ClassVar[int]
    SLOW_CALLS_LOST_FIELD_NUMBER: _ClassVar[int]
    CPU_TIME_LOST_FIELD_NUMBER: _ClassVar[int]
    PROCESS_CALLS_LOST_FIELD_NUMBER: _ClassVar[int]
    ERROR_SAMPLES_LOST_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_CALLS_FIELD_NUMBER: _ClassVar[int]
    STACKS_LOST_FIELD_NUMBER: _ClassVar[int]
    unmatched_calls: int
    unreturned_calls: int
    lost_calls: int
    io_uring: bool
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    agent_cpu_millicores: int
    slow_calls_lost: int
    cpu_time_lost: int
    process_calls_lost: int
    error_samples_lost: int
    skipped_calls: int
    stacks_lost: int
    def __init__(self, unmatched_calls: _Optional[int] = ..., unreturned_calls: _Optional[int] = ..., lost_calls: _Optional[int] = ..., io_uring: _Optional[bool] = ..., gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., agent_cpu_millicores: _Optional[int] = ..., slow_calls_lost: _Optional[int] = ..., cpu_time_lost: _Optional[int] = ..., process_calls_lost: _Optional[int] = ..., error_samples_lost: _Optional[int] = ..., skipped_calls: _Optional[int] = ..., stacks_lost: _Optional[int] = ...) -> None: ...

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
