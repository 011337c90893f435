from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LocksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LocksResult(_message.Message):
    __slots__ = ("locks", "other_locks", "other_waits", "other_nanoseconds")
    LOCKS_FIELD_NUMBER: _ClassVar[int]
    OTHER_LOCKS_FIELD_NUMBER: _ClassVar[int]
    OTHER_WAITS_FIELD_NUMBER: _ClassVar[int]
    OTHER_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    locks: _containers.RepeatedCompositeFieldContainer[Lock]
    other_locks: int
    other_waits: int
    other_nanoseconds: int
    def __init__(self, locks: _Optional[_Iterable[_Union[Lock, _Mapping]]] = ..., other_locks: _Optional[int] = ..., other_waits: _Optional[int] = ..., other_nanoseconds: _Optional[int] = ...) -> None: ...

class Lock(_message.Message):
    __slots__ = ("pid", "host_pid", "process", "address", "threads", "waits", "failed", "wakes", "handed_on", "holds", "held_nanoseconds", "longest_held_nanoseconds", "total_nanoseconds", "max_nanoseconds", "buckets", "counts")
    PID_FIELD_NUMBER: _ClassVar[int]
    HOST_PID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    WAKES_FIELD_NUMBER: _ClassVar[int]
    HANDED_ON_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    HELD_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    LONGEST_HELD_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    pid: int
    host_pid: int
    process: str
    address: int
    threads: int
    waits: int
    failed: int
    wakes: int
    handed_on: int
    holds: int
    held_nanoseconds: int
    longest_held_nanoseconds: int
    total_nanoseconds: int
    max_nanoseconds: int
    buckets: _containers.RepeatedScalarFieldContainer[int]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, pid: _Optional[int] = ..., host_pid: _Optional[int] = ..., process: _Optional[str] = ..., address: _Optional[int] = ..., threads: _Optional[int] = ..., waits: _Optional[int] = ..., failed: _Optional[int] = ..., wakes: _Optional[int] = ..., handed_on: _Optional[int] = ..., holds: _Optional[int] = ..., held_nanoseconds: _Optional[int] = ..., longest_held_nanoseconds: _Optional[int] = ..., total_nanoseconds: _Optional[int] = ..., max_nanoseconds: _Optional[int] = ..., buckets: _Optional[_Iterable[int]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...
