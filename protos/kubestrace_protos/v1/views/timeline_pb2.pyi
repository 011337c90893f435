from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class TimelineRequest(_message.Message):
    __slots__ = ("buckets", "duration_milliseconds", "elapsed_milliseconds")
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    DURATION_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    buckets: int
    duration_milliseconds: int
    elapsed_milliseconds: int
    def __init__(self, buckets: _Optional[int] = ..., duration_milliseconds: _Optional[int] = ..., elapsed_milliseconds: _Optional[int] = ...) -> None: ...

class TimelineResult(_message.Message):
    __slots__ = ("buckets", "calls", "errors", "total_nanoseconds", "wait_nanoseconds", "late_snapshots", "duration_milliseconds")
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    WAIT_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    LATE_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    DURATION_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    buckets: _containers.RepeatedScalarFieldContainer[int]
    calls: _containers.RepeatedScalarFieldContainer[int]
    errors: _containers.RepeatedScalarFieldContainer[int]
    total_nanoseconds: _containers.RepeatedScalarFieldContainer[int]
    wait_nanoseconds: _containers.RepeatedScalarFieldContainer[int]
    late_snapshots: int
    duration_milliseconds: int
    def __init__(self, buckets: _Optional[_Iterable[int]] = ..., calls: _Optional[_Iterable[int]] = ..., errors: _Optional[_Iterable[int]] = ..., total_nanoseconds: _Optional[_Iterable[int]] = ..., wait_nanoseconds: _Optional[_Iterable[int]] = ..., late_snapshots: _Optional[int] = ..., duration_milliseconds: _Optional[int] = ...) -> None: ...
