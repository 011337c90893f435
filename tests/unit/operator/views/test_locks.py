"""For which locks threads wait: merged over containers and agents, as a document and as text."""

from datetime import UTC, datetime
from typing import Any

from kubestrace_operator.results.places import Places
from kubestrace_operator.results.rows import ContainerKey
from kubestrace_operator.status.sections import combined
from kubestrace_operator.views.locks import MAX_LOCKS, Locks, Part, Settings
from kubestrace_operator.views.locks_text import lines
from kubestrace_operator.views.view import ContainerResult, Shown
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.histograms import bucket_index
from kubestrace_protos.v1.views import locks_pb2

MS = 1_000_000
VIEW = Locks()


def lock(address: int, waits: int, host_pid: int = 700) -> locks_pb2.Lock:
    """Return a lock with as many waits, each of 8 ms."""
    return locks_pb2.Lock(
        pid=7,
        host_pid=host_pid,
        process="app",
        address=address,
        threads=3,
        waits=waits,
        wakes=waits,
        handed_on=waits,
        holds=waits,
        held_nanoseconds=2 * MS * waits,
        longest_held_nanoseconds=2 * MS,
        total_nanoseconds=8 * MS * waits,
        max_nanoseconds=8 * MS,
        buckets=[bucket_index(8 * MS)],
        counts=[waits],
    )


def merged(*containers: locks_pb2.LocksResult, pod: str = "shop-1") -> Part:
    """Return what a node's containers come to."""
    return VIEW.merge(
        ContainerResult(
            ContainerKey("n1", pod, f"c{number}", f"c{number}"),
            agent_pb2.Container(pod_name=pod, container_name=f"c{number}"),
            result,
        )
        for number, result in enumerate(containers)
    )


def result(*locks: locks_pb2.Lock, others: int = 0) -> locks_pb2.LocksResult:
    """Return what an agent reports, with some others of one wait of 1 ms each."""
    return locks_pb2.LocksResult(locks=locks, other_locks=others, other_waits=others, other_nanoseconds=others * MS)


def status(part: Part, kept: int = MAX_LOCKS) -> dict[str, Any]:
    """Return the view's part of a status that has room for so many."""
    now = datetime.now(UTC)
    shown = Shown(Settings(), part, [], [], now, now, 0)
    (section,) = VIEW.sections(shown)
    found: dict[str, Any] = combined(VIEW.document(shown), section.document(min(kept, len(section.rows))))["locks"]
    return found


def test_one_address_of_two_containers_is_two_locks() -> None:
    """The same program has its lock at the same place in each of its processes."""
    found = status(merged(result(lock(0x1000, 3)), result(lock(0x1000, 5))))

    assert [(row["address"], row["container"], row["waits"]) for row in found["locks"]] == [
        ("0x1000", "c1", 5),
        ("0x1000", "c0", 3),
    ]
    assert (found["waits"], found["totalNanoseconds"]) == (8, 64 * MS)


def test_agents_one_after_the_other_are_added() -> None:
    """The second one counts what the first one no longer saw; the parts stay as they are."""
    first, second = merged(result(lock(0x1000, 3))), merged(result(lock(0x1000, 5)))
    (row,) = status(VIEW.add([first, second]))["locks"]

    assert (row["waits"], row["handedOn"], row["holds"], row["threads"]) == (8, 8, 8, 3)
    assert (row["totalNanoseconds"], row["heldNanoseconds"]) == (64 * MS, 16 * MS)
    assert abs(row["p50Nanoseconds"] - 8 * MS) <= 0.0625 * 8 * MS
    assert status(first)["waits"] == 3


def test_what_is_not_shown_is_summed_up() -> None:
    """Whether an agent, a merge or a status had no room for it: rows and others are all waits."""
    part = merged(*(result(*(lock(8 * at, 1 + at, 700 + each) for at in range(60)), others=2) for each in range(5)))
    found = status(part, kept=4)
    shown = sum(row["waits"] for row in found["locks"])

    assert len(part.locks) == 256
    assert (len(found["locks"]), found["otherLocks"]["rows"]) == (4, 300 + 10 - 4)
    assert shown + found["otherLocks"]["waits"] == found["waits"] == 5 * sum(range(1, 61)) + 10
    assert found["otherLocks"]["totalNanoseconds"] == found["totalNanoseconds"] - shown * 8 * MS


def test_the_text_has_the_longest_waits_first() -> None:
    """With how long the lock is kept, where that is known; the place only where there are several containers."""
    rows = status(merged(result(lock(0x1000, 3), lock(0x2000, 5))))["locks"]
    rows[1] |= {"holds": 0, "heldNanoseconds": 0}
    head, first, second = lines(rows, Places({}))

    assert " ".join(head.split()) == "waited waits p50 p99 max threads handed on held avg held max lock"
    assert first.split()[:2] == ["40.0ms", "5"]
    assert first.endswith(" 2.0ms     2.0ms 0x2000 of app[7]")
    assert second.endswith(" -         - 0x1000 of app[7]")
    assert list(lines([], Places({}))) == ["No thread waited for another by futex."]
