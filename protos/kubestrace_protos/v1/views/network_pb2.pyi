from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NetworkRequest(_message.Message):
    __slots__ = ("dns",)
    DNS_FIELD_NUMBER: _ClassVar[int]
    dns: bool
    def __init__(self, dns: _Optional[bool] = ...) -> None: ...

class NetworkResult(_message.Message):
    __slots__ = ("peers", "listeners", "pod", "calls", "passed_sockets", "talks", "questions", "odd_messages", "names")
    PEERS_FIELD_NUMBER: _ClassVar[int]
    LISTENERS_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    PASSED_SOCKETS_FIELD_NUMBER: _ClassVar[int]
    TALKS_FIELD_NUMBER: _ClassVar[int]
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    ODD_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    peers: _containers.RepeatedCompositeFieldContainer[NetworkPeer]
    listeners: _containers.RepeatedCompositeFieldContainer[NetworkListener]
    pod: NetworkPod
    calls: NetworkCalls
    passed_sockets: int
    talks: _containers.RepeatedCompositeFieldContainer[NetworkTalk]
    questions: _containers.RepeatedCompositeFieldContainer[DnsQuestion]
    odd_messages: DnsOddMessages
    names: _containers.RepeatedCompositeFieldContainer[DnsName]
    def __init__(self, peers: _Optional[_Iterable[_Union[NetworkPeer, _Mapping]]] = ..., listeners: _Optional[_Iterable[_Union[NetworkListener, _Mapping]]] = ..., pod: _Optional[_Union[NetworkPod, _Mapping]] = ..., calls: _Optional[_Union[NetworkCalls, _Mapping]] = ..., passed_sockets: _Optional[int] = ..., talks: _Optional[_Iterable[_Union[NetworkTalk, _Mapping]]] = ..., questions: _Optional[_Iterable[_Union[DnsQuestion, _Mapping]]] = ..., odd_messages: _Optional[_Union[DnsOddMessages, _Mapping]] = ..., names: _Optional[_Iterable[_Union[DnsName, _Mapping]]] = ...) -> None: ...

class DnsQuestion(_message.Message):
    __slots__ = ("name", "type", "server", "other", "queries", "answers", "nxdomain", "servfail", "failed", "truncated", "unanswered", "times", "repeated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    NXDOMAIN_FIELD_NUMBER: _ClassVar[int]
    SERVFAIL_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    UNANSWERED_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    server: str
    other: bool
    queries: int
    answers: int
    nxdomain: int
    servfail: int
    failed: int
    truncated: int
    unanswered: int
    times: NetworkTimes
    repeated: int
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., server: _Optional[str] = ..., other: _Optional[bool] = ..., queries: _Optional[int] = ..., answers: _Optional[int] = ..., nxdomain: _Optional[int] = ..., servfail: _Optional[int] = ..., failed: _Optional[int] = ..., truncated: _Optional[int] = ..., unanswered: _Optional[int] = ..., times: _Optional[_Union[NetworkTimes, _Mapping]] = ..., repeated: _Optional[int] = ...) -> None: ...

class DnsOddMessages(_message.Message):
    __slots__ = ("malformed", "unmatched", "unread")
    MALFORMED_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    malformed: int
    unmatched: int
    unread: int
    def __init__(self, malformed: _Optional[int] = ..., unmatched: _Optional[int] = ..., unread: _Optional[int] = ...) -> None: ...

