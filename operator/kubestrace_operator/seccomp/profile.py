"""A seccomp profile of what was seen, as the OCI's runtimes or the security-profiles-operator read it. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.seccomp.runtime_calls import RUNTIME_CALLS
from kubestrace_operator.seccomp.seen import Seen

ACTIONS = {"errno": "SCMP_ACT_ERRNO", "log": "SCMP_ACT_LOG"}
FORMATS = ("oci", "profile")
# What a call gets that is not allowed, as Linux numbers errors. And clone3 where it was not seen: upon ENOSYS, C
# libraries use clone.
EPERM, ENOSYS = 1, 38
# The names of machines, and of their other ABIs, as libseccomp has them.
_ARCHITECTURES = {
    "x86_64": "SCMP_ARCH_X86_64",
    "aarch64": "SCMP_ARCH_AARCH64",
    "i386": "SCMP_ARCH_X86",
    "x32": "SCMP_ARCH_X32",
    "arm": "SCMP_ARCH_ARM",
}
_OWN_OF = {"i386": "x86_64", "x32": "x86_64", "arm": "aarch64"}
# Names that a filter cannot have: numbers without one.
_UNNAMED = "syscall_"


@dataclass(frozen=True)
class Group:
    """Calls with one action, and why they are there."""

    names: Sequence[str]
    action: str
    comment: str
    errno: int | None = None


def groups(seen: Seen, default_action: str) -> list[Group]:
    """Return the rules: what was seen, what the runtime needs beside it, and clone3."""
    named = sorted(each for each in seen.calls if not each.startswith(_UNNAMED))
    runtime = sorted(RUNTIME_CALLS - seen.calls)
    rules = [Group(named, "SCMP_ACT_ALLOW", f"seen by kubestrace: {about(seen)}")]
    if runtime:
        why = "not seen: for the container runtime once the filter is loaded, and for programs that end"
        rules.append(Group(runtime, "SCMP_ACT_ALLOW", why))
    # With SCMP_ACT_LOG nothing is denied: the log is to name what is missing.
    if default_action == "errno" and "clone3" not in seen.calls:
        rules.append(Group(["clone3"], "SCMP_ACT_ERRNO", "not seen: with ENOSYS the C library uses clone", ENOSYS))
    return rules


def architectures(seen: Seen) -> list[str]:
    """Return libseccomp's names of what was seen; empty where documents do not say: then a runtime takes its own."""
    machines = seen.machines | {_OWN_OF[abi] for abi in seen.abis if abi in _OWN_OF}
    return [_ARCHITECTURES[each] for each in (*sorted(machines), *sorted(seen.abis)) if each in _ARCHITECTURES]


def oci(seen: Seen, default_action: str) -> dict[str, Any]:
    """Return the profile as runtimes and the kubelet's localhostProfile read it; they pass over `comment`."""
    document: dict[str, Any] = {"defaultAction": ACTIONS[default_action]}
    if default_action == "errno":
        document["defaultErrnoRet"] = EPERM
    if named := architectures(seen):
        document["architectures"] = named
    document["syscalls"] = [_oci_group(each) for each in groups(seen, default_action)]
    return document


def _oci_group(group: Group) -> dict[str, Any]:
    errno = {} if group.errno is None else {"errnoRet": group.errno}
    return {"names": list(group.names), "action": group.action, **errno, "comment": group.comment}


def resource(seen: Seen, default_action: str, metadata: Mapping[str, str]) -> str:
    """Return the profile as a SeccompProfile of the security-profiles-operator, as YAML with comments."""
    lines = ["apiVersion: security-profiles-operator.x-k8s.io/v1beta1", "kind: SeccompProfile", "metadata:"]
    lines += [f"  {name}: {_quoted(value)}" for name, value in metadata.items()]
    lines += ["spec:", f"  defaultAction: {ACTIONS[default_action]}"]
    if named := architectures(seen):
        lines += ["  architectures:", *(f"  - {each}" for each in named)]
    lines += ["  syscalls:", *(line for each in groups(seen, default_action) for line in _resource_group(each))]
    return "".join(f"{line}\n" for line in lines)


def _resource_group(group: Group) -> Iterator[str]:
    yield f"  # {group.comment}"
    yield f"  - action: {group.action}"
    if group.errno is not None:
        # A string, other than in the OCI's JSON.
        yield f'    errnoRet: "{group.errno}"'
    yield "    names:"
    yield from (f"    - {name}" for name in group.names)


def _quoted(text: str) -> str:
    # A name may be all digits.
    return f'"{text}"'


def about(seen: Seen) -> str:
    """Return in one line what was looked at."""
    traced = _many(len(seen.pods), "pod") if seen.pods else "local mode"
    where = f"{traced}, {_many(len(seen.sessions), 'session')}"
    parts = [where, f"{seen.from_start} of {_many(seen.lives, 'container start')} traced from the first call"]
    if seen.last_new_call is not None:
        parts.append(f"the last new call was seen at {seen.last_new_call:%Y-%m-%dT%H:%M:%SZ}")
    return ", ".join(parts)


def remarks(seen: Seen, default_action: str) -> Iterator[str]:
    """Yield what to know before the profile is used, a sentence each."""
    yield f"{_many(len(seen.calls), 'system call')} of {', '.join(sorted(seen.sessions))}: {about(seen)}."
    yield from _starts(seen)
    yield _last_new_call(seen)
    added = sorted(RUNTIME_CALLS - seen.calls)
    yield f"Not seen, allowed for the container runtime and for programs that end ({len(added)}): {', '.join(added)}."
    if default_action == "errno" and "clone3" not in seen.calls:
        yield "clone3 was not seen and gets ENOSYS, so that C libraries use clone."
    if seen.denied:
        names = ", ".join(sorted(seen.denied))
        yield f"Left out, as a profile that was there already denied every call of them: {names}."
    yield from _doubts(seen)


def _starts(seen: Seen) -> Iterator[str]:
    if seen.from_start < seen.lives:
        late = f"{seen.lives - seen.from_start} of {_many(seen.lives, 'container')}"
        yield (
            f"WARNING: {late} ran already when the trace began: what they called to start is missing. Restart the pods "
            "while a session follows them, or trace the command itself."
        )
    names = {name for _, name in seen.containers}
    if len(names) > 1:
        yield (
            f"This is the union over the containers {', '.join(sorted(names))}: name one in spec.target.containers for "
            "a narrower profile."
        )


def _last_new_call(seen: Seen) -> str:
    if seen.last_new_call is None:
        return "When the last new call appeared is not known."
    if seen.end is None:
        return f"The last new call was seen at {seen.last_new_call:%Y-%m-%dT%H:%M:%SZ}."
    quiet = max(0, round((seen.end - seen.last_new_call).total_seconds()))
    return f"The last new call was seen {quiet} s before the last session ended: the longer, the better."


def _doubts(seen: Seen) -> Iterator[str]:
    if unnamed := sorted(each for each in seen.calls if each.startswith(_UNNAMED)):
        yield f"WARNING: not in the profile, as these have no name: {', '.join(unnamed)}."
    if not architectures(seen):
        yield "The documents do not say which architecture they are of: the runtime takes its node's own."
    elif len(seen.machines) > 1:
        yield f"The nodes were of several architectures: {', '.join(sorted(seen.machines))}."
    yield from (f"WARNING: {each}." for each in sorted(seen.doubts))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun if count == 1 else noun + 's'}"


def named(names: Iterable[str]) -> str:
    """Return a name for the resource: that of the first session, as Kubernetes takes it."""
    first = min(names, default="kubestrace").partition(" ")[0].rpartition("/")[2]
    return first or "kubestrace"
