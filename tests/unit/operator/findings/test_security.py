"""Findings about security: each rule by what it finds, and by what clears it."""

from dataclasses import replace
from typing import Any

import pytest

from kubestrace_operator.findings import executions, text, unusual_calls
from kubestrace_operator.findings.finding import Facts, Finding, Severity
from kubestrace_operator.findings.rules import judge
from kubestrace_operator.findings.sightings import SAID

RULES = (*executions.RULES, *unusual_calls.RULES)
CONTAINERS = [{"pod": "shop-1", "container": "app"}]


def execution(sign: str, **changes: Any) -> dict[str, Any]:
    """Return a row of executions with a sign."""
    row = {"path": "/usr/bin/app", "program": "app", "place": "image", "signs": [sign], "parent": "server"}
    return {**row, "shell": False, "interactive": False, "count": 2, "containers": CONTAINERS, **changes}


def shell(sign: str, **changes: Any) -> dict[str, Any]:
    """Return a row of shells with a sign."""
    return execution(sign, **{"path": "/bin/sh", "program": "dash", "shell": True, "interactive": True, **changes})


def call(kind: str, syscall: str, **changes: Any) -> dict[str, Any]:
    """Return a row of calls that succeeded."""
    row = {"kind": kind, "syscall": syscall, "program": "app", "count": 3, "containers": CONTAINERS}
    return {**row, **changes}


def secret(**changes: Any) -> dict[str, Any]:
    """Return a row of opens of a secret."""
    return call("sensitivePath", "openat", **{"object": "/etc/shadow", "pattern": "/etc/shadow*", **changes})


def peer(address: str, **changes: Any) -> dict[str, Any]:
    """Return a row of connects."""
    return call("peer", "connect", **{"object": address, "expected": False, **changes})


def facts(*rows: dict[str, Any], expected_given: bool = False) -> Facts:
    """Return a result with these rows."""
    execs = [row for row in rows if "signs" in row]
    matches = [row for row in rows if "signs" not in row]
    part = {"execs": execs, "matches": matches, "expectedPeersGiven": expected_given}
    return Facts(10, [], [], {"security": part}, frozenset({"security"}))


def found(*rows: dict[str, Any], expected_given: bool = False) -> dict[str, Severity]:
    """Return the severities of the findings."""
    return {each.id: each.severity for each in judged(*rows, expected_given=expected_given)}


def judged(*rows: dict[str, Any], expected_given: bool = False) -> tuple[Finding, ...]:
    """Return the findings."""
    return judge(facts(*rows, expected_given=expected_given)).findings


WARNED = [
    ("exec-from-memory", execution("memory", place="memory"), execution("memory", place="memory", runtime=True)),
    ("exec-not-in-image", execution("notInImage", place="upperLayer"), execution("notInImage", place="volume")),
    (
        "exec-not-in-image",
        execution("notInImage", place="upperLayer"),
        execution("notInImage", place="upperLayer", parent="dpkg"),
    ),
    ("shell-with-terminal", shell("terminal"), shell("terminal", fromOutside=True)),
    ("shell-from-server", shell("listeningParent"), shell("listeningParent", interactive=False)),
    ("shell-from-server", shell("listeningParent"), shell("listeningParent", fromOutside=True)),
    ("sensitive-read", secret(), secret(errno="EACCES")),
    ("sensitive-read", secret(), secret(program="sshd")),
    ("sensitive-read", secret(pattern="/srv/keys/*"), secret(pattern="*/.ssh/*")),
    ("sensitive-read", secret(), secret(pattern="*/secrets/kubernetes.io/serviceaccount/*token")),
    ("ptrace", call("tracing", "ptrace", object="PTRACE_ATTACH"), call("tracing", "ptrace", object="PTRACE_TRACEME")),
    ("ptrace", call("tracing", "process_vm_writev"), call("tracing", "process_vm_readv", program="gdb")),
    ("ptrace", call("tracing", "pidfd_getfd"), call("tracing", "pidfd_getfd", errno="EPERM")),
    ("namespace-or-mount", call("namespace", "mount"), call("namespace", "mount", errno="EPERM")),
    ("namespace-or-mount", call("namespace", "unshare"), call("namespace", "unshare", program="bwrap")),
    ("namespace-or-mount", call("namespace", "setns"), call("namespace", "setns", runtime=True)),
    ("kernel-surface", call("kernelSurface", "finit_module"), call("kernelSurface", "bpf")),
    (
        "kernel-surface",
        call("rawSocket", "socket", object="AF_PACKET SOCK_RAW"),
        call("rawSocket", "socket", object="AF_INET SOCK_RAW"),
    ),
]


