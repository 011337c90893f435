from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MemoryRequest(_message.Message):
    __slots__ = ("stacks",)
    STACKS_FIELD_NUMBER: _ClassVar[int]
    stacks: bool
    def __init__(self, stacks: _Optional[bool] = ...) -> None: ...

class MemoryResult(_message.Message):
    __slots__ = ("flows", "unsized_calls", "levels", "growth")
    FLOWS_FIELD_NUMBER: _ClassVar[int]
    UNSIZED_CALLS_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    GROWTH_FIELD_NUMBER: _ClassVar[int]
    flows: _containers.RepeatedCompositeFieldContainer[MemoryFlow]
    unsized_calls: int
    levels: _containers.RepeatedCompositeFieldContainer[MemoryLevels]
    growth: MemoryGrowth
    def __init__(self, flows: _Optional[_Iterable[_Union[MemoryFlow, _Mapping]]] = ..., unsized_calls: _Optional[int] = ..., levels: _Optional[_Iterable[_Union[MemoryLevels, _Mapping]]] = ..., growth: _Optional[_Union[MemoryGrowth, _Mapping]] = ...) -> None: ...

class MemoryFlow(_message.Message):
    __slots__ = ("kind", "calls", "failed", "bytes", "total_nanoseconds")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    calls: int
    failed: int
    bytes: int
    total_nanoseconds: int
    def __init__(self, kind: _Optional[str] = ..., calls: _Optional[int] = ..., failed: _Optional[int] = ..., bytes: _Optional[int] = ..., total_nanoseconds: _Optional[int] = ...) -> None: ...

class MemoryLevels(_message.Message):
    __slots__ = ("since_start_nanoseconds", "processes", "anon_bytes", "file_bytes", "shared_bytes", "swap_bytes", "virtual_bytes", "page_table_bytes", "unread_processes")
    SINCE_START_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    ANON_BYTES_FIELD_NUMBER: _ClassVar[int]
    FILE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHARED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SWAP_BYTES_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    PAGE_TABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNREAD_PROCESSES_FIELD_NUMBER: _ClassVar[int]
    since_start_nanoseconds: int
    processes: int
    anon_bytes: int
    file_bytes: int
    shared_bytes: int
    swap_bytes: int
    virtual_bytes: int
    page_table_bytes: int
    unread_processes: int
    def __init__(self, since_start_nanoseconds: _Optional[int] = ..., processes: _Optional[int] = ..., anon_bytes: _Optional[int] = ..., file_bytes: _Optional[int] = ..., shared_bytes: _Optional[int] = ..., swap_bytes: _Optional[int] = ..., virtual_bytes: _Optional[int] = ..., page_table_bytes: _Optional[int] = ..., unread_processes: _Optional[int] = ...) -> None: ...

class MemoryGrowth(_message.Message):
    __slots__ = ("calls", "bytes", "stacks", "functions")
    CALLS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    STACKS_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    calls: int
    bytes: int
    stacks: _containers.RepeatedCompositeFieldContainer[MemoryGrowthStack]
    functions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, calls: _Optional[int] = ..., bytes: _Optional[int] = ..., stacks: _Optional[_Iterable[_Union[MemoryGrowthStack, _Mapping]]] = ..., functions: _Optional[_Iterable[str]] = ...) -> None: ...

class MemoryGrowthStack(_message.Message):
    __slots__ = ("kind", "functions", "calls", "bytes")
    KIND_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    functions: _containers.RepeatedScalarFieldContainer[int]
    calls: int
    bytes: int
    def __init__(self, kind: _Optional[str] = ..., functions: _Optional[_Iterable[int]] = ..., calls: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...
