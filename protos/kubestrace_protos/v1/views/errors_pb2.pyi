from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Harmless(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HARMLESS_UNSPECIFIED: _ClassVar[Harmless]
    HARMLESS_NOT_READY: _ClassVar[Harmless]
    HARMLESS_CONNECTING: _ClassVar[Harmless]
    HARMLESS_FOUND_LATER: _ClassVar[Harmless]
    HARMLESS_NO_TERMINAL: _ClassVar[Harmless]
    HARMLESS_TIME_PASSED: _ClassVar[Harmless]
    HARMLESS_FUTEX_CHANGED: _ClassVar[Harmless]
HARMLESS_UNSPECIFIED: Harmless
HARMLESS_NOT_READY: Harmless
HARMLESS_CONNECTING: Harmless
HARMLESS_FOUND_LATER: Harmless
HARMLESS_NO_TERMINAL: Harmless
HARMLESS_TIME_PASSED: Harmless
HARMLESS_FUTEX_CHANGED: Harmless

class ErrorsRequest(_message.Message):
    __slots__ = ("samples",)
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    samples: int
    def __init__(self, samples: _Optional[int] = ...) -> None: ...

class ErrorsResult(_message.Message):
    __slots__ = ("kinds",)
    KINDS_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedCompositeFieldContainer[ErrorKind]
    def __init__(self, kinds: _Optional[_Iterable[_Union[ErrorKind, _Mapping]]] = ...) -> None: ...

class ErrorKind(_message.Message):
    __slots__ = ("syscall", "abi", "wait", "errno", "first_time_unix_nanoseconds", "last_time_unix_nanoseconds", "samples", "expected", "harmless")
    SYSCALL_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    ERRNO_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_UNIX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    HARMLESS_FIELD_NUMBER: _ClassVar[int]
    syscall: str
    abi: str
    wait: bool
    errno: str
    first_time_unix_nanoseconds: int
    last_time_unix_nanoseconds: int
    samples: _containers.RepeatedCompositeFieldContainer[ErrorSample]
    expected: int
    harmless: Harmless
    def __init__(self, syscall: _Optional[str] = ..., abi: _Optional[str] = ..., wait: _Optional[bool] = ..., errno: _Optional[str] = ..., first_time_unix_nanoseconds: _Optional[int] = ..., last_time_unix_nanoseconds: _Optional[int] = ..., samples: _Optional[_Iterable[_Union[ErrorSample, _Mapping]]] = ..., expected: _Optional[int] = ..., harmless: _Optional[_Union[Harmless, str]] = ...) -> None: ...

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
