"""What is not shown of paths, arguments and names."""

import pytest
from view_messages import every_view

from kubestrace_agent.views import redacted_messages, registry
from kubestrace_agent.views.redaction import Redaction
from kubestrace_agent.views.view import Collector, put
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import processes_pb2


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*/secrets/*", "/run/secrets/db/password", "/run/secrets/***"),
        ("*/secrets/*", "/run/secrets", "/run/secrets"),
        ("*/secrets/*", "/a/secrets/b/secrets/c (deleted)", "/a/secrets/***"),
        ("*.pem", "/etc/tls/key.pem", "/etc/tls/***"),
        ("*.pem", "/etc/tls/key.pem2", "/etc/tls/key.pem2"),
        ("/etc/shadow", "/etc/shadow", "/etc/***"),
        ("/etc/shadow", "/etc/shadow-", "/etc/shadow-"),
        ("/home/*/.ssh/*", "/home/me/.ssh/id", "/home/me/.ssh/***"),
        ("/home/*/.ssh/*", "/root/.ssh/id", "/root/.ssh/id"),
        # One part is not found twice in the same characters.
        ("/aa*aa", "/aaa", "/aaa"),
        ("*", "/x", "***"),
        ("/a[b]/*", "/a[b]/c", "/a[b]/***"),
    ],
)
def test_paths_that_fit_a_pattern_are_hidden(pattern: str, path: str, expected: str) -> None:
    """Up to what the last star stands for."""
    assert Redaction.of([pattern]).path(path.encode()) == expected.encode()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/cache/token=abc/x", "/cache/token=***/x"),
        ("/t/ghp_0123456789abcdefghij.json", "/t/***"),
        ("/t/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln/x", "/t/***/x"),
        ("/repo/https:/me:pass@host/x", "/repo/https:/me:***@host/x"),
        ("/var/lib/overlay/0123456789abcdef0123456789abcdef/x", "/var/lib/overlay/0123456789abcdef0123456789abcdef/x"),
        ("/var/run/secrets/kubernetes.io/serviceaccount/token", "/var/run/secrets/kubernetes.io/serviceaccount/token"),
    ],
)
def test_tokens_in_paths_are_always_hidden(path: str, expected: str) -> None:
    """Names that say what they are, and hashes, stay."""
    assert Redaction().path(path.encode()) == expected.encode()


@pytest.mark.parametrize(
    ("pattern", "path", "folder", "expected"),
    [
        # From the folder that is known; what the folder shows is not repeated.
        ("*/secrets/*", "token", "/run/secrets", "***"),
        ("*/secrets/*", "a/token", "/run/secrets", "***"),
        ("*/secrets/*", "secrets/token", "/run", "secrets/***"),
        ("/run/secrets/*", "../secrets/token", "/run/x", "***"),
        ("*.key", "a.key", "/srv", "***"),
        ("*/secrets/*", "token", "/srv", "token"),
        # It may be any folder.
        ("*/secrets/*", "token", "", "***"),
        ("*/secrets/*", "token", ".../b", "***"),
        ("*/secrets/*", "/srv/token", "", "/srv/token"),
        # Whatever steps lead there.
        ("/run/secrets/*", "/run/./secrets//token", "", "/run/secrets/***"),
        ("/run/secrets/*", "/run/x/../secrets/token", "", "/run/secrets/***"),
        ("*/secrets/*", "/run/secrets/../secrets/token", "", "/run/secrets/***"),
    ],
)
def test_paths_are_hidden_by_the_folder_that_they_begin_in(pattern: str, path: str, folder: str, expected: str) -> None:
    """One whose folder is not known may fit."""
    assert Redaction.of([pattern]).relative(path.encode(), folder.encode()) == expected.encode()


