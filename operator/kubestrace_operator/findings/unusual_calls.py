"""Findings about calls of which few programs have a use: secrets, peers, other processes, mounts, the kernel. Pure."""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kubestrace_operator.findings.finding import Confidence, Facts, Finding, Severity
from kubestrace_operator.findings.sightings import (
    PACKAGERS,
    Row,
    Sighting,
    information,
    names,
    programs,
    unless,
)

_LOGINS = names(
    "sshd sshd-session ssh ssh-agent scp git sudo su login passwd chage chpasswd useradd usermod userdel groupadd "
    "adduser cron crond unix_chkpwd systemd systemd-sysuser systemd-tmpfile pwck shadowconfig"
)
_DEBUGGERS = names("gdb lldb strace ltrace perf dlv rr crashpad_handler crashpad_handle gcore pwsh")
_SANDBOXES = names("bwrap chrome chrome-sandbox chromium buildkitd buildah podman runc crun")
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


def _matches(*kinds: str) -> Callable[[Facts], Sequence[Row]]:
    """Return what finds the calls of these kinds."""

    def rows(facts: Facts) -> Sequence[Row]:
        return [row for row in facts.status.get("security", {}).get("matches", ()) if row["kind"] in kinds]

    return rows


def _has_list(facts: Facts) -> bool:
    return bool(facts.status.get("security", {}).get("expectedPeersGiven", False))


def _peers(facts: Facts, *, metadata: bool) -> Iterator[Row]:
    """Yield the peers that no list expects, with whether there is one."""
    for row in _matches("peer")(facts):
        if not row["expected"] and _is_metadata(row) == metadata:
            yield {**row, "listed": _has_list(facts)}


def _is_metadata(row: Row) -> bool:
    return row["object"].rpartition(":")[0].strip("[]") in _METADATA


def _outbound(facts: Facts) -> Sequence[Row]:
    """Return those outside of the list; without it public addresses. The cluster's own DNS needs no list."""

    def is_told(row: Row) -> bool:
        address, _, port = row["object"].rpartition(":")
        is_public = ipaddress.ip_address(address.strip("[]")).is_global
        return bool(is_public) or (row["listed"] and int(port) != _DNS_PORT)

    return [row for row in _peers(facts, metadata=False) if is_told(row)]


def _is_common(row: Row) -> bool:
    return not (row["syscall"] in _MODULES or row.get("object", "").startswith("AF_PACKET"))


def _is_theirs(row: Row) -> bool:
    return row.get("pattern") in _COMMON_PATTERNS or bool(programs(row) & (_LOGINS | PACKAGERS))


_PEER_SEVERITY: Callable[[Row], Severity] = unless(lambda row: not row["listed"])
_OUTBOUND = Sighting(
    "unexpected-outbound",
    _outbound,
    _PEER_SEVERITY,
    "Peers outside of expectedPeers were called",
    "Add those that are wanted to views.security.expectedPeers; close the others by NetworkPolicy.",
    "They are wanted. Addresses behind a name change; the cluster's own DNS (port 53) is left out.",
    "calls",
    about="A peer outside of expectedPeers: a warning; without that list public addresses, information.",
    maturity="incubating",
)


def _unexpected_outbound(facts: Facts) -> Iterator[Finding]:
    told = _OUTBOUND if _has_list(facts) else replace(_OUTBOUND, what="Public addresses were called")
    yield from told.judge(facts)


RULES = (
    Sighting(
        "sensitive-read",
        _matches("sensitivePath"),
        unless(_is_theirs),
        "Files with secrets were opened",
        "Look whether the program needs them; do not mount what it does not (automountServiceAccountToken: false).",
        "Logins, package managers and clients of the API server read theirs, by the names of the programs.",
        "opens",
        about="A path of the patterns opened, linked or renamed, or a runtime's socket called; ssh keys, environments, "
        "tokens, failures and programs for logins information.",
        maturity="stable",
    ).rule(),
    Sighting(
        "metadata-service",
        lambda facts: list(_peers(facts, metadata=True)),
        _PEER_SEVERITY,
        "The cloud's metadata service was asked, which gives the node's rights to who asks",
        "Block it by NetworkPolicy, or require IMDSv2 with a hop limit of 1, and give pods their own identities.",
        "SDKs of the cloud ask it for their own identity; put it into expectedPeers then.",
        "calls",
        about="169.254.169.254, fd00:ec2::254 or 168.63.129.16 called; a warning where expectedPeers leaves it out.",
        maturity="incubating",
    ).rule(),
    _OUTBOUND.rule(_unexpected_outbound),
    Sighting(
        "ptrace",
        _matches("tracing"),
        unless(lambda row: row.get("object") == "PTRACE_TRACEME" or bool(programs(row) & _DEBUGGERS)),
        "A process looked into another or changed it",
        "Look at who did it; drop the capability SYS_PTRACE, and keep the runtime's seccomp profile.",
        "Debuggers, profilers and crash reporters work so.",
        "calls",
        about="ptrace, process_vm_readv, process_vm_writev or pidfd_getfd of another process; TRACEME and debuggers "
        "information.",
        maturity="stable",
        confidence=Confidence.MEDIUM,
    ).rule(),
    Sighting(
        "namespace-or-mount",
        _matches("namespace"),
        unless(lambda row: bool(programs(row) & _SANDBOXES)),
        "Namespaces were made or entered, or file systems mounted",
        "Drop the capability SYS_ADMIN; where user namespaces are not needed, let seccomp refuse them.",
        "Sandboxes and builders (bwrap, chrome, buildkit) work so, and the container's runtime as it starts.",
        "calls",
        about="mount, move_mount, pivot_root, setns, unshare or clone with namespaces; failures, sandboxes and runc "
        "information.",
        maturity="incubating",
        confidence=Confidence.MEDIUM,
    ).rule(),
    Sighting(
        "kernel-surface",
        _matches("kernelSurface", "rawSocket"),
        unless(_is_common),
        "Calls were made that reach deep into the kernel",
        "Drop the capabilities that allow it (SYS_MODULE, NET_RAW, BPF, SYS_ADMIN), and keep a seccomp profile.",
        "Agents for networks, storage and monitoring do this for a living.",
        "calls",
        about="Kernel modules and AF_PACKET sockets; bpf, perf_event_open, kexec, open_by_handle_at, userfaultfd, "
        "add_key, and raw sockets information.",
        maturity="stable for modules and packet sockets, else incubating",
        confidence=Confidence.MEDIUM,
    ).rule(),
    Sighting(
        "write-to-code",
        _matches("codeWrite"),
        information,
        "Something was written that runs later",
        "Set readOnlyRootFilesystem: true; bring programs in the image.",
        "Builds of images and package managers do nothing else.",
        "writes",
        about="Something written below bin, sbin or lib, to ld.so.preload, cron or authorized_keys: information.",
        maturity="sandbox",
    ).rule(),
)
