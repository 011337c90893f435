from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FilesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FilesResult(_message.Message):
    __slots__ = ("paths", "other_paths", "other_path_count", "others")
    PATHS_FIELD_NUMBER: _ClassVar[int]
    OTHER_PATHS_FIELD_NUMBER: _ClassVar[int]
    OTHER_PATH_COUNT_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    paths: _containers.RepeatedCompositeFieldContainer[FileRow]
    other_paths: FileRow
    other_path_count: int
    others: _containers.RepeatedCompositeFieldContainer[FileRow]
    def __init__(self, paths: _Optional[_Iterable[_Union[FileRow, _Mapping]]] = ..., other_paths: _Optional[_Union[FileRow, _Mapping]] = ..., other_path_count: _Optional[int] = ..., others: _Optional[_Iterable[_Union[FileRow, _Mapping]]] = ...) -> None: ...

class FileRow(_message.Message):
    __slots__ = ("path", "file", "opens", "stats", "other", "reads", "read_bytes", "writes", "write_bytes", "synced_writes", "syncs", "failed", "errnos", "total_nanoseconds", "max_nanoseconds")
    PATH_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    OPENS_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SYNCED_WRITES_FIELD_NUMBER: _ClassVar[int]
    SYNCS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    ERRNOS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    path: str
    file: str
    opens: int
    stats: int
    other: int
    reads: int
    read_bytes: int
    writes: int
    write_bytes: int
    synced_writes: int
    syncs: int
    failed: int
    errnos: _containers.RepeatedCompositeFieldContainer[FileErrno]
    total_nanoseconds: int
    max_nanoseconds: int
    def __init__(self, path: _Optional[str] = ..., file: _Optional[str] = ..., opens: _Optional[int] = ..., stats: _Optional[int] = ..., other: _Optional[int] = ..., reads: _Optional[int] = ..., read_bytes: _Optional[int] = ..., writes: _Optional[int] = ..., write_bytes: _Optional[int] = ..., synced_writes: _Optional[int] = ..., syncs: _Optional[int] = ..., failed: _Optional[int] = ..., errnos: _Optional[_Iterable[_Union[FileErrno, _Mapping]]] = ..., total_nanoseconds: _Optional[int] = ..., max_nanoseconds: _Optional[int] = ...) -> None: ...

class FileErrno(_message.Message):
    __slots__ = ("name", "count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...
