"""Where the running kernel keeps what the view of io_uring reads, and how it reports results. Used by sources."""

from kubestrace_agent.kernel.loader.btf import Btf, BtfError

_FIELDS = {
    "RING_OPCODE_OFFSET": "io_kiocb.opcode",
    "RING_FLAGS_OFFSET": "io_kiocb.flags",
    "RING_SQE_OPCODE_OFFSET": "io_uring_sqe.opcode",
}
# Parameters of Linux include/trace/events/io_uring.h: by the ring, the request and a struct with the result (6.13 and
# later), or with user_data and the result behind the first two.
_BY_STRUCT, _BY_VALUE = 3, 5


def definitions(_machine: str, btf: Btf) -> dict[str, int]:
    """Everything that the command line gives to io_uring.bpf.c. Raises BtfError."""
    found = {name: btf.offset(path) for name, path in _FIELDS.items()}
    submitted = _takes(btf, "submit_req", 1) or _takes(btf, "submit_sqe", 2)
    if not (submitted and _takes(btf, "req_failed", 3) and _takes(btf, "cqe_overflow", 5)):
        raise BtfError("this kernel does not report operations with their requests (Linux does since 6.0)")
    told = btf.parameters("btf_trace_io_uring_complete") - 1
    if told == _BY_STRUCT:
        return found | {"RING_RESULT_OFFSET": btf.offset("io_uring_cqe.res")}
    if told < _BY_VALUE:
        raise BtfError("this kernel reports results without their requests (Linux has them since 5.17)")
    return found


def _takes(btf: Btf, event: str, count: int) -> bool:
    """Whether a tracepoint has so many arguments, behind the one that each has."""
    name = f"btf_trace_io_uring_{event}"
    return btf.names(name) and btf.parameters(name) - 1 == count