def test_a_part_of_a_path_may_fit() -> None:
    """What is missing may be what a pattern looks for."""
    redaction = Redaction.of(["*/secrets/*"])

    assert redaction.cut(b"/srv/a") == redaction.path(b".../b/c") == b"***"
    assert Redaction().cut(b"/srv/a") == b"/srv/a"


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*/secrets/*", "cat /run/secrets/my token", "cat /run/secrets/***"),
        ("*/secrets/*", "--file=/run/secrets/token", "--file=/run/secrets/***"),
        ("/run/secrets/*", "--file=/run/secrets/token", "--file=/run/secrets/***"),
        ("/run/secrets/*", "file:///run/secrets/token", "file:/run/secrets/***"),
        ("/run/secrets/*", "cat /run//secrets/token", "cat /run/secrets/***"),
        ("/run/secrets/*", "/srv/run/secrets/token", "/srv/run/secrets/token"),
        ("*.key", "openssl -in /srv/a.key -out b.key x", "openssl -in /srv/*** -out *** x"),
        ("*.key", "/srv/my own.key", "/srv/***"),
        ("/etc/shadow", "grep root /etc/shadow,/etc/passwd", "grep root /etc/***,/etc/passwd"),
        ("*/secrets/*", "py::handler:/app/secrets/views.py", "py::handler:/app/secrets/***"),
        ("*/secrets/*", "nginx: worker process", "nginx: worker process"),
        ("*", "anything", "***"),
    ],
)
def test_paths_within_texts_are_hidden(pattern: str, text: str, expected: str) -> None:
    """Titles, arguments, names of functions: to the end where a pattern ends with a star, as names may have spaces."""
    redaction = Redaction.of([pattern])

    assert redaction.text(text.encode()) == expected.encode()
    assert redaction.text(redaction.text(text.encode())) == expected.encode()


def test_a_text_that_is_too_long_to_be_looked_through_is_hidden() -> None:
    """Only where there is something to look for."""
    text = b"a:" * 1_000_000

    assert Redaction.of(["*/secrets/*"]).text(text) == b"***"
    assert Redaction().text(text) == text


@pytest.mark.parametrize(
    ("pattern", "address", "port", "expected"),
    [
        ("10.0.0.*", "10.0.0.7", 443, "***"),
        ("10.0.0.7:443", "10.0.0.7", 443, "***"),
        ("10.0.0.7:443", "10.0.0.7", 80, "10.0.0.7"),
        ("[fd00::1]:443", "fd00::1", 443, "***"),
        ("*/secrets/*", "10.0.0.7", 443, "10.0.0.7"),
        ("*", "", 0, ""),
    ],
)
def test_peers_are_hidden_by_address_and_port(pattern: str, address: str, port: int, expected: str) -> None:
    """As they are shown."""
    assert Redaction.of([pattern]).peer(address, port) == expected


@pytest.mark.parametrize("redact", [["x"] * 21, [""], ["x" * 257], ["a\nb"], ["\u00e9"]])
def test_patterns_have_bounds(redact: list[str]) -> None:
    """An agent does not rely on who asks."""
    with pytest.raises(registry.RequestError, match=r"redact(\[0\])? (has|is) .*; it m"):
        registry.requests(every_view(), 0, redact)


def test_sessions_that_hide_different_things_share_nothing() -> None:
    """What is collected for one is shown by no other."""
    shown, hidden, same = (registry.requests(every_view(), 0, redact) for redact in ([], ["*.key"], ["*.key"]))

    assert shown.shared_key != hidden.shared_key == same.shared_key
    assert all(each.redaction is hidden.redaction for each in hidden.own_collectors(None))


class Forgetful(Collector):
    """A view whose author forgot that sessions hide something."""

    name = "forgetful"

    def write(self, report: agent_pb2.ContainerReport) -> None:
        """Put texts into all kinds of fields."""
        process = processes_pb2.Process(
            command="/run/secrets/a", arguments=["--key=/run/secrets/b", "x"], execs=[processes_pb2.Exec(command="c/d")]
        )
        process.syscalls.add(name="read")
        process.syscalls.add(name="db.shop")
        put(report, self.name, processes_pb2.ProcessesResult(processes=[process]))


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*/secrets/*", "*.shop"], ("/run/secrets/***", ["--key=/run/secrets/***", "x"], "c/d", ["read", "***"])),
        (["*"], ("***", ["***", "***"], "***", ["read", "***"])),
        ([], ("/run/secrets/a", ["--key=/run/secrets/b", "x"], "c/d", ["read", "db.shop"])),
    ],
)
def test_texts_of_a_view_that_hides_nothing_itself_are_searched(patterns: list[str], expected: object) -> None:
    """Words of ours, as names of system calls, stay; what looks like a path, an address or a name of DNS is none."""
    collector, report = Forgetful(), agent_pb2.ContainerReport()
    collector.redaction = Redaction.of(patterns)

    redacted_messages.write(collector, report)

    result = processes_pb2.ProcessesResult()
    report.views["forgetful"].Unpack(result)
    (process,) = result.processes
    shown = process.command, list(process.arguments), process.execs[0].command, [each.name for each in process.syscalls]
    assert shown == expected
