"""What the exit code of a program usually means, in words for who has never looked one up. Pure."""

from collections.abc import Mapping

from kubestrace_operator.findings.crashes import signal_of

# It could not be executed: the shell's, or the loader's.
NOT_STARTED = frozenset({126, 127})
# By SIGINT, SIGKILL or SIGTERM.
ENDED_BY_OTHERS = frozenset({130, 137, 143})
_LOG = "Look at its log: kubectl logs --previous."
_FROM_OUTSIDE = "Look at kubectl describe pod: a deletion, a failed liveness probe, or a node without memory."
# Of 1, 2 and 255 only the log says more.
_MEANS: Mapping[int, str] = {
    64: "arguments that it does not know (EX_USAGE)",
    69: "something that it needs does not answer (EX_UNAVAILABLE)",
    70: "an error of its own (EX_SOFTWARE)",
    73: "a file that it cannot make (EX_CANTCREAT)",
    74: "a read or a write that failed (EX_IOERR)",
    77: "a permission that it does not have (EX_NOPERM)",
    78: "a wrong configuration (EX_CONFIG)",
    101: "a panic, where it is written in Rust",
    125: "what was to start it failed (timeout, docker run)",
    126: "a file that may not be executed, or is no program",
    127: "a command or a library that was not found",
    128: "a start that failed, or a wrong exit code",
    130: "it was interrupted (SIGINT)",
    137: "it was killed (SIGKILL), which it cannot prevent",
    141: "nobody read what it wrote (SIGPIPE)",
    143: "it was told to end (SIGTERM)",
}
_OF_CURL: Mapping[int, str] = {
    6: "a host name that was not found",
    7: "a server that could not be reached",
    22: "an HTTP status of 400 or more",
    28: "an answer that took too long",
    35: "a TLS handshake that failed",
    52: "an answer without a byte",
    56: "a connection that broke",
    60: "a certificate that it does not trust",
}


def meaning(code: int, program: str = "") -> str:
    """Return a sentence of what it usually means, behind another; empty: nobody but the program knows."""
    means = _MEANS.get(code, signal_of(code))
    if program == "curl":
        means = _OF_CURL.get(code, means)
    return f" {code} usually means: {means}." if means else ""


def advice(code: int) -> str:
    """Return what to do about a container that ended so."""
    if code in NOT_STARTED:
        return "Look at the container's command and args, the PATH of the image, and the mode and the CPU of the file."
    return _FROM_OUTSIDE if code in ENDED_BY_OTHERS else _LOG
