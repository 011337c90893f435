"""A result beside an earlier one: what changed, what did not, and what cannot be said."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubestrace_operator.api import conditions
from kubestrace_operator.api.conditions import Outcome
from kubestrace_operator.api.spec import parse
from kubestrace_operator.comparison import baseline, comparing, text
from kubestrace_operator.comparison.baseline import Baseline, Compared, Unusable
from kubestrace_operator.results.histograms import bucket_bounds, bucket_index
from kubestrace_operator.results.merge import Merged
from kubestrace_operator.results.rows import SyscallRow
from kubestrace_operator.status import builder
from kubestrace_operator.status.progress import Progress

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DONE = Outcome(conditions.SUCCEEDED, "Completed", "done")
SPEC = {"target": {"podName": "shop-1"}}
MS = 1_000_000


def row(name: str, *lengths: tuple[int, int], wait: bool = False, **errnos: int) -> SyscallRow:
    """Return a row with so many calls of each length in nanoseconds."""
    latency: dict[int, int] = {}
    for each_ns, calls in lengths:
        latency[bucket_index(each_ns)] = latency.get(bucket_index(each_ns), 0) + calls
    calls = sum(latency.values())
    total_ns, longest_ns = sum(each * count for each, count in lengths), max(each for each, _ in lengths)
    made = SyscallRow(name, wait=wait, calls=calls, timed=calls, total_ns=total_ns, max_ns=longest_ns, latency=latency)
    return replace(made, errnos=errnos, errors=sum(errnos.values()))


def scaled(given_row: SyscallRow, factor: int) -> SyscallRow:
    """Return the same row of a session that many times as long."""
    counts = {name: factor * getattr(given_row, name) for name in ("calls", "errors", "timed", "total_ns")}
    latency, errnos = (
        {key: factor * count for key, count in each.items()} for each in (given_row.latency, given_row.errnos)
    )
    return replace(given_row, **counts, latency=latency, errnos=errnos)


def status(*rows: SyscallRow, seconds: float = 10, compared: Compared | Unusable | None = None) -> dict[str, Any]:
    """Return the status of a session with these rows."""
    progress = Progress(DONE, start=NOW - timedelta(seconds=seconds), completion=NOW, compared=compared)
    return builder.status(Merged({each.key: each for each in rows}), progress, now=NOW)


def earlier(given_status: Mapping[str, Any], **spec: Any) -> Compared:
    """Return a comparison with a session that has this status."""
    found = baseline.read("before", {"spec": {**SPEC, **spec}, "status": given_status})
    assert isinstance(found, Baseline), found
    return Compared(found, baseline.scope(parse(SPEC)))


def compared(here: Mapping[str, Any], before: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """Return the comparison of two statuses."""
    return comparing.compare(here, earlier(before, **spec))


def call(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the row of a call."""
    (found,) = (each for each in document["calls"] if each["name"] == name)
    return dict(found)


def timed(given_status: Mapping[str, Any], *calls: int, **series: list[int]) -> dict[str, Any]:
    """Return a status with a timeline of equal buckets over its ten seconds."""
    every = {name: list(calls) for name in ("calls", "errors", "totalNanoseconds", "waitNanoseconds")} | series
    return {**given_status, "timeline": {"bucketNanoseconds": 10_000_000_000 // len(calls), **every}}


ROWS = st.lists(
    st.builds(
        lambda name, lengths, failed, wait: row(name, *lengths, wait=wait, **({"ENOENT": failed} if failed else {})),
        st.sampled_from(["fsync", "openat", "futex", "read", "connect", "sched_yield", "execve"]),
        st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 5000)), min_size=1, max_size=4),
        st.integers(0, 5000),
        st.booleans(),
    ),
    max_size=7,
    unique_by=lambda each: each.key,
)


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_a_session_compared_with_itself_shows_no_change(rows: list[SyscallRow]) -> None:
    """Every ratio is 1, and nothing is new or gone."""
    document = compared(status(*rows), status(*rows))

    assert not document["total"]["changed"]
    assert (document["newSince"], document["goneSince"], document["remarks"]) == ([], [], [])
    shown = [document["total"], *document["calls"]]
    shown += [each for found in document["findings"] for each in found["evidence"]]
    assert {value for each in shown for name, value in each.items() if name.lower().endswith("ratio")} <= {1}
    assert not any(each["changed"] for each in document["calls"])


