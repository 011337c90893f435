"""Which system calls the view security looks at, and at what of them. Pure."""

from __future__ import annotations

from functools import lru_cache

from kubestrace_agent.kernel.maps.headers import header

_HEADER = header("views/security/security.h")
_LOOK = {
    name: _HEADER.number(f"LOOK_{name}")
    for name in ("CALL", "SPACES", "SPACES_AT", "SOCKET", "OTHER", "OPEN", "PATH", "ADDRESS", "MESSAGE")
}
_FOLDER, _ALONE, _HOW, _CREATES = (_HEADER.number(f"SIDE_{name}") for name in ("FOLDER", "ALONE", "HOW", "CREATES"))
_ARGUMENT_SHIFT, _SIDE_BITS = _HEADER.number("SIDE_ARGUMENT_SHIFT"), _HEADER.number("SIDE_BITS")


def _side(look: str, at: int = 0, flags: int = 0) -> int:
    return _LOOK[look] | at << _ARGUMENT_SHIFT | flags


_ALONE_CALL = _side("CALL", flags=_ALONE)
# What each group of findings looks at; the names are the kinds of proto.SecurityMatch.
KERNEL_SURFACE = {
    **dict.fromkeys(
        (
            *("perf_event_open", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load"),
            *("open_by_handle_at", "userfaultfd", "add_key", "iopl", "ioperm"),
        ),
        _ALONE_CALL,
    ),
    "bpf": _side("CALL"),
}
NAMESPACES = {
    **dict.fromkeys(["umount", "umount2", "move_mount", "pivot_root", "fsmount", "mount_setattr"], _ALONE_CALL),
    "mount": _side("PATH", 1),
    "setns": _side("CALL", 1),
    "unshare": _side("SPACES"),
    "clone": _side("SPACES"),
    "clone3": _side("SPACES_AT"),
}
TRACING = {
    "ptrace": _side("CALL"),
    "process_vm_readv": _side("OTHER"),
    "process_vm_writev": _side("OTHER"),
    "pidfd_getfd": _ALONE_CALL,
}
SOCKETS = {"socket": _side("SOCKET")}
OPENS = {
    "open": _side("OPEN"),
    "creat": _side("OPEN", flags=_CREATES),
    "openat": _side("OPEN", 1, _FOLDER),
    "openat2": _side("OPEN", 1, _FOLDER | _HOW),
}
# Both paths of these: what is named so far, and where it is to be found later.
MOVES = {
    "rename": (_side("PATH"), _side("PATH", 1)),
    "link": (_side("PATH"), _side("PATH", 1)),
    "renameat": (_side("PATH", 1, _FOLDER), _side("PATH", 3, _FOLDER)),
    "renameat2": (_side("PATH", 1, _FOLDER), _side("PATH", 3, _FOLDER)),
    "linkat": (_side("PATH", 1, _FOLDER), _side("PATH", 3, _FOLDER)),
    "symlink": (_side("PATH"), _side("PATH", 1)),
    "symlinkat": (_side("PATH"), _side("PATH", 2, _FOLDER)),
}
# These write to what they name.
WRITES = {"truncate": _side("PATH"), "mknod": _side("PATH"), "mknodat": _side("PATH", 1, _FOLDER)}
PEERS = {
    "connect": _side("ADDRESS", 1),
    "sendto": _side("ADDRESS", 4),
    "sendmsg": _side("MESSAGE", 1),
    "sendmmsg": _side("MESSAGE", 1),
}
_ONE = KERNEL_SURFACE | NAMESPACES | TRACING | SOCKETS | OPENS | WRITES | PEERS


@lru_cache(maxsize=4096)
def shape(called: str) -> int:
    """Return what the program is to look at, as security.h has it; 0: nothing."""
    if called in MOVES:
        first, second = MOVES[called]
        return first | second << _SIDE_BITS
    return _ONE.get(called, 0)