class DnsName(_message.Message):
    __slots__ = ("address", "name")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    address: str
    name: str
    def __init__(self, address: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class NetworkTalk(_message.Message):
    __slots__ = ("protocol", "role", "address", "port", "path", "other", "connects", "accepts", "sends", "receives", "again", "failed", "bytes_sent", "bytes_received")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    CONNECTS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_FIELD_NUMBER: _ClassVar[int]
    SENDS_FIELD_NUMBER: _ClassVar[int]
    RECEIVES_FIELD_NUMBER: _ClassVar[int]
    AGAIN_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    protocol: str
    role: str
    address: str
    port: int
    path: str
    other: bool
    connects: int
    accepts: int
    sends: int
    receives: int
    again: int
    failed: _containers.RepeatedCompositeFieldContainer[NetworkFailure]
    bytes_sent: int
    bytes_received: int
    def __init__(self, protocol: _Optional[str] = ..., role: _Optional[str] = ..., address: _Optional[str] = ..., port: _Optional[int] = ..., path: _Optional[str] = ..., other: _Optional[bool] = ..., connects: _Optional[int] = ..., accepts: _Optional[int] = ..., sends: _Optional[int] = ..., receives: _Optional[int] = ..., again: _Optional[int] = ..., failed: _Optional[_Iterable[_Union[NetworkFailure, _Mapping]]] = ..., bytes_sent: _Optional[int] = ..., bytes_received: _Optional[int] = ...) -> None: ...

class NetworkPeer(_message.Message):
    __slots__ = ("role", "address", "port", "other", "attempts", "established", "failed", "abandoned", "longest_abandoned_nanoseconds", "closed", "reset", "open", "half_closed", "bytes_sent", "bytes_received", "retransmits", "rtt_total_nanoseconds", "rtt_count", "connect", "lifetime")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ESTABLISHED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    ABANDONED_FIELD_NUMBER: _ClassVar[int]
    LONGEST_ABANDONED_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    HALF_CLOSED_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    RETRANSMITS_FIELD_NUMBER: _ClassVar[int]
    RTT_TOTAL_NANOSECONDS_FIELD_NUMBER: _ClassVar[int]
    RTT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONNECT_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    role: str
    address: str
    port: int
    other: bool
    attempts: int
    established: int
    failed: _containers.RepeatedCompositeFieldContainer[NetworkFailure]
    abandoned: int
    longest_abandoned_nanoseconds: int
    closed: int
    reset: int
    open: int
    half_closed: int
    bytes_sent: int
    bytes_received: int
    retransmits: int
    rtt_total_nanoseconds: int
    rtt_count: int
    connect: NetworkTimes
    lifetime: NetworkTimes
    def __init__(self, role: _Optional[str] = ..., address: _Optional[str] = ..., port: _Optional[int] = ..., other: _Optional[bool] = ..., attempts: _Optional[int] = ..., established: _Optional[int] = ..., failed: _Optional[_Iterable[_Union[NetworkFailure, _Mapping]]] = ..., abandoned: _Optional[int] = ..., longest_abandoned_nanoseconds: _Optional[int] = ..., closed: _Optional[int] = ..., reset: _Optional[int] = ..., open: _Optional[int] = ..., half_closed: _Optional[int] = ..., bytes_sent: _Optional[int] = ..., bytes_received: _Optional[int] = ..., retransmits: _Optional[int] = ..., rtt_total_nanoseconds: _Optional[int] = ..., rtt_count: _Optional[int] = ..., connect: _Optional[_Union[NetworkTimes, _Mapping]] = ..., lifetime: _Optional[_Union[NetworkTimes, _Mapping]] = ...) -> None: ...

class NetworkFailure(_message.Message):
    __slots__ = ("errno", "count")
    ERRNO_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    errno: str
    count: int
    def __init__(self, errno: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class NetworkListener(_message.Message):
    __slots__ = ("address", "port", "other", "accepted", "backlog_peak", "backlog_max", "accept_delay")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_PEAK_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_MAX_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_DELAY_FIELD_NUMBER: _ClassVar[int]
    address: str
    port: int
    other: bool
    accepted: int
    backlog_peak: int
    backlog_max: int
    accept_delay: NetworkTimes
    def __init__(self, address: _Optional[str] = ..., port: _Optional[int] = ..., other: _Optional[bool] = ..., accepted: _Optional[int] = ..., backlog_peak: _Optional[int] = ..., backlog_max: _Optional[int] = ..., accept_delay: _Optional[_Union[NetworkTimes, _Mapping]] = ...) -> None: ...

class NetworkPod(_message.Message):
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

class NetworkCalls(_message.Message):
    __slots__ = ("connect_attempts", "connect_again", "connect_other", "accepted", "accept_failed", "accept_other", "talk_calls", "tcp_calls", "other_calls", "write_calls")
    CONNECT_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CONNECT_AGAIN_FIELD_NUMBER: _ClassVar[int]
    CONNECT_OTHER_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_FAILED_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_OTHER_FIELD_NUMBER: _ClassVar[int]
    TALK_CALLS_FIELD_NUMBER: _ClassVar[int]
    TCP_CALLS_FIELD_NUMBER: _ClassVar[int]
    OTHER_CALLS_FIELD_NUMBER: _ClassVar[int]
    WRITE_CALLS_FIELD_NUMBER: _ClassVar[int]
    connect_attempts: int
    connect_again: int
    connect_other: int
    accepted: int
    accept_failed: int
    accept_other: int
    talk_calls: int
    tcp_calls: int
    other_calls: int
    write_calls: int
    def __init__(self, connect_attempts: _Optional[int] = ..., connect_again: _Optional[int] = ..., connect_other: _Optional[int] = ..., accepted: _Optional[int] = ..., accept_failed: _Optional[int] = ..., accept_other: _Optional[int] = ..., talk_calls: _Optional[int] = ..., tcp_calls: _Optional[int] = ..., other_calls: _Optional[int] = ..., write_calls: _Optional[int] = ...) -> None: ...

class NetworkTimes(_message.Message):
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
