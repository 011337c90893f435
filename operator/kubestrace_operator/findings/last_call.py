"""The last call that failed before a program ended: it says why, more often than not. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from posixpath import basename, dirname
from typing import Any

from kubestrace_operator.findings import failed_call
from kubestrace_operator.findings.finding import Facts, Place
from kubestrace_protos.v1.views import errors_optional_files as optional_files

_EXECS = ("execve", "execveat")
_STATS = ("stat", "newfstatat", "statx", "access", "faccessat2")
_FULL = "The file system is full: look at the volume, the node's disk and ephemeral-storage."
# What a program cannot go on without, by errno.
_ADVICE = {
    "EACCES": "Look at the user ID (runAsUser, fsGroup), the mode of the file and the mount (readOnly).",
    "EPERM": "Look at the user ID, the capabilities and the seccomp profile.",
    "ENOENT": "Look at the mount, the Secret or ConfigMap behind it, the image, and the path in the configuration.",
    "ENOTDIR": "Look at the mount: a file was mounted where a folder is meant, or the other way round (subPath).",
    "EISDIR": "Look at the mount: Kubernetes makes a folder where the file to mount is not there (hostPath, subPath).",
    "ENOEXEC": "Look at the image's architecture, and at the file: it may be empty, cut, or a script without #!.",
    "ECONNREFUSED": "Nothing listens there: look at that service's ready endpoints, its port, and the order of starts.",
    "ETIMEDOUT": "Nobody answers there: look at NetworkPolicies, firewalls and the address.",
    "EHOSTUNREACH": "There is no way there: look at NetworkPolicies, routes and the address.",
    "ENETUNREACH": "There is no way there: look at the pod's network and the address family.",
    "EADDRINUSE": "Something listens there already: a process of an earlier start, or another container of the pod.",
    "EADDRNOTAVAIL": "Listen at 0.0.0.0 or at the pod's own address (status.podIP).",
    "EROFS": "The file system is read-only: write into an emptyDir or a volume (readOnlyRootFilesystem).",
    "ENOSPC": _FULL,
    "EDQUOT": _FULL,
    failed_call.NO_NAME: "Look at the name in the configuration: its spelling, its namespace, whether it is there.",
}
# The same of some calls.
_ADVICE_OF_CALLS = {
    **dict.fromkeys(product(failed_call.LOCKS, failed_call.HELD), failed_call.WHO_HAS_IT),
    ("bind", "EACCES"): "Ports below 1024 need the capability NET_BIND_SERVICE: listen at a higher one.",
    **dict.fromkeys(
        product(_EXECS, ("EACCES",)),
        "Look whether the file may be executed (chmod +x), by this user, and whether its volume allows it (noexec).",
    ),
    **dict.fromkeys(
        product(_EXECS, ("ENOENT",)),
        "Look at command and args, and at the image. If the file is there, the interpreter in its first line is not "
        "(#!, Windows line ends), or its C library (Alpine).",
    ),
}
_CALLS = frozenset(
    {
        *("open", "openat", "openat2", "creat", "connect", "bind", "listen", "chdir", *_EXECS),
        *("mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "write", "pwrite64", "writev"),
        *("read", "ftruncate", "fallocate", "symlink", "symlinkat", "link", "linkat", "chown", "fchownat", "chmod"),
    }
)
_BEFORE = timedelta(seconds=1)
# Programs look for files in several places: a missing one says less than any other error.
_SOUGHT = "ENOENT"
# The loader's exit code, and the shell's.
_NOT_STARTED = 127
_NOT_WAITED = ("connect", "EINPROGRESS")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class FailedCall:
    """A call that failed so; those that failed alike are equal."""

    errno: str
    syscall: str
    arguments: str
    process: str
    # The command that was looked for in each folder of PATH.
    command: str = ""

    def told(self) -> str:
        """Return who could not do what, and why."""
        who = self.process or "A program"
        if self.errno == failed_call.NO_NAME:
            return f"The address of {self.arguments} could not be found: {failed_call.why(self.errno)}"
        if self.command:
            return f"{who} could not find the command {self.command} in any folder of PATH ({self.errno})"
        what = failed_call.tried(self.syscall, self.arguments)
        return f"{who} could not {what}: {failed_call.why(self.errno, self.syscall)}"

    def advice(self) -> str:
        """Return what to do."""
        if self.command:
            return (
                "Look at command and args, at the image, and at PATH: the command may be of another image, or misspelt."
            )
        return _ADVICE_OF_CALLS.get((self.syscall, self.errno), "") or _ADVICE[self.errno]

    @property
    def path(self) -> str:
        """The first path of the arguments; empty: there is none."""
        found = _QUOTED.search(self.arguments)
        return found[1] if found else ""


@dataclass(frozen=True)
class Sample:
    """One such call: when and where it was made."""

    call: FailedCall
    time: datetime
    place: Place
    host_pid: int = 0

    def made_by(self, process: Mapping[str, Any]) -> bool:
        """Tell whether a process of the status made it."""
        where = Place(process["pod"], process["container"])
        return (self.place, self.host_pid) == (where, process.get("hostPid"))

    @property
    def rank(self) -> tuple[bool, datetime, str]:
        """The one that says most is the largest."""
        return self.call.errno != _SOUGHT, self.time, self.call.arguments


def samples(status: Mapping[str, Any]) -> Iterator[Sample]:
    """Yield the failed calls that may be why a program ended, where errors were sampled."""
    refused = _refused(status)
    for row in status.get("summary", {}).get("errorCounts", ()):
        is_connecting = (row["syscall"], row["errno"]) == _NOT_WAITED
        if not is_connecting and (row.get("expected") or not _is_telling(row)):
            continue
        for each in row.get("samples", ()):
            errno = refused.get(failed_call.address(each["arguments"]), "") if is_connecting else row["errno"]
            if errno:
                call = FailedCall(errno, row["syscall"], each["arguments"], each.get("process", ""))
                place = Place(each["pod"], each["container"])
                yield Sample(call, datetime.fromisoformat(each["time"]), place, each.get("hostPid", 0))


def _is_telling(row: Mapping[str, Any]) -> bool:
    call = row["syscall"], row["errno"]
    is_search = row["syscall"] in _STATS and row["errno"] == _SOUGHT
    # A folder is read by mistake; of other files a read that fails is the program's affair.
    if row["syscall"] == "read" and row["errno"] != "EISDIR":
        return False
    return call in _ADVICE_OF_CALLS or (row["syscall"] in _CALLS and row["errno"] in _ADVICE) or is_search


def _refused(status: Mapping[str, Any]) -> dict[str, str]:
    """Return the errno of peers that no connect has reached: one that did not wait fails later."""
    return {
        failed_call.endpoint(row["address"], row["port"]): row["failed"][0]["errno"]
        for row in status.get("network", {}).get("peers", ())
        if row["role"] == "client" and row.get("failed") and not row.get("established", 0)
        if row["failed"][0]["errno"] in _ADVICE
    }


def program_of(process: Mapping[str, Any]) -> str:
    """Return the name of the program that a process ran last."""
    path: str = process.get("executable") or process.get("command", "")
    return basename(path.removesuffix(" (deleted)"))


def unseen(facts: Facts) -> str:
    """Return the view that is missing: a process that is not a container's first is known to it alone."""
    return "" if "processes" in facts.views else "views.processes"


