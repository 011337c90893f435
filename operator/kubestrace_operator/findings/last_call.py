"""The last call that failed before a program ended: it says why, more often than not. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kubestrace_operator.findings import failed_call
from kubestrace_protos.v1.views import errors_optional_files as optional_files

# What a program cannot go on without, by errno.
ADVICE = {
    "EACCES": "Look at the user ID (runAsUser, fsGroup), the mode of the file and the mount (readOnly).",
    "EPERM": "Look at the user ID, the capabilities and the seccomp profile.",
    "ENOENT": "Look at the mount, the Secret or ConfigMap behind it, the image, and the path in the configuration.",
    "ECONNREFUSED": "Nothing listens there: look at that service's ready endpoints, its port, and the order of starts.",
    "ETIMEDOUT": "Nobody answers there: look at NetworkPolicies, firewalls and the address.",
    "EHOSTUNREACH": "There is no way there: look at NetworkPolicies, routes and the address.",
    "ENETUNREACH": "There is no way there: look at the pod's network and the address family.",
    "EADDRINUSE": "Something listens there already: a process of an earlier start, or another container of the pod.",
    "EROFS": "The file system is read-only: write into an emptyDir or a volume (readOnlyRootFilesystem).",
    "ENOSPC": "The file system is full: look at the volume, the node's disk and ephemeral-storage.",
}
_CALLS = frozenset(
    {
        *("open", "openat", "openat2", "creat", "connect", "bind", "execve", "execveat"),
        *("mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "write"),
    }
)
_BEFORE = timedelta(seconds=1)
# Programs look for files in several places: a missing one says less than any other error.
_SOUGHT = "ENOENT"
# The loader's exit code, and the shell's.
_NOT_STARTED = 127


@dataclass(frozen=True)
class FailedCall:
    """A call that failed so; those that failed alike are equal."""

    errno: str
    syscall: str
    arguments: str
    process: str

    def told(self) -> str:
        """Return who could not do what, and why."""
        what = failed_call.tried(self.syscall, self.arguments)
        return f"{self.process or 'A program'} could not {what}: {failed_call.why(self.errno)}"


@dataclass(frozen=True)
class Sample:
    """One such call: when and where it was made."""

    call: FailedCall
    time: datetime
    place: tuple[str, str]
    host_pid: int = 0

    def made_by(self, process: Mapping[str, Any]) -> bool:
        """Tell whether a process of the status made it."""
        return (*self.place, self.host_pid) == (process["pod"], process["container"], process.get("hostPid"))

    @property
    def _rank(self) -> tuple[bool, datetime, str]:
        return self.call.errno != _SOUGHT, self.time, self.call.arguments


def samples(status: Mapping[str, Any]) -> Iterator[Sample]:
    """Yield the failed calls that may be why a program ended, where errors were sampled."""
    for row in status.get("summary", {}).get("errorCounts", ()):
        if row["syscall"] in _CALLS and row["errno"] in ADVICE and not row.get("expected"):
            for each in row.get("samples", ()):
                call = FailedCall(row["errno"], row["syscall"], each["arguments"], each.get("process", ""))
                place = each["pod"], each["container"]
                yield Sample(call, datetime.fromisoformat(each["time"]), place, each.get("hostPid", 0))


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
    near = [
        each
        for each in known
        if ended - _BEFORE <= each.time <= ended + _BEFORE / 4 and not _does_without(each.call, exit_code)
    ]
    return max(near, key=lambda each: each._rank).call if near else None


def _does_without(call: FailedCall, exit_code: int | None) -> bool:
    """Tell whether a program can do without the file that it did not find; no program does without a library."""
    return call.errno == _SOUGHT and exit_code != _NOT_STARTED and optional_files.names_one(call.arguments)
