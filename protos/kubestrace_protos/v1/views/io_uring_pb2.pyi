from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IOUringRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class IOUringResult(_message.Message):
    __slots__ = ("rows", "further_results", "further_errors")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FURTHER_RESULTS_FIELD_NUMBER: _ClassVar[int]
    FURTHER_ERRORS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[RingRow]
    further_results: int
    further_errors: int
    def __init__(self, rows: _Optional[_Iterable[_Union[RingRow, _Mapping]]] = ..., further_results: _Optional[int] = ..., further_errors: _Optional[int] = ...) -> None: ...

class RingRow(_message.Message):
    __slots__ = ("operation", "submitted", "completed", "errors", "untimed", "silent", "bytes", "buckets", "counts", "total_nanoseconds", "max_nanoseconds", "errnos")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    UNTIMED_FIELD_NUMBER: _ClassVar[int]
    SILENT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    ERRNOS_FIELD_NUMBER: _ClassVar[int]
    operation: str
    submitted: int
    completed: int
    errors: int
    untimed: int
    silent: int
    bytes: int
    buckets: _containers.RepeatedScalarFieldContainer[int]
    counts: _containers.RepeatedScalarFieldContainer[int]
    total_nanoseconds: int
    max_nanoseconds: int
    errnos: _containers.RepeatedCompositeFieldContainer[RingErrno]
    def __init__(self, operation: _Optional[str] = ..., submitted: _Optional[int] = ..., completed: _Optional[int] = ..., errors: _Optional[int] = ..., untimed: _Optional[int] = ..., silent: _Optional[int] = ..., bytes: _Optional[int] = ..., buckets: _Optional[_Iterable[int]] = ..., counts: _Optional[_Iterable[int]] = ..., total_nanoseconds: _Optional[int] = ..., max_nanoseconds: _Optional[int] = ..., errnos: _Optional[_Iterable[_Union[RingErrno, _Mapping]]] = ...) -> None: ...

class RingErrno(_message.Message):
    __slots__ = ("name", "count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...
