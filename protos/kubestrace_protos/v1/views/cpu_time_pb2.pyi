from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CpuTimeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CpuTimeResult(_message.Message):
    __slots__ = ("budget", "calls")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    budget: TimeBudget
    calls: _containers.RepeatedCompositeFieldContainer[CallCpuTime]
    def __init__(self, budget: _Optional[_Union[TimeBudget, _Mapping]] = ..., calls: _Optional[_Iterable[_Union[CallCpuTime, _Mapping]]] = ...) -> None: ...

class CallCpuTime(_message.Message):
    __slots__ = ("name", "abi", "wait", "cpu_nanoseconds", "runnable_nanoseconds", "asleep_nanoseconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    CPU_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    RUNNABLE_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    ASLEEP_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    abi: str
    wait: bool
    cpu_nanoseconds: int
    runnable_nanoseconds: int
    asleep_nanoseconds: int
    def __init__(self, name: _Optional[str] = ..., abi: _Optional[str] = ..., wait: _Optional[bool] = ..., cpu_nanoseconds: _Optional[int] = ..., runnable_nanoseconds: _Optional[int] = ..., asleep_nanoseconds: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("name", "abi", "kernel_nanoseconds", "waiting_nanoseconds", "blocked_nanoseconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    KERNEL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    WAITING_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    abi: str
    kernel_nanoseconds: int
    waiting_nanoseconds: int
    blocked_nanoseconds: int
    def __init__(self, name: _Optional[str] = ..., abi: _Optional[str] = ..., kernel_nanoseconds: _Optional[int] = ..., waiting_nanoseconds: _Optional[int] = ..., blocked_nanoseconds: _Optional[int] = ...) -> None: ...
