from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class CountersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountersResult(_message.Message):
    __slots__ = ("minor_faults", "major_faults", "voluntary_switches", "involuntary_switches", "migrations", "run_queue_nanoseconds", "cpu_nanoseconds")
    MINOR_FAULTS_FIELD_NUMBER: _ClassVar[int]
    MAJOR_FAULTS_FIELD_NUMBER: _ClassVar[int]
    VOLUNTARY_SWITCHES_FIELD_NUMBER: _ClassVar[int]
    INVOLUNTARY_SWITCHES_FIELD_NUMBER: _ClassVar[int]
    MIGRATIONS_FIELD_NUMBER: _ClassVar[int]
    RUN_QUEUE_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    CPU_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    minor_faults: int
    major_faults: int
    voluntary_switches: int
    involuntary_switches: int
    migrations: int
    run_queue_nanoseconds: int
    cpu_nanoseconds: int
    def __init__(self, minor_faults: _Optional[int] = ..., major_faults: _Optional[int] = ..., voluntary_switches: _Optional[int] = ..., involuntary_switches: _Optional[int] = ..., migrations: _Optional[int] = ..., run_queue_nanoseconds: _Optional[int] = ..., cpu_nanoseconds: _Optional[int] = ...) -> None: ...
