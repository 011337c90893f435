"""Findings about security: names and programs of which few programs have a use. Pure. None of them is a proof.

The first part of each rule's severity is Falco's: what its stable rules find is a warning, all else is information.
"""

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubestrace_operator.findings.finding import Confidence, Evidence, Facts, Finding, Place, Rule, Severity, many

SAID = "Seen at the end of a call; not proof; io_uring and what happened before are not seen; nothing was prevented."
_NEEDS = ("security",)
_FALCO = "Falco's rules, maturity {}"
# Examples in a sentence.
_MOST_NAMED = 3


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Those whose work it is, by name: whoever wants to be overlooked may take one.
_PACKAGERS = _names(
    "dpkg dpkg-deb apt apt-get aptitude apk rpm yum dnf microdnf zypper pacman pip pip3 npm yarn pnpm gem cargo go tar "
    "unzip ldconfig update-alternati"
)
_LOGINS = _names(
    "sshd sshd-session ssh ssh-agent scp git sudo su login passwd chage chpasswd useradd usermod userdel groupadd "
    "adduser cron crond unix_chkpwd systemd systemd-sysuser systemd-tmpfile pwck shadowconfig"
)
_DEBUGGERS = _names("gdb lldb strace ltrace perf dlv rr crashpad_handler crashpad_handle gcore pwsh")
_SANDBOXES = _names("bwrap chrome chrome-sandbox chromium buildkitd buildah podman runc crun")
_SERVERS_OF_SOCKETS = _names("inetd xinetd tcpserver tcpsvd systemd sshd git-daemon telnetd busybox ucspi")
# Falco has them apart: they are read by many, or on the way to maturity.
_COMMON_PATTERNS = frozenset(
    {
        "*/secrets/kubernetes.io/serviceaccount/*token",
        "*/.ssh/*",
        "/proc/*/environ",
    }
)
_METADATA = frozenset({"169.254.169.254", "fd00:ec2::254", "168.63.129.16"})
_MODULES = frozenset({"init_module", "finit_module", "delete_module"})
_DNS_PORT = 53

_Row = Mapping[str, Any]


@dataclass(frozen=True)
class _Words:
    """What a rule says: of many rows, what each was, what to do, and what makes it no problem."""

    what: str
    advice: str
    cleared_by: str
    evidence: str


def _execs(facts: Facts) -> Sequence[_Row]:
    rows: Sequence[_Row] = facts.status.get("security", {}).get("execs", ())
    return rows


def _matches(facts: Facts, *kinds: str) -> list[_Row]:
    return [row for row in facts.status.get("security", {}).get("matches", ()) if row["kind"] in kinds]


def _judged(
    rule: str,
    rows: Sequence[_Row],
    severity: Callable[[_Row], Severity],
    words: _Words,
    confidence: Confidence = Confidence.LOW,
) -> Iterator[Finding]:
    """Yield one finding of the rows that are worst."""
    if not rows:
        return
    worst = min(severity(row) for row in rows)
    told = [row for row in rows if severity(row) == worst]
    count = sum(row["count"] for row in told)
    yield Finding(
        rule,
        worst,
        confidence,
        f"{words.what}: {_listed(told)}.",
        f"{words.advice} {SAID}",
        words.cleared_by,
        (Evidence(words.evidence, count, 1),),
        _places(told),
        weight=float(worst == Severity.CRITICAL),
    )