@settings(max_examples=30, deadline=None)
@given(ROWS, st.integers(2, 50))
def test_a_longer_session_with_as_much_a_second_shows_no_change(rows: list[SyscallRow], factor: int) -> None:
    """Counts and duration scaled alike: rates are the same, a percentile moves within its bucket at most."""
    here = status(*(scaled(each, factor) for each in rows), seconds=10 * factor)
    document = compared(here, status(*rows))

    assert not document["total"]["changed"]
    assert not any(each["changed"] for each in document["calls"])
    assert {value for name, value in document["total"].items() if name.endswith("Ratio")} <= {1}
    # A finding that needs a least number may need the longer session.
    assert document["goneSince"] == []
    for found in document["findings"]:
        assert {each["ratio"] for each in found["evidence"] if "ratio" in each} <= {1}, found


def test_a_slower_call_is_told_with_its_ratio() -> None:
    """As a person wants to read it: p99 3.1 times, calls 0.98 times."""
    slow_ns = sum(bucket_bounds(bucket_index(62 * MS))) // 2
    fast_ns = sum(bucket_bounds(bucket_index(20 * MS))) // 2
    before = status(row("fsync", (5 * MS, 900), (fast_ns, 100)), row("read", (1000, 5000)))
    here = status(row("fsync", (5 * MS, 882), (slow_ns, 98)), row("read", (1000, 5000)))

    document = compared(here, before)
    assert call(document, "fsync")["change"].startswith(
        f"p99 {slow_ns / fast_ns:.1f} times, p50 1.0 times, calls 0.98 "
    )
    assert [each["name"] for each in document["calls"] if each["changed"]] == ["fsync"]
    assert document["calls"][0]["name"] == "fsync"
    lines = list(text.lines({"comparison": document}))
    assert any(line.startswith("  fsync: p99 3.") for line in lines)
    assert not any(line.startswith("  read:") for line in lines)
    assert max(map(len, lines)) <= 120


def test_few_calls_are_chance() -> None:
    """29 calls where there were 3 say nothing; 30 do."""
    before = status(row("fsync", (MS, 3)))

    assert not call(compared(status(row("fsync", (MS, 29))), before), "fsync")["changed"]
    assert call(compared(status(row("fsync", (MS, 30))), before), "fsync")["changed"]


def test_a_call_that_only_one_has_is_new_or_gone() -> None:
    """But not where it may have been left out: of a status that was cut, or of other calls that were counted."""
    here, before = status(row("read", (MS, 40))), status(row("write", (MS, 40)))

    document = compared(here, before)
    assert (call(document, "read")["onlyIn"], call(document, "write")["onlyIn"]) == ("session", "baseline")
    assert call(document, "read")["change"] == "new, 4 calls a second"
    many = compared(before, status(row("read", (MS, 196_000))))
    assert call(many, "read")["change"] == "gone, 19,600 calls a second"
    assert compared(here, {**before, "truncated": True})["calls"] == []
    filtered = compared(here, before, syscalls=["write"])
    assert filtered["calls"] == []
    assert any("spec.syscalls" in each for each in filtered["remarks"])


def test_findings_are_new_gone_or_compared() -> None:
    """By the rules that both sessions were judged by."""
    full, storm = row("write", (1000, 100), ENOSPC=7), row("fsync", (MS, 1000))
    document = compared(status(full), status(storm))
    assert (document["newSince"], document["goneSince"]) == (["disk-full"], ["fsync-storm"])

    document = compared(status(storm), status(row("fsync", (MS, 500))))
    (found,) = document["findings"]
    assert found["id"] == "fsync-storm"
    rate = next(each for each in found["evidence"] if each["name"] == "syncsPerSecond")
    assert rate == {"name": "syncsPerSecond", "value": 100, "baselineValue": 50, "ratio": 2}
    assert found["change"].startswith("syncsPerSecond 2.0 times")


def test_counts_of_findings_are_compared_as_rates() -> None:
    """Twice the failures in twice the time are as many."""
    here = status(row("write", (1000, 100), ENOSPC=14), seconds=20)
    (found,) = compared(here, status(row("write", (1000, 100), ENOSPC=7)))["findings"]

    assert found["evidence"] == [{"name": "failedCalls", "value": 14, "baselineValue": 7, "ratio": 1}]