@pytest.mark.parametrize(("rule", "evil", "innocent"), WARNED)
def test_rules_warn_of_one_and_tell_the_other(rule: str, evil: dict[str, Any], innocent: dict[str, Any]) -> None:
    """What clears a row makes it information; beside others it is left out."""
    assert found(evil) == {rule: Severity.WARNING}
    assert found(innocent) == {rule: Severity.INFO}
    (both,) = judged(evil, innocent)
    assert (both.severity, both.evidence[0].value) == (Severity.WARNING, evil["count"])


def test_a_shell_on_a_socket_is_critical() -> None:
    """One of inetd's kind is information, and another program on a socket is nothing."""
    assert found(shell("socket")) == {"reverse-shell": Severity.CRITICAL}
    assert found(shell("socket", parent="inetd")) == {"reverse-shell": Severity.INFO}
    assert found(execution("socket")) == {}


@pytest.mark.parametrize(
    ("rule", "row"),
    [
        ("setuid-gain", execution("rights", rights="setuid")),
        ("write-to-code", call("codeWrite", "openat", object="/usr/bin/ls")),
    ],
)
def test_what_many_do_is_information(rule: str, row: dict[str, Any]) -> None:
    """And no more."""
    assert found(row) == {rule: Severity.INFO}


def test_peers_are_judged_by_what_is_expected() -> None:
    """Without a list public ones are information; with one all others are warnings, but the cluster's DNS."""
    public, private, dns = peer("8.8.8.8:443"), peer("10.0.0.7:5432"), peer("10.96.0.10:53")

    assert found(public) == {"unexpected-outbound": Severity.INFO}
    assert found(private, dns) == {}
    assert found(private, expected_given=True) == {"unexpected-outbound": Severity.WARNING}
    assert found(peer("10.0.0.7:5432", expected=True), dns, expected_given=True) == {}
    assert found(peer("[fd00::1]:443"), expected_given=True) == {"unexpected-outbound": Severity.WARNING}
    assert found(peer("10.0.0.7:5432", errno="ECONNREFUSED"), expected_given=True) == {
        "unexpected-outbound": Severity.INFO
    }


@pytest.mark.parametrize("address", ["169.254.169.254:80", "[fd00:ec2::254]:80", "168.63.129.16:32526"])
def test_the_metadata_service_has_a_rule_of_its_own(address: str) -> None:
    """Which is silent where it is expected."""
    assert found(peer(address)) == {"metadata-service": Severity.INFO}
    assert found(peer(address), expected_given=True) == {"metadata-service": Severity.WARNING}
    assert found(peer(address, expected=True), expected_given=True) == {}


def test_every_finding_says_what_it_is_worth_and_where() -> None:
    """By whom, what, how often."""
    rows = [evil for _, evil, _ in WARNED] + [shell("socket", peer="1.2.3.4")]
    for each in judged(*rows):
        assert each.advice.endswith(SAID)
        assert each.cleared_by
        assert [place.pod for place in each.places] == ["shop-1"]
    (reverse,) = judged(shell("socket", peer="1.2.3.4"))
    assert "/bin/sh by server with 1.2.3.4 (2 times)." in reverse.summary


def test_two_lines_of_80_columns_say_what_was_seen_and_one_example() -> None:
    """The list of more may be cut there; it stands whole below."""
    for _, evil, _ in WARNED:
        for each in judge(facts(evil)).document()["findings"]:
            lines = text.head(10, each, 120)

            assert len(lines) <= 2
            assert max(map(len, lines)) <= 80
            assert each["summary"].split(": ")[0] in " ".join(" ".join(lines).split())


def test_many_rows_are_named_by_some() -> None:
    """A sentence holds three."""
    (one,) = judged(*(secret(object=f"/etc/shadow{number}") for number in range(5)))

    assert one.summary.endswith("/etc/shadow2 by app (3 times), 2 more.")


def test_without_the_view_no_rule_is_judged_and_none_finds() -> None:
    """They are named as such."""
    result = judge(replace(facts(shell("socket")), views=frozenset()))

    assert not result.findings
    assert {rule.id for rule in RULES} <= {rule for rule, _ in result.not_judged}
    assert {needs for rule, needs in result.not_judged if rule == "reverse-shell"} == {"views.security"}
