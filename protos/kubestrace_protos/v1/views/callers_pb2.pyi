from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CallersRequest(_message.Message):
    __slots__ = ("per_second", "by_errno")
    PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    BY_ERRNO_FIELD_NUMBER: _ClassVar[int]
    per_second: int
    by_errno: bool
    def __init__(self, per_second: _Optional[int] = ..., by_errno: _Optional[bool] = ...) -> None: ...

class CallersResult(_message.Message):
    __slots__ = ("rows", "functions")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[CallerRow]
    functions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rows: _Optional[_Iterable[_Union[CallerRow, _Mapping]]] = ..., functions: _Optional[_Iterable[str]] = ...) -> None: ...

class CallerRow(_message.Message):
    __slots__ = ("name", "abi", "errno", "sums", "stacks")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    ERRNO_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    STACKS_FIELD_NUMBER: _ClassVar[int]
    name: str
    abi: str
    errno: str
    sums: CallerSums
    stacks: _containers.RepeatedCompositeFieldContainer[CallerStack]
    def __init__(self, name: _Optional[str] = ..., abi: _Optional[str] = ..., errno: _Optional[str] = ..., sums: _Optional[_Union[CallerSums, _Mapping]] = ..., stacks: _Optional[_Iterable[_Union[CallerStack, _Mapping]]] = ...) -> None: ...

class CallerStack(_message.Message):
    __slots__ = ("functions", "sums")
    FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    functions: _containers.RepeatedScalarFieldContainer[int]
    sums: CallerSums
    def __init__(self, functions: _Optional[_Iterable[int]] = ..., sums: _Optional[_Union[CallerSums, _Mapping]] = ...) -> None: ...

class CallerSums(_message.Message):
    __slots__ = ("samples", "calls", "variance")
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_FIELD_NUMBER: _ClassVar[int]
    samples: int
    calls: int
    variance: int
    def __init__(self, samples: _Optional[int] = ..., calls: _Optional[int] = ..., variance: _Optional[int] = ...) -> None: ...
