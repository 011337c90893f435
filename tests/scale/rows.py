"""The rows of the scale table that need the whole fleet: what is done, and what is measured."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from cluster import PODS, at_once
from fleet import GROUP_PODS, NAMESPACES, Fleet
from observer import FINISHED, Phases, Usage, beside, operator_usage, percentile, watched_phases
from simulated_nodes import pod_document

_SECONDS = 30
# In which all sessions are created.
_CREATED_WITHIN = 60
# Of pods: each replacement is three of them, the new pod, its start, and the end of the old one.
_CHANGES_PER_MINUTE = 10_000
_CHANGES_OF_A_POD = 3
_POD_LIFE_SECONDS = 5.0
_WAIT_SECONDS = 240
Figures = dict[str, Any]


async def half_as_many_sessions(fleet: Fleet) -> Figures:
    """Do the same with half as many sessions, in the same cluster."""
    return await many_sessions(fleet, fleet.size.sessions // 2)


async def many_sessions(fleet: Fleet, count: int = 0) -> Figures:
    """Create the sessions one after the other within a minute, each of five pods on five nodes."""
    count = count or fleet.size.sessions
    uids: dict[str, str] = {}
    created: dict[str, float] = {}

    async def create(number: int, begun: float) -> None:
        await asyncio.sleep(begun + number * _CREATED_WITHIN / count - time.monotonic())
        name = f"many-{number}"
        created[name] = time.time()
        uids[name] = await fleet.session(name, number % (fleet.size.pods // GROUP_PODS), _SECONDS)

    async with watched_phases(fleet.scale) as phases:
        async with operator_usage(fleet.scale) as usage:
            begun = time.monotonic()
            await asyncio.gather(*(create(number, begun) for number in range(count)))
            taken = time.monotonic() - begun
            await phases.all_in(created, FINISHED, _SECONDS + _WAIT_SECONDS)
        # To list all of them costs the API server as much as a hundred sessions.
        figures = await _results(fleet, uids, phases, _SECONDS)
    late = [seen - created[name] for name in created if (seen := phases.at(name, ("Tracing", *FINISHED)))]
    return {
        "sessions": count,
        "created_within_seconds": round(taken, 1),
        **_spread("tracing", late),
        **figures,
    } | _used(usage, count)


async def _results(fleet: Fleet, uids: Mapping[str, str], phases: Phases, seconds: int) -> Figures:
    """Return how late the final statuses were, how many say that they lack a report, and how many are wrong."""
    statuses, counted = await fleet.statuses(), await fleet.counted()
    late, wrong, partial, failed = [], 0, 0, 0
    for name, uid in uids.items():
        status, seen = statuses[uid], phases.at(name, FINISHED)
        if status["phase"] != "Succeeded" or seen is None:
            failed += 1
            continue
        late.append(seen - datetime.fromisoformat(status["startTime"]).timestamp() - seconds)
        if _reason(status) == "PartiallyCompleted":
            partial += 1
        else:
            wrong += status["summary"]["calls"] != counted.get(uid)
    return {**_spread("final", late), "failed": failed, "results_in_part": partial, "results_with_wrong_counts": wrong}


def _reason(status: Mapping[str, Any]) -> str:
    return next(str(each["reason"]) for each in status["conditions"] if each["type"] == "Finished")


def _spread(what: str, values: list[float]) -> Figures:
    shares = {"median": 0.5, "p99": 0.99, "longest": 1.0}
    return {f"{what}_{name}_seconds": round(percentile(values, share), 2) for name, share in shares.items() if values}


def _used(usage: Usage, sessions: int) -> Figures:
    return {
        "operator_cpu_seconds": round(usage.cpu_seconds, 1),
        "cpu_seconds_of": dict(sorted(usage.cpu_of.items(), key=lambda each: -each[1])),
        "operator_most_memory_mib": round(usage.most_memory),
        "writes_per_session": round(sum(usage.writes.values()) / sessions, 2),
        "load": usage.load,
    }


async def sessions_and_changes(fleet: Fleet) -> Figures:
    """Do the same with half as many sessions while pods are replaced in the same namespaces."""
    async with changing_pods(fleet) as changes:
        begun = time.monotonic()
        figures = await half_as_many_sessions(fleet)
        minutes = (time.monotonic() - begun) / 60
    return {**figures, "pod_changes_per_minute": round(sum(changes) / minutes)}


@asynccontextmanager
async def changing_pods(fleet: Fleet) -> AsyncIterator[list[int]]:
    """Replace pods; yields a list that grows by how often each that is gone had changed."""
    changes: list[int] = []
    async with beside(_replace_pods(fleet, changes)):
        yield changes


async def _replace_pods(fleet: Fleet, changes: list[int]) -> None:
    pause = 60 * _CHANGES_OF_A_POD / _CHANGES_PER_MINUTE
    begun, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while True:
            number += 1
            await asyncio.sleep(begun + number * pause - time.monotonic())
            group.create_task(_live(fleet, number, changes))


async def _live(fleet: Fleet, number: int, changes: list[int]) -> None:
    """Let a pod come, run and go."""
    path = PODS.replace("/shop/", f"/{NAMESPACES[number % len(NAMESPACES)]}/")
    name, node = f"brief-{number}", f"node-{number % fleet.size.agents}"
    await fleet.scale.create(path, pod_document(name, node, {"app": "brief"}, "10.0.0.2"))
    await asyncio.sleep(_POD_LIFE_SECONDS)
    gone = await fleet.scale.send("DELETE", f"{path}/{name}?gracePeriodSeconds=0")
    ran = (gone.get("status") or {}).get("phase") == "Running"
    changes.append(_CHANGES_OF_A_POD if ran else _CHANGES_OF_A_POD - 1)


async def one_session(fleet: Fleet) -> Figures:
    """Count what a session of 30 s with events writes."""
    async with watched_phases(fleet.scale) as phases, operator_usage(fleet.scale) as usage:
        await fleet.session("alone", 0, _SECONDS)
        await phases.all_in(["alone"], FINISHED, _SECONDS + _WAIT_SECONDS)
        # Its last event and the finalizer go in the background.
        await asyncio.sleep(3)
    return {"writes": sum(usage.writes.values()), "writes_by_kind": dict(sorted(usage.writes.items()))}


async def wide_session(fleet: Fleet) -> Figures:
    """Trace a pod on every node."""
    async with watched_phases(fleet.scale) as phases, operator_usage(fleet.scale) as usage:
        begun = time.time()
        uid = await fleet.wide_session("wide", _SECONDS)
        await phases.all_in(["wide"], FINISHED, _SECONDS + _WAIT_SECONDS)
        figures = await _results(fleet, {"wide": uid}, phases, _SECONDS)
    tracing = phases.at("wide", ("Tracing",))
    return {
        "nodes": fleet.size.agents,
        "tracing_seconds": round((tracing or 0) - begun, 2),
        "final_seconds": figures["final_longest_seconds"],
        **{name: figures[name] for name in ("failed", "results_in_part", "results_with_wrong_counts")},
        "operator_cpu_seconds": round(usage.cpu_seconds, 1),
        "operator_most_memory_mib": round(usage.most_memory),
        "load": usage.load,
    }


async def restarted_operator(fleet: Fleet) -> Figures:
    """Kill the operator while half of the sessions run, and one on all nodes, and start another."""
    count = fleet.size.sessions // 2
    uids: dict[str, str] = {}

    async def create(number: int) -> None:
        uids[f"held-{number}"] = await fleet.session(f"held-{number}", number, 2 * _SECONDS)

    async with watched_phases(fleet.scale) as phases:
        uids["wide"] = await fleet.wide_session("wide", 2 * _SECONDS)
        await at_once(map(create, range(count)), most=8)
        await phases.all_in(uids, ("Tracing",), 2 * _SECONDS)
        streams = sum(map(len, (await fleet.watching()).values()))
        fleet.scale.stop_operator(signal.SIGKILL)
        started = fleet.scale.start_operator()
        taken_up = await _taken_up(fleet, uids.values(), started, streams)
        await phases.all_in(uids, FINISHED, 2 * _SECONDS + _WAIT_SECONDS)
        figures = await _results(fleet, uids, phases, 2 * _SECONDS)
    return {"sessions": len(uids), "traces_on_nodes": streams, "taken_up_seconds": taken_up, **figures}


async def _taken_up(fleet: Fleet, uids: Iterable[str], started: float, streams: int) -> float | None:
    """Return after how many seconds the last stream was opened anew; None: some were not."""
    wanted, deadline = set(uids), time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        found = [at for uid, opened in (await fleet.watching()).items() if uid in wanted for at in opened]
        if sum(at > started for at in found) >= streams:
            return round(max(found) - started, 2)
        await asyncio.sleep(0.5)
    return None
