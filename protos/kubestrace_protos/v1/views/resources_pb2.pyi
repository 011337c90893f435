from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResourcesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResourcesResult(_message.Message):
    __slots__ = ("grown", "levels", "unavailable", "covered_nanoseconds", "ended_unread", "pod_network")
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
    grown: _containers.ScalarMap[str, int]
    levels: _containers.ScalarMap[str, int]
    unavailable: _containers.ScalarMap[str, str]
    covered_nanoseconds: int
    ended_unread: bool
    pod_network: PodNetwork
    def __init__(self, grown: _Optional[_Mapping[str, int]] = ..., levels: _Optional[_Mapping[str, int]] = ..., unavailable: _Optional[_Mapping[str, str]] = ..., covered_nanoseconds: _Optional[int] = ..., ended_unread: _Optional[bool] = ..., pod_network: _Optional[_Union[PodNetwork, _Mapping]] = ...) -> None: ...

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
