from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CountersRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, events: _Optional[_Iterable[str]] = ...) -> None: ...

class CountersResult(_message.Message):
    __slots__ = ("minor_faults", "major_faults", "voluntary_switches", "involuntary_switches", "migrations", "run_queue_nanoseconds", "cpu_nanoseconds", "hardware")
    MINOR_FAULTS_FIELD_NUMBER: _ClassVar[int]
    MAJOR_FAULTS_FIELD_NUMBER: _ClassVar[int]
    VOLUNTARY_SWITCHES_FIELD_NUMBER: _ClassVar[int]
    INVOLUNTARY_SWITCHES_FIELD_NUMBER: _ClassVar[int]
    MIGRATIONS_FIELD_NUMBER: _ClassVar[int]
    RUN_QUEUE_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    CPU_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    HARDWARE_FIELD_NUMBER: _ClassVar[int]
    minor_faults: int
    major_faults: int
    voluntary_switches: int
    involuntary_switches: int
    migrations: int
    run_queue_nanoseconds: int
    cpu_nanoseconds: int
    hardware: _containers.RepeatedCompositeFieldContainer[HardwareCounter]
    def __init__(self, minor_faults: _Optional[int] = ..., major_faults: _Optional[int] = ..., voluntary_switches: _Optional[int] = ..., involuntary_switches: _Optional[int] = ..., migrations: _Optional[int] = ..., run_queue_nanoseconds: _Optional[int] = ..., cpu_nanoseconds: _Optional[int] = ..., hardware: _Optional[_Iterable[_Union[HardwareCounter, _Mapping]]] = ...) -> None: ...

class HardwareCounter(_message.Message):
    __slots__ = ("name", "count", "enabled_nanoseconds", "running_nanoseconds", "unavailable")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ENABLED_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    enabled_nanoseconds: int
    running_nanoseconds: int
    unavailable: str
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ..., enabled_nanoseconds: _Optional[int] = ..., running_nanoseconds: _Optional[int] = ..., unavailable: _Optional[str] = ...) -> None: ...
