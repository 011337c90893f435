from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SecurityRequest(_message.Message):
    __slots__ = ("sensitive_paths",)
    SENSITIVE_PATHS_FIELD_NUMBER: _ClassVar[int]
    sensitive_paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sensitive_paths: _Optional[_Iterable[str]] = ...) -> None: ...

class SecurityResult(_message.Message):
    __slots__ = ("matches", "execs", "other_matches", "other_execs", "execs_seen")
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    EXECS_FIELD_NUMBER: _ClassVar[int]
    OTHER_MATCHES_FIELD_NUMBER: _ClassVar[int]
    OTHER_EXECS_FIELD_NUMBER: _ClassVar[int]
    EXECS_SEEN_FIELD_NUMBER: _ClassVar[int]
    matches: _containers.RepeatedCompositeFieldContainer[SecurityMatch]
    execs: _containers.RepeatedCompositeFieldContainer[SecurityExec]
    other_matches: int
    other_execs: int
    execs_seen: int
    def __init__(self, matches: _Optional[_Iterable[_Union[SecurityMatch, _Mapping]]] = ..., execs: _Optional[_Iterable[_Union[SecurityExec, _Mapping]]] = ..., other_matches: _Optional[int] = ..., other_execs: _Optional[int] = ..., execs_seen: _Optional[int] = ...) -> None: ...

class SecurityMatch(_message.Message):
    __slots__ = ("kind", "syscall", "abi", "program", "process", "object", "named", "pattern", "access", "errno", "count", "from_outside", "runtime")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SYSCALL_FIELD_NUMBER: _ClassVar[int]
    ABI_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    NAMED_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    ERRNO_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FROM_OUTSIDE_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    kind: str
    syscall: str
    abi: str
    program: str
    process: str
    object: str
    named: str
    pattern: str
    access: str
    errno: str
    count: int
    from_outside: bool
    runtime: bool
    def __init__(self, kind: _Optional[str] = ..., syscall: _Optional[str] = ..., abi: _Optional[str] = ..., program: _Optional[str] = ..., process: _Optional[str] = ..., object: _Optional[str] = ..., named: _Optional[str] = ..., pattern: _Optional[str] = ..., access: _Optional[str] = ..., errno: _Optional[str] = ..., count: _Optional[int] = ..., from_outside: _Optional[bool] = ..., runtime: _Optional[bool] = ...) -> None: ...

class SecurityExec(_message.Message):
    __slots__ = ("path", "program", "argument", "place", "signs", "shell", "parent", "peer", "rights", "count", "from_outside", "runtime", "interactive")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    ARGUMENT_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    SIGNS_FIELD_NUMBER: _ClassVar[int]
    SHELL_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    RIGHTS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FROM_OUTSIDE_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    INTERACTIVE_FIELD_NUMBER: _ClassVar[int]
    path: str
    program: str
    argument: str
    place: str
    signs: _containers.RepeatedScalarFieldContainer[str]
    shell: bool
    parent: str
    peer: str
    rights: str
    count: int
    from_outside: bool
    runtime: bool
    interactive: bool
    def __init__(self, path: _Optional[str] = ..., program: _Optional[str] = ..., argument: _Optional[str] = ..., place: _Optional[str] = ..., signs: _Optional[_Iterable[str]] = ..., shell: _Optional[bool] = ..., parent: _Optional[str] = ..., peer: _Optional[str] = ..., rights: _Optional[str] = ..., count: _Optional[int] = ..., from_outside: _Optional[bool] = ..., runtime: _Optional[bool] = ..., interactive: _Optional[bool] = ...) -> None: ...
