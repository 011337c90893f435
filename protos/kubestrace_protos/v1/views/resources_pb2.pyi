from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResourcesRequest(_message.Message):
    __slots__ = ("buckets", "duration_milliseconds", "elapsed_milliseconds")
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    DURATION_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    buckets: int
    duration_milliseconds: int
    elapsed_milliseconds: int
    def __init__(self, buckets: _Optional[int] = ..., duration_milliseconds: _Optional[int] = ..., elapsed_milliseconds: _Optional[int] = ...) -> None: ...

class ResourcesResult(_message.Message):
    __slots__ = ("grown", "levels", "unavailable", "covered_nanoseconds", "ended_unread", "pod_network", "by_bucket")
    class GrownEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class LevelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class UnavailableEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GROWN_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    COVERED_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    ENDED_UNREAD_FIELD_NUMBER: _ClassVar[int]
    POD_NETWORK_FIELD_NUMBER: _ClassVar[int]
    BY_BUCKET_FIELD_NUMBER: _ClassVar[int]
    grown: _containers.ScalarMap[str, int]
    levels: _containers.ScalarMap[str, int]
    unavailable: _containers.ScalarMap[str, str]
    covered_nanoseconds: int
    ended_unread: bool
    pod_network: PodNetwork
    by_bucket: ResourcesBuckets
    def __init__(self, grown: _Optional[_Mapping[str, int]] = ..., levels: _Optional[_Mapping[str, int]] = ..., unavailable: _Optional[_Mapping[str, str]] = ..., covered_nanoseconds: _Optional[int] = ..., ended_unread: _Optional[bool] = ..., pod_network: _Optional[_Union[PodNetwork, _Mapping]] = ..., by_bucket: _Optional[_Union[ResourcesBuckets, _Mapping]] = ...) -> None: ...

class PodNetwork(_message.Message):
    __slots__ = ("of_node", "counters", "levels")
    class CountersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class LevelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    OF_NODE_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    of_node: bool
    counters: _containers.ScalarMap[str, int]
    levels: _containers.ScalarMap[str, int]
    def __init__(self, of_node: _Optional[bool] = ..., counters: _Optional[_Mapping[str, int]] = ..., levels: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ResourcesBuckets(_message.Message):
    __slots__ = ("buckets", "series", "duration_milliseconds")
    class SeriesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ResourcesSeries
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ResourcesSeries, _Mapping]] = ...) -> None: ...
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    DURATION_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    buckets: _containers.RepeatedScalarFieldContainer[int]
    series: _containers.MessageMap[str, ResourcesSeries]
    duration_milliseconds: int
    def __init__(self, buckets: _Optional[_Iterable[int]] = ..., series: _Optional[_Mapping[str, ResourcesSeries]] = ..., duration_milliseconds: _Optional[int] = ...) -> None: ...

class ResourcesSeries(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, values: _Optional[_Iterable[int]] = ...) -> None: ...