def test_what_was_not_judged_is_neither_new_nor_gone() -> None:
    """It is said instead."""
    storm, quiet = status(row("fsync", (MS, 1000))), status(row("read", (MS, 40)))
    unjudged = {"notJudged": [{"id": "fsync-storm", "needs": "views.files"}]}

    for here, before, words in (
        (storm, {**quiet, **unjudged}, "perhaps not new: fsync-storm"),
        ({**quiet, **unjudged}, storm, "perhaps not gone: fsync-storm"),
        (storm, {name: part for name, part in quiet.items() if name != "findings"}, "perhaps not new: fsync-storm"),
    ):
        document = compared(here, before)
        assert (document["newSince"], document["goneSince"]) == ([], [])
        assert any(words in each for each in document["remarks"])


def test_the_noise_is_the_difference_of_the_halves() -> None:
    """Of the baseline's whole buckets, and what is within it is no change."""
    before = timed(status(row("read", (MS, 400))), 50, 50, 100, 100)
    here = status(row("read", (MS, 760)))

    document = compared(here, before)
    assert document["noise"]["known"]
    assert document["noise"]["callsRatio"] == 2
    assert not document["total"]["changed"]
    assert not call(document, "read")["changed"]
    assert compared(here, status(row("read", (MS, 400))))["total"]["changed"]
    assert compared(status(row("read", (MS, 801))), before)["total"]["changed"]


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (status(row("read", (MS, 9))), "not known, the baseline has no timeline: trace it with views.timeline"),
        (timed(status(row("read", (MS, 9))), 3, 3, 3), "fewer than 4 whole buckets"),
        (timed(status(row("read", (MS, 9))), 0, 0, 4, 5), "one half of the baseline is empty"),
        # Cancelled after ten seconds of forty: one bucket is whole.
        (
            {**timed(status(row("read", (MS, 9))), 9, 0, 0, 0, 0), "timeline": {"bucketNanoseconds": 9_000_000_000}},
            "fewer than 4 whole buckets",
        ),
    ],
)
def test_noise_that_is_not_known_is_said(before: Mapping[str, Any], words: str) -> None:
    """With what to do."""
    noise = compared(status(row("read", (MS, 9))), before)["noise"]

    assert not noise["known"]
    assert words in noise["message"]


def test_the_last_bucket_counts_only_where_it_is_whole() -> None:
    """Of five buckets of 2.1 s a session of 10 s has four whole ones."""
    before = timed(status(row("read", (MS, 400))), 10, 10, 10, 10, 1)
    before["timeline"]["bucketNanoseconds"] = 2_100_000_000

    assert compared(before, before)["noise"]["callsRatio"] == 1


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "BaselineNotFinished"),
        ({"status": {"observedGeneration": -1}}, "BaselineNotFinished"),
        ({"status": {"phase": "Tracing", "startTime": "2026-01-01T00:00:00Z"}}, "BaselineNotFinished"),
        ({"status": {"phase": "Suspended"}}, "BaselineNotFinished"),
        ({"status": {"phase": "Failed"}}, "BaselineHasNoCounts"),
        ({"status": {**status(), "startTime": "yesterday"}}, "BaselineHasNoCounts"),
        ({"status": {**status(), "startTime": "2026-01-01T00:00:00"}}, "BaselineHasNoCounts"),
        ({"status": {**status(), "summary": None}}, "BaselineHasNoCounts"),
    ],
)
def test_a_baseline_that_cannot_be_used_says_why_and_what_to_do(document: dict[str, Any], reason: str) -> None:
    """In the status of the session that names it, whether that one has a result or not."""
    found = baseline.read("before", document)

    assert isinstance(found, Unusable)
    assert found.reason == reason
    shown = status(row("read", (MS, 9)), compared=found)["comparison"]
    assert shown == {"reason": reason, "message": found.message, "baseline": {"name": "before"}}
    assert "compareTo" in shown["message"]
    pending = Progress(Outcome(conditions.PENDING, "Pending", "x"), compared=found)
    assert builder.status(Merged(), pending, now=NOW)["comparison"] == shown


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"target": {"selector": {}}}, "Another kind of target: before traced pods by their labels (selector)"),
        (
            {"target": {"workload": {"kind": "Job", "name": "x"}}},
            "before traced a Job (workload), this session one pod",
        ),
        ({"views": {"timeline": {}, "errors": None}}, "Other views (only in before errors, timeline)"),
        ({"syscalls": ["%file"]}, "Other system calls"),
    ],
)
def test_what_the_two_do_not_have_in_common_is_said(spec: dict[str, Any], words: str) -> None:
    """With what to do; the rest is compared."""
    document = compared(status(row("read", (MS, 40))), status(row("read", (MS, 40))), **spec)

    (remark,) = document["remarks"]
    assert remark.startswith(words) or words in remark
    assert document["reason"] == "Compared"
    assert call(document, "read")["callsRatio"] == 1


