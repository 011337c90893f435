from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SlowCallsRequest(_message.Message):
    __slots__ = ("threshold_nanoseconds", "limit", "stacks")
    THRESHOLD_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STACKS_FIELD_NUMBER: _ClassVar[int]
    threshold_nanoseconds: int
    limit: int
    stacks: bool
    def __init__(self, threshold_nanoseconds: _Optional[int] = ..., limit: _Optional[int] = ..., stacks: _Optional[bool] = ...) -> None: ...

class SlowCallsResult(_message.Message):
    __slots__ = ("calls",)
    CALLS_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[SlowCall]
    def __init__(self, calls: _Optional[_Iterable[_Union[SlowCall, _Mapping]]] = ...) -> None: ...

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
