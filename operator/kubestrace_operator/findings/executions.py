"""Findings about programs that were executed: from where, by whom, and with which rights. Pure."""

from collections.abc import Callable, Sequence

from kubestrace_operator.findings.finding import Confidence, Facts, Severity
from kubestrace_operator.findings.sightings import (
    PACKAGERS,
    Row,
    Sighting,
    information,
    names,
    programs,
    unless,
)

_SERVERS_OF_SOCKETS = names("inetd xinetd tcpserver tcpsvd systemd sshd git-daemon telnetd busybox ucspi")


def _signed(sign: str, *, shells_only: bool = False) -> Callable[[Facts], Sequence[Row]]:
    """Return what finds the executions with a sign; of shells alone where these are meant."""

    def rows(facts: Facts) -> Sequence[Row]:
        execs: Sequence[Row] = facts.status.get("security", {}).get("execs", ())
        return [row for row in execs if sign in row["signs"] and (row["shell"] or not shells_only)]

    return rows


RULES = tuple(
    each.rule()
    for each in (
        Sighting(
            "exec-from-memory",
            _signed("memory"),
            unless(lambda _: False),
            "Programs were executed whose file is in no folder, or in /dev/shm",
            "Look at who started them, and whether the image has a reason to.",
            "The container's runtime starts a copy of itself; a program that was upgraded starts itself again.",
            "executions",
            about="A program executed from a memfd, from a file without a name, or from /dev/shm; of runc itself "
            "information.",
            maturity="stable",
            confidence=Confidence.MEDIUM,
        ),
        Sighting(
            "exec-not-in-image",
            _signed("notInImage"),
            unless(lambda row: row["place"] == "volume" or bool(programs(row) & PACKAGERS)),
            "Programs were executed that are not in the image",
            "Find out who wrote them; a read-only root file system (readOnlyRootFilesystem) leaves no room for them.",
            "A package manager, a build or a self-updater wrote them on purpose; a volume holds tools that are wanted.",
            "executions",
            about="A program executed from the layer that the container writes to; from a volume or by a package "
            "manager information.",
            maturity="stable",
            confidence=Confidence.MEDIUM,
        ),
        Sighting(
            "reverse-shell",
            _signed("socket", shells_only=True),
            unless(lambda row: bool(programs(row) & _SERVERS_OF_SOCKETS), Severity.CRITICAL),
            "A shell was started whose input or output is an internet socket",
            "Look at the peer, at what started the shell and at what the shell did; isolate the pod before you ask it.",
            "A server in the manner of inetd, or git and ssh over sockets, starts its shells so.",
            "shells",
            about="A shell whose standard input or output is a connected internet socket: critical; of inetd's kind "
            "information.",
            maturity="stable",
            confidence=Confidence.MEDIUM,
        ),
        Sighting(
            "shell-with-terminal",
            _signed("terminal", shells_only=True),
            unless(lambda row: bool(row.get("fromOutside"))),
            "A shell was started on a terminal",
            "Ask who works in this container; the API server's audit log has kubectl exec, which comes from outside.",
            "It is you: kubectl exec -it, or a shell that was open before the session began.",
            "shells",
            about="A shell whose standard input is a terminal; of kubectl exec information.",
            maturity="stable",
        ),
        Sighting(
            "shell-from-server",
            _signed("listeningParent", shells_only=True),
            unless(lambda row: bool(row.get("fromOutside")) or not row.get("interactive")),
            "A program with a listening socket started shells",
            "Look whether its requests reach a command line; call programs without a shell.",
            "It runs commands by system(3) or popen(3), as mail() of PHP does.",
            "shells",
            about="A shell without a command, whose parent has a listening socket; with a command information.",
            maturity="stable",
        ),
        Sighting(
            "setuid-gain",
            _signed("rights"),
            information,
            "Programs got rights by their file that who started them had not",
            "Set allowPrivilegeEscalation: false where no program needs it.",
            "sudo, su, ping and their like are wanted.",
            "executions",
            about="A program that runs as another user, group or with capabilities by its file: information.",
            maturity="incubating",
            confidence=Confidence.MEDIUM,
        ),
    )
)