def _listed(rows: Sequence[_Row]) -> str:
    named = list(dict.fromkeys(map(_described, rows)))
    more = [f"{len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else []
    return ", ".join(named[:_MOST_NAMED] + more)


def _described(row: _Row) -> str:
    times = many(row["count"], "time")
    origin = " from outside of the container" if row.get("fromOutside") else ""
    if "signs" in row:
        parent = f" by {row['parent']}" if "parent" in row else ""
        peer = f" with {row['peer']}" if "peer" in row else ""
        return f"{row['path']}{parent}{peer}{origin} ({times})"
    about = f" of {row['object']}" if "object" in row else ""
    failed = f"{row['errno']}, " if "errno" in row else ""
    return f"{row['syscall']}{about} by {row['program']}{origin} ({failed}{times})"


def _places(rows: Sequence[_Row]) -> tuple[Place, ...]:
    places = {Place(each["pod"], each["container"]) for row in rows for each in row.get("containers", ())}
    return tuple(sorted(places - {Place("", "")}))


def _programs(row: _Row) -> set[str]:
    """Names of who did it: of an execution its parent."""
    return {row.get("parent", "")} if "signs" in row else {row["program"], row.get("process", "")}


def _unless(cleared: Callable[[_Row], bool], severity: Severity = Severity.WARNING) -> Callable[[_Row], Severity]:
    """Return what is information where it failed, is the runtime's, or is cleared."""

    def judge(row: _Row) -> Severity:
        return Severity.INFO if row.get("runtime") or "errno" in row or cleared(row) else severity

    return judge


def _info(_: _Row) -> Severity:
    return Severity.INFO


# Executions.


def _exec_from_memory(facts: Facts) -> Iterator[Finding]:
    yield from _judged(
        "exec-from-memory",
        [row for row in _execs(facts) if "memory" in row["signs"]],
        _unless(lambda _: False),
        _Words(
            "Programs were executed whose file is in no folder, or in /dev/shm",
            "Look at who started them, and whether the image has a reason to.",
            "The container's runtime starts a copy of itself; a program that was upgraded starts itself again.",
            "executions",
        ),
        Confidence.MEDIUM,
    )


def _exec_not_in_image(facts: Facts) -> Iterator[Finding]:
    def cleared(row: _Row) -> bool:
        return row["place"] == "volume" or bool(_programs(row) & _PACKAGERS)

    yield from _judged(
        "exec-not-in-image",
        [row for row in _execs(facts) if "notInImage" in row["signs"]],
        _unless(cleared),
        _Words(
            "Programs were executed that are not in the image",
            "Find out who wrote them; a read-only root file system (readOnlyRootFilesystem) leaves no room for them.",
            "A package manager, a build or a self-updater wrote them on purpose; a volume holds tools that are wanted.",
            "executions",
        ),
        Confidence.MEDIUM,
    )


def _reverse_shell(facts: Facts) -> Iterator[Finding]:
    yield from _judged(
        "reverse-shell",
        [row for row in _execs(facts) if row["shell"] and "socket" in row["signs"]],
        _unless(lambda row: bool(_programs(row) & _SERVERS_OF_SOCKETS), Severity.CRITICAL),
        _Words(
            "A shell was started whose input or output is an internet socket",
            "Look at the peer, at what started the shell and at what the shell did; isolate the pod before you ask it.",
            "A server in the manner of inetd, or git and ssh over sockets, starts its shells so.",
            "shells",
        ),
        Confidence.MEDIUM,
    )


def _shell_with_terminal(facts: Facts) -> Iterator[Finding]:
    yield from _judged(
        "shell-with-terminal",
        [row for row in _execs(facts) if row["shell"] and "terminal" in row["signs"]],
        _unless(lambda row: bool(row.get("fromOutside"))),
        _Words(
            "A shell was started on a terminal",
            "Ask who works in this container; the API server's audit log has kubectl exec, which comes from outside.",
            "It is you: kubectl exec -it, or a shell that was open before the session began.",
            "shells",
        ),
    )


def _shell_from_server(facts: Facts) -> Iterator[Finding]:
    yield from _judged(
        "shell-from-server",
        [row for row in _execs(facts) if row["shell"] and "listeningParent" in row["signs"]],
        _unless(lambda row: bool(row.get("fromOutside")) or not row.get("interactive")),
        _Words(
            "A program with a listening socket started shells",
            "Look whether its requests reach a command line; call programs without a shell.",
            "It runs commands by system(3) or popen(3), as mail() of PHP does.",
            "shells",
        ),
    )


def _setuid_gain(facts: Facts) -> Iterator[Finding]:
    yield from _judged(
        "setuid-gain",
        [row for row in _execs(facts) if "rights" in row["signs"]],
        _info,
        _Words(
            "Programs got rights by their file that who started them had not",
            "Set allowPrivilegeEscalation: false where no program needs it.",
            "sudo, su, ping and their like are wanted.",
            "executions",
        ),
        Confidence.MEDIUM,
    )


# Calls.


def _sensitive_read(facts: Facts) -> Iterator[Finding]:
    def cleared(row: _Row) -> bool:
        return row.get("pattern") in _COMMON_PATTERNS or bool(_programs(row) & (_LOGINS | _PACKAGERS))

    yield from _judged(
        "sensitive-read",
        _matches(facts, "sensitivePath"),
        _unless(cleared),
        _Words(
            "Files with secrets were opened",
            "Look whether the program needs them; do not mount what it does not (automountServiceAccountToken: false).",
            "Logins, package managers and clients of the API server read theirs, by the names of the programs.",
            "opens",
        ),
    )


def _is_metadata(row: _Row) -> bool:
    return row["object"].rpartition(":")[0].strip("[]") in _METADATA


def _peer_severity(facts: Facts) -> Callable[[_Row], Severity]:
    given = facts.status.get("security", {}).get("expectedPeersGiven", False)
    return _unless(lambda _: not given)


def _metadata_service(facts: Facts) -> Iterator[Finding]:
    yield from _judged(
        "metadata-service",
        [row for row in _matches(facts, "peer") if _is_metadata(row) and not row["expected"]],
        _peer_severity(facts),
        _Words(
            "The cloud's metadata service was asked, which gives the node's rights to who asks",
            "Block it by NetworkPolicy, or require IMDSv2 with a hop limit of 1, and give pods their own identities.",
            "SDKs of the cloud ask it for their own identity; put it into expectedPeers then.",
            "calls",
        ),
    )


def _unexpected_outbound(facts: Facts) -> Iterator[Finding]:
    given = facts.status.get("security", {}).get("expectedPeersGiven", False)

    def is_told(row: _Row) -> bool:
        if row["expected"] or _is_metadata(row):
            return False
        address, _, port = row["object"].rpartition(":")
        known = ipaddress.ip_address(address.strip("[]"))
        return bool(known.is_global) or (given and int(port) != _DNS_PORT)

    yield from _judged(
        "unexpected-outbound",
        [row for row in _matches(facts, "peer") if is_told(row)],
        _peer_severity(facts),
        _Words(
            "Peers outside of expectedPeers were called" if given else "Public addresses were called",
            "Add those that are wanted to views.security.expectedPeers; close the others by NetworkPolicy.",
            "They are wanted. Addresses behind a name change; the cluster's own DNS (port 53) is left out.",
            "calls",
        ),
    )


def _ptrace(facts: Facts) -> Iterator[Finding]:
    def cleared(row: _Row) -> bool:
        return row.get("object") == "PTRACE_TRACEME" or bool(_programs(row) & _DEBUGGERS)

    yield from _judged(
        "ptrace",
        _matches(facts, "tracing"),
        _unless(cleared),
        _Words(
            "A process looked into another or changed it",
            "Look at who did it; drop the capability SYS_PTRACE, and keep the runtime's seccomp profile.",
            "Debuggers, profilers and crash reporters work so.",
            "calls",
        ),
        Confidence.MEDIUM,
    )


def _namespace_or_mount(facts: Facts) -> Iterator[Finding]:
    yield from _judged(
        "namespace-or-mount",
        _matches(facts, "namespace"),
        _unless(lambda row: bool(_programs(row) & _SANDBOXES)),
        _Words(
            "Namespaces were made or entered, or file systems mounted",
            "Drop the capability SYS_ADMIN; where user namespaces are not needed, let seccomp refuse them.",
            "Sandboxes and builders (bwrap, chrome, buildkit) work so, and the container's runtime as it starts.",
            "calls",
        ),
        Confidence.MEDIUM,
    )


def _kernel_surface(facts: Facts) -> Iterator[Finding]:
    def is_common(row: _Row) -> bool:
        return not (row["syscall"] in _MODULES or row.get("object", "").startswith("AF_PACKET"))

    yield from _judged(
        "kernel-surface",
        _matches(facts, "kernelSurface", "rawSocket"),
        _unless(is_common),
        _Words(
            "Much of the kernel was asked for",
            "Drop the capabilities that allow it (SYS_MODULE, NET_RAW, BPF, SYS_ADMIN), and keep a seccomp profile.",
            "Agents for networks, storage and monitoring do this for a living.",
            "calls",
        ),
        Confidence.MEDIUM,
    )


def _write_to_code(facts: Facts) -> Iterator[Finding]:
    yield from _judged(
        "write-to-code",
        _matches(facts, "codeWrite"),
        _info,
        _Words(
            "Something was written that runs later",
            "Set readOnlyRootFilesystem: true; bring programs in the image.",
            "Builds of images and package managers do nothing else.",
            "writes",
        ),
    )


def _rule(name: str, judge: Callable[[Facts], Iterator[Finding]], about: str, maturity: str) -> Rule:
    return Rule(name, judge, needs=_NEEDS, about=about, source=_FALCO.format(maturity))


RULES = (
    _rule(
        "exec-from-memory",
        _exec_from_memory,
        "A program executed from a memfd, from a file without a name, or from /dev/shm; of runc itself information.",
        "stable",
    ),
    _rule(
        "exec-not-in-image",
        _exec_not_in_image,
        "A program executed from the layer that the container writes to; from a volume or by a package manager "
        "information.",
        "stable",
    ),
    _rule(
        "reverse-shell",
        _reverse_shell,
        "A shell whose standard input or output is a connected internet socket: critical; of inetd's kind information.",
        "stable",
    ),
    _rule(
        "shell-with-terminal",
        _shell_with_terminal,
        "A shell whose standard input is a terminal; of kubectl exec information.",
        "stable",
    ),
    _rule(
        "shell-from-server",
        _shell_from_server,
        "A shell without a command, whose parent has a listening socket; with a command information.",
        "stable",
    ),
    _rule(
        "sensitive-read",
        _sensitive_read,
        "A path of the patterns opened, linked or renamed, or a runtime's socket called; ssh keys, environments, "
        "tokens, failures and programs for logins information.",
        "stable",
    ),
    _rule(
        "metadata-service",
        _metadata_service,
        "169.254.169.254, fd00:ec2::254 or 168.63.129.16 called; a warning where expectedPeers leaves it out.",
        "incubating",
    ),
    _rule(
        "unexpected-outbound",
        _unexpected_outbound,
        "A peer outside of expectedPeers: a warning; without that list public addresses, information.",
        "incubating",
    ),
    _rule(
        "ptrace",
        _ptrace,
        "ptrace, process_vm_readv, process_vm_writev or pidfd_getfd of another process; TRACEME and debuggers "
        "information.",
        "stable",
    ),
    _rule(
        "namespace-or-mount",
        _namespace_or_mount,
        "mount, move_mount, pivot_root, setns, unshare or clone with namespaces; failures, sandboxes and runc "
        "information.",
        "incubating",
    ),
    _rule(
        "kernel-surface",
        _kernel_surface,
        "Kernel modules and AF_PACKET sockets; bpf, perf_event_open, kexec, open_by_handle_at, userfaultfd, add_key, "
        "and raw sockets information.",
        "stable for modules and packet sockets, else incubating",
    ),
    _rule(
        "setuid-gain",
        _setuid_gain,
        "A program that runs as another user, group or with capabilities by its file: information.",
        "incubating",
    ),
    _rule(
        "write-to-code",
        _write_to_code,
        "Something written below bin, sbin or lib, to ld.so.preload, cron or authorized_keys: information.",
        "sandbox",
    ),
)
