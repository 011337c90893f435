from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProcessesRequest(_message.Message):
    __slots__ = ("top", "threads", "arguments", "by_program")
    TOP_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    BY_PROGRAM_FIELD_NUMBER: _ClassVar[int]
    top: int
    threads: int
    arguments: bool
    by_program: bool
    def __init__(self, top: _Optional[int] = ..., threads: _Optional[int] = ..., arguments: _Optional[bool] = ..., by_program: _Optional[bool] = ...) -> None: ...

class ProcessesResult(_message.Message):
    __slots__ = ("processes", "seen", "others")
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    processes: _containers.RepeatedCompositeFieldContainer[Process]
    seen: int
    others: CallSums
    def __init__(self, processes: _Optional[_Iterable[_Union[Process, _Mapping]]] = ..., seen: _Optional[int] = ..., others: _Optional[_Union[CallSums, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("pid", "parent_pid", "host_pid", "start_time_unix_nanoseconds", "command", "executable", "lifetime_nanoseconds", "exit_code", "signal", "sums", "threads", "execs", "execs_seen", "syscalls", "busiest_threads", "image", "title", "name", "first_name", "arguments", "from_outside", "denied", "end", "processes", "living", "ends", "other_threads")
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
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIRST_NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    FROM_OUTSIDE_FIELD_NUMBER: _ClassVar[int]
    DENIED_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    LIVING_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    OTHER_THREADS_FIELD_NUMBER: _ClassVar[int]
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
    image: int
    title: str
    name: str
    first_name: str
    arguments: _containers.RepeatedScalarFieldContainer[str]
    from_outside: bool
    denied: int
    end: str
    processes: int
    living: int
    ends: _containers.RepeatedCompositeFieldContainer[ProcessEnds]
    other_threads: CallSums
    def __init__(self, pid: _Optional[int] = ..., parent_pid: _Optional[int] = ..., host_pid: _Optional[int] = ..., start_time_unix_nanoseconds: _Optional[int] = ..., command: _Optional[str] = ..., executable: _Optional[str] = ..., lifetime_nanoseconds: _Optional[int] = ..., exit_code: _Optional[int] = ..., signal: _Optional[str] = ..., sums: _Optional[_Union[CallSums, _Mapping]] = ..., threads: _Optional[int] = ..., execs: _Optional[_Iterable[_Union[Exec, _Mapping]]] = ..., execs_seen: _Optional[int] = ..., syscalls: _Optional[_Iterable[_Union[ProcessSyscall, _Mapping]]] = ..., busiest_threads: _Optional[_Iterable[_Union[ProcessThread, _Mapping]]] = ..., image: _Optional[int] = ..., title: _Optional[str] = ..., name: _Optional[str] = ..., first_name: _Optional[str] = ..., arguments: _Optional[_Iterable[str]] = ..., from_outside: _Optional[bool] = ..., denied: _Optional[int] = ..., end: _Optional[str] = ..., processes: _Optional[int] = ..., living: _Optional[int] = ..., ends: _Optional[_Iterable[_Union[ProcessEnds, _Mapping]]] = ..., other_threads: _Optional[_Union[CallSums, _Mapping]] = ...) -> None: ...

class ProcessEnds(_message.Message):
    __slots__ = ("end", "count")
    END_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    end: str
    count: int
    def __init__(self, end: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("name", "abi", "wait", "calls", "errors", "total_nanoseconds", "denied")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    DENIED_FIELD_NUMBER: _ClassVar[int]
    name: str
    abi: str
    wait: bool
    calls: int
    errors: int
    total_nanoseconds: int
    denied: int
    def __init__(self, name: _Optional[str] = ..., abi: _Optional[str] = ..., wait: _Optional[bool] = ..., calls: _Optional[int] = ..., errors: _Optional[int] = ..., total_nanoseconds: _Optional[int] = ..., denied: _Optional[int] = ...) -> None: ...

class ProcessThread(_message.Message):
    __slots__ = ("tid", "host_tid", "name", "sums", "first_name")
    TID_FIELD_NUMBER: _ClassVar[int]
    HOST_TID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    FIRST_NAME_FIELD_NUMBER: _ClassVar[int]
    tid: int
    host_tid: int
    name: str
    sums: CallSums
    first_name: str
    def __init__(self, tid: _Optional[int] = ..., host_tid: _Optional[int] = ..., name: _Optional[str] = ..., sums: _Optional[_Union[CallSums, _Mapping]] = ..., first_name: _Optional[str] = ...) -> None: ...
