from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BlockIORequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BlockIOResult(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[BlockRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[BlockRow, _Mapping]]] = ...) -> None: ...

class BlockRow(_message.Message):
    __slots__ = ("device", "operation", "sync", "metadata", "attribution", "count", "bytes", "errors", "sequential", "queue", "device_time")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    SYNC_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    SEQUENTIAL_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_TIME_FIELD_NUMBER: _ClassVar[int]
    device: str
    operation: str
    sync: bool
    metadata: bool
    attribution: str
    count: int
    bytes: int
    errors: int
    sequential: int
    queue: BlockLengths
    device_time: BlockLengths
    def __init__(self, device: _Optional[str] = ..., operation: _Optional[str] = ..., sync: _Optional[bool] = ..., metadata: _Optional[bool] = ..., attribution: _Optional[str] = ..., count: _Optional[int] = ..., bytes: _Optional[int] = ..., errors: _Optional[int] = ..., sequential: _Optional[int] = ..., queue: _Optional[_Union[BlockLengths, _Mapping]] = ..., device_time: _Optional[_Union[BlockLengths, _Mapping]] = ...) -> None: ...

class BlockLengths(_message.Message):
    __slots__ = ("buckets", "counts", "total_nanoseconds", "max_nanoseconds")
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    buckets: _containers.RepeatedScalarFieldContainer[int]
    counts: _containers.RepeatedScalarFieldContainer[int]
    total_nanoseconds: int
    max_nanoseconds: int
    def __init__(self, buckets: _Optional[_Iterable[int]] = ..., counts: _Optional[_Iterable[int]] = ..., total_nanoseconds: _Optional[int] = ..., max_nanoseconds: _Optional[int] = ...) -> None: ...
