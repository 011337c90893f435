"""What is of interest for security: added up over containers and nodes, as a document and as text."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubestrace_operator.api.fields import Fields
from kubestrace_operator.results.places import Places
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.status.sections import combined
from kubestrace_operator.views.security import MAX_CONTAINERS, MAX_MATCHES, Expected, Part, Security, Settings
from kubestrace_operator.views.security_text import lines
from kubestrace_operator.views.view import ContainerResult, PeerName, Shown, Span
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views.security_pb2 import SecurityExec, SecurityMatch, SecurityResult

VIEW = Security()
DATABASE = PeerName("db-0", "StatefulSet/db", "")
NAMES = {"10.0.0.7": DATABASE, "10.9.0.1": PeerName("", "", "cache")}

ONE = Places({})


def match(about: str, count: int = 1, kind: str = "sensitivePath", **changes: Any) -> SecurityMatch:
    """Return a row of an agent."""
    call = "connect" if kind == "peer" else "openat"
    return SecurityMatch(
        **({"kind": kind, "syscall": call, "program": "app", "object": about, "count": count} | changes)
    )


def shell(count: int = 1, **changes: Any) -> SecurityExec:
    """Return a shell on a socket."""
    signs = {"program": "bash", "place": "image", "signs": ["socket"], "shell": True}
    return SecurityExec(**({"path": "/bin/bash", "count": count, "peer": "1.2.3.4:5", **signs} | changes))


def merged(*results: SecurityResult) -> Part:
    """Return what the containers of a node come to."""
    return VIEW.merge(
        ContainerResult(
            ContainerKey("n1", f"p{number}", "app", "c"),
            agent_pb2.Container(pod_name=f"p{number}", container_name="app"),
            result,
        )
        for number, result in enumerate(results)
    )


def status(part: Part, *expected: str) -> dict[str, Any]:
    """Return the view's part of a status."""
    now = datetime.now(UTC)
    shown = Shown(Settings(expected_peers=expected), part, [], [], now, now, 0, peer_names=NAMES)
    documents = [section.document(len(section.rows)) for section in VIEW.sections(shown)]
    found: dict[str, Any] = combined(VIEW.document(shown), *documents)["security"]
    return found


def parsed(**spec: Any) -> tuple[Settings, list[str]]:
    """Return the settings of a spec, and what is wrong with it."""
    fields = Fields(spec, "security", VIEW.fields)
    return VIEW.parse(fields, 60), fields.problems


def test_containers_and_nodes_are_added() -> None:
    """The same in several is one row that says where; the parts stay as they are."""
    one = merged(
        SecurityResult(matches=[match("/etc/shadow", 2)], execs_seen=3), SecurityResult(matches=[match("/etc/shadow")])
    )

    whole = VIEW.add([one, merged(SecurityResult(matches=[match("/etc/shadow", 4)], execs=[shell()], other_matches=5))])

    (row,) = status(whole)["matches"]
    assert (row["count"], row["containerCount"]) == (7, 2)
    assert row["containers"] == [{"pod": "p0", "container": "app"}, {"pod": "p1", "container": "app"}]
    assert (status(whole)["executions"], status(whole)["otherMatches"]) == (3, 5)
    assert status(one)["matches"][0]["count"] == 3


def test_a_shell_with_another_port_is_the_same() -> None:
    """The port of a client says nothing."""
    part = merged(SecurityResult(execs=[shell(), shell(2, peer="1.2.3.4:6"), shell(peer="1.2.3.5:5")]))

    assert [(row["peer"], row["count"]) for row in status(part)["execs"]] == [("1.2.3.4", 3), ("1.2.3.5", 1)]


def test_many_of_one_kind_leave_room_for_the_others() -> None:
    """What is not shown is counted; expected peers come last."""
    many = [match(f"/root/.ssh/{number}", 100) for number in range(2 * MAX_MATCHES)]
    peers = [match("10.0.0.7:5432", kind="peer", count=500), match("8.8.8.8:443", kind="peer")]
    found = status(merged(SecurityResult(matches=[*many, *peers])), "10.0.0.0/8")

    kinds = [row["kind"] for row in found["matches"]]
    assert len(kinds) == MAX_MATCHES
    assert kinds.count("peer") == 1
    assert found["otherMatches"] == 100 * (MAX_MATCHES + 1) + 500
    assert found["counts"] == [{"kind": "sensitivePath", "count": 200 * MAX_MATCHES}, {"kind": "peer", "count": 501}]