def end_of(process: Mapping[str, Any]) -> int:
    """Return when a process ended, in Unix nanoseconds; 0 where that is not known: several of one program."""
    if "ends" in process or "lifetimeNanoseconds" not in process:
        return 0
    return int(datetime.fromisoformat(process["startTime"]).timestamp() * 1e9) + int(process["lifetimeNanoseconds"])


def before(ended_ns: int, known: Iterable[Sample], exit_code: int | None = None) -> FailedCall | None:
    """Return the last of them within a second before an end; a missing file only where there is no other."""
    if not ended_ns:
        return None
    ended = datetime.fromtimestamp(ended_ns / 1e9, tz=UTC)
    near = [each for each in known if ended - _BEFORE <= each.time <= ended + _BEFORE / 4]
    telling = [each for each in near if not _does_without(each.call, exit_code, near)]
    return _searched(max(telling, key=lambda each: each.rank).call, near) if telling else None


def _does_without(call: FailedCall, exit_code: int | None, near: Sequence[Sample]) -> bool:
    """Tell whether a program can do without the file that it did not find; no program does without a library.

    What a shell looks for is a command that is not there only where it then ends with 127.
    """
    if call.errno != _SOUGHT:
        return False
    if call.syscall in _STATS:
        is_command = exit_code == _NOT_STARTED and basename(dirname(call.path)) in {"bin", "sbin"}
        return not is_command and not _is_module(call, near)
    is_library = exit_code == _NOT_STARTED and ".so" in call.path
    return not is_library and optional_files.names_one(call.arguments)


def _is_module(call: FailedCall, near: Sequence[Sample]) -> bool:
    """Tell whether Node looked for a script or a module: with all of its endings, one after the other."""
    missed = {each.call.path for each in near if each.call.syscall == call.syscall}
    return bool(call.path) and {f"{call.path}.json", f"{call.path}.node"} <= missed


def _searched(call: FailedCall, near: Sequence[Sample]) -> FailedCall:
    """Return the call with the command that was looked for, where it was looked for in several folders."""
    name = basename(call.path)
    if call.errno != _SOUGHT or call.syscall not in (*_EXECS, *_STATS) or not name:
        return call
    alike = [each.call for each in near if (each.call.syscall, each.call.errno) == (call.syscall, call.errno)]
    folders = {dirname(each.path) for each in alike if basename(each.path) == name}
    is_command = len(folders) > 1 or (call.syscall in _STATS and not _is_module(call, near))
    return replace(call, command=name) if is_command else call


def missing_name(status: Mapping[str, Any]) -> FailedCall | None:
    """Return the name for which DNS had no address, whatever was asked for it; when it was asked is not known."""
    rows = status.get("network", {}).get("dns", ())
    had = {_label(row["name"]) for row in rows if row["answers"] > row["nxdomain"] + row["servfail"] + row["failed"]}
    names = {row["name"] for row in rows if row["nxdomain"] and _label(row["name"]) not in had}
    # A search list makes longer ones of it.
    name = min(names, key=lambda each: (len(each), each), default="")
    return FailedCall(failed_call.NO_NAME, "", name, "") if name else None


def _label(name: str) -> str:
    return name.partition(".")[0]