def test_a_baseline_of_another_version_is_compared_all_the_same() -> None:
    """What it chose is not known then."""
    document = compared(status(row("read", (MS, 40))), status(row("read", (MS, 40))), weather="fine")

    assert document["remarks"] == []
    assert call(document, "read")["callsRatio"] == 1


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=9), parts, max_size=3),
    max_leaves=8,
)


def damage(document: Any, data: st.DataObject) -> None:
    """Replace one part of a document, at any depth, by anything."""
    keys = sorted(document) if isinstance(document, dict) else range(len(document))
    key = data.draw(st.sampled_from(keys))
    inner = document[key]
    if isinstance(inner, dict | list) and inner and data.draw(st.booleans()):
        damage(inner, data)
    else:
        document[key] = data.draw(ANYTHING)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_whatever_a_file_holds_is_compared_or_refused(data: st.DataObject) -> None:
    """Any parts of a status, at any depth, may be anything."""
    whole = timed(status(row("fsync", (MS, 1000)), row("write", (9, 9), ENOSPC=2)), 9, 9, 9, 9)
    whole["files"] = {"paths": [{"path": "/etc/a", "calls": 100}]}
    whole["blockIO"] = {"devices": [{"device": "vda", "count": 200, "deviceTime": {"p99Nanoseconds": MS}}]}
    for _ in range(data.draw(st.integers(1, 5))):
        damage(whole, data)
    found = baseline.read("before", {"spec": data.draw(ANYTHING), "status": whole})

    if isinstance(found, Baseline):
        here = status(row("fsync", (MS, 1000)), compared=Compared(found, baseline.scope(parse(SPEC))))
        json.dumps(here, allow_nan=False)
        json.dumps(compared(whole, found.status), allow_nan=False)
        assert here["comparison"]["reason"] == "Compared"


def test_rows_of_views_are_compared() -> None:
    """Those that both show, by what names them: a Service has other addresses from time to time."""
    paths = [{"path": "/data/wal", "calls": 100, "errors": 0, "totalNanoseconds": 5}, {"path": "/etc/a", "calls": 9}]
    peers = [
        {"role": "client", "service": "db", "address": address, "port": 5432, "established": 50, "bytesSent": 7}
        for address in ("10.0.0.1", "10.0.0.2")
    ]
    disks = [{"device": "vda", "operation": "flush", "count": 200, "deviceTime": {"p99Nanoseconds": MS}}]
    parts = {"files": {"paths": paths}, "network": {"peers": peers}, "blockIO": {"devices": disks}}
    before = {**status(row("read", (MS, 40))), **parts}
    slower = [{**disks[0], "deviceTime": {"p99Nanoseconds": 3 * MS}}]
    one_peer = [{**peers[0], "address": "10.0.0.9", "established": 98, "bytesSent": 14}]
    here = {**before, "blockIO": {"devices": slower}, "network": {"peers": one_peer}}
    here["files"] = {"paths": [{**paths[0], "calls": 300}, {"path": "/etc/b", "calls": 99}]}

    shown = [(each["view"], each["row"], each["changed"], each["change"]) for each in compared(here, before)["rows"]]
    assert shown == [
        ("blockIO", "vda flush", True, "p99 3.0 times, requests 1.0 times"),
        ("files", "/data/wal", True, "calls 3.0 times, time 1.0 times"),
        ("network", "client db 5432", False, "connections 0.98 times, sent 1.0 times"),
    ]
    lines = list(text.lines({"comparison": compared(here, before)}))
    assert "  blockIO vda flush: p99 3.0 times, requests 1.0 times" in lines
    assert not any(each["changed"] for each in compared(before, before)["rows"])


def test_a_comparison_is_bounded() -> None:
    """Hundreds of calls that changed leave the status below 64 KiB, and its other parts there."""
    here = [row(f"system_call_{number}", (MS, 1000 + number), EIO=9) for number in range(400)]
    before = status(*(row(f"system_call_{number}", (5 * MS, 1000), EIO=9) for number in range(400)))

    document = status(*here, compared=earlier(before))
    assert builder.size(document) <= 64 * 1024
    assert 10 < len(document["comparison"]["calls"]) <= comparing.MOST_ROWS
    assert len(document["summary"]["syscalls"]) > 50
    assert document["report"].count("system_call_") > 10
    assert "Noise: not known" in document["report"]