def test_containers_of_a_row_are_bounded() -> None:
    """And how many there are is said."""
    (row,) = status(merged(*[SecurityResult(matches=[match("/etc/shadow")])] * 9))["matches"]

    assert (len(row["containers"]), row["containerCount"]) == (MAX_CONTAINERS, 9)


@pytest.mark.parametrize(
    ("peer", "address", "port", "expected"),
    [
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.0.0.0/8:443", "10.1.2.3", 80, False),
        ("10.1.2.3", "10.1.2.3", 80, True),
        ("10.1.2.3:80", "10.1.2.3", 80, True),
        ("10.1.2.3:80", "10.1.2.3", 81, False),
        ("fd00::/8", "fd00::1", 80, True),
        ("[fd00::1]:80", "fd00::1", 80, True),
        ("[fd00::1]:80", "fd00::1", 81, False),
        ("[fd00::1]", "fd00::1", 81, True),
        ("db", "10.0.0.7", 5432, True),
        ("db.shop:5432", "10.0.0.7", 5432, True),
        ("db.shop:5433", "10.0.0.7", 5432, False),
        ("db-0", "10.0.0.7", 1, True),
        ("statefulset/db", "10.0.0.7", 1, True),
        ("cache", "10.9.0.1", 6379, True),
        ("database", "10.0.0.7", 5432, False),
        ("db", "10.0.0.8", 5432, False),
    ],
)
def test_peers_are_expected_by_network_address_and_name(peer: str, address: str, port: int, expected: bool) -> None:
    """Each for all ports, or for one."""
    assert Expected.of([peer]).has(address, port, NAMES.get(address)) == expected


@pytest.mark.parametrize("peer", ["10.0.0.0/33", "db:port", "db:70000", ":80", "a/b/c"])
def test_bad_peers_are_refused(peer: str) -> None:
    """With their place in the spec."""
    _, problems = parsed(expectedPeers=["10.0.0.0/8", peer])

    assert len(problems) == 1
    assert problems[0].startswith(f"security.expectedPeers[1] is {peer!a}")


@pytest.mark.parametrize("name", ["sensitivePaths", "expectedPeers"])
def test_lists_are_bounded(name: str) -> None:
    """In their length, and each entry in its own."""
    assert "it may have 50" in parsed(**{name: ["x"] * 51})[1][0]
    assert "at most 256 characters" in parsed(**{name: ["x" * 257]})[1][0]
    assert "printable ASCII" in parsed(**{name: ["é"]})[1][0]


def test_settings_go_there_and_back() -> None:
    """Agents get the paths; peers are judged here."""
    spec = {"sensitivePaths": ["/a"], "expectedPeers": ["db"]}
    settings, problems = parsed(**spec)

    assert (VIEW.spec(settings), problems) == (spec, [])
    assert VIEW.spec(parsed()[0]) == {}
    assert list(VIEW.request(settings, Span(0)).sensitive_paths) == ["/a"]


def test_text_has_the_worst_and_what_it_is_worth() -> None:
    """Also where there is nothing."""
    found = status(merged(SecurityResult(matches=[match("/etc/shadow", errno="EACCES")], execs=[shell(parent="app")])))

    text = list(lines(found["matches"], found["execs"], 3, ONE))

    assert text[1].endswith("execution      /bin/bash (socket) by app with 1.2.3.4")
    assert text[2].endswith("sensitivePath  app openat /etc/shadow EACCES")
    assert "no proof" in text[-1]
    assert "no proof" in next(iter(lines([], [], 3, ONE)))


def test_lists_of_text_are_cut_with_a_word() -> None:
    """The rest is in the status."""
    found = status(merged(SecurityResult(matches=[match(f"/etc/shadow{n}") for n in range(30)])))

    assert "and 18 more in status.security.matches" in list(lines(found["matches"], [], 0, ONE))
