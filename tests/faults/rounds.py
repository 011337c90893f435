"""One round: sessions over programs that know their counts, a fault in the middle, and what must hold afterwards."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from signal import SIGUSR1
from typing import Any

import invariants
import leftovers
from faults import BY_NAME
from invariants import NodeLeft, Program
from kubectl import CommandError, Document, Namespace, Session, fresh_namespace, run, until
from rig import SYSTEM, Parts, Place, parts, process
from schedule import NODES, Planned
from workloads import calls_pod

RATE = 200
_CALLS = ("--rate", str(RATE), "getppid=600", "mkdir-eexist=600")
_TARGET = {"selector": {"matchLabels": {"app": "shop"}}}
# The last call comes before the end of a session that began at once.
_WHOLE_SECONDS = 12
_VIEWS = {"slowCalls": {}, "errors": {}, "processes": {}, "files": {}, "network": {}}
# After the fault: for what was started again to be there, and for the sessions to end.
_PATIENCE_SECONDS = 120


@dataclass
class Outcome:
    """What a round came to."""

    planned: Planned
    seconds: float = 0.0
    # Reason of the end of each session.
    reasons: dict[str, str] = field(default_factory=dict)
    calls_made: int = 0
    calls_missing: int = 0
    # How much of the programs' time the session tells as not counted, on both nodes.
    told_seconds: float = 0.0
    gaps: list[str] = field(default_factory=list)
    # What did not hold.
    wrong: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def play(planned: Planned, at_first: Mapping[str, NodeLeft]) -> Outcome:
    """Play one round on a rig that is whole, and see what holds. What cannot be observed is wrong, too."""
    outcome, begun = Outcome(planned), time.monotonic()
    try:
        whole_again()
        with fresh_namespace(f"fault-{planned.index}") as namespace:
            _play(planned, namespace, at_first, outcome)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next round is to be played
        outcome.wrong.append(f"{type(error).__name__}: {error}")
    outcome.seconds = round(time.monotonic() - begun, 1)
    return outcome


def _play(planned: Planned, namespace: Namespace, at_first: Mapping[str, NodeLeft], outcome: Outcome) -> None:
    namespace.apply(*(calls_pod(f"shop-{node}", node, "shop", *_CALLS) for node in NODES))
    namespace.pods_ready("app=shop")
    pids = {node: process(f"shop-{node}", namespace) for node in NODES}
    begun = (_provoke_before if planned.at_start else _provoke_amid)(planned, namespace, pids.values())
    _patiently(lambda: _delete(namespace), "a session is deleted")
    whole, brief = (_finished(Session(namespace, name)) for name in ("whole", "brief"))
    programs = [_program(namespace, node, begun) for node in NODES]
    _judge(outcome, whole, brief, programs)
    outcome.wrong += _deleted(namespace)
    outcome.wrong += _nothing_left(at_first)


def _provoke_amid(planned: Planned, namespace: Namespace, pids: Iterable[int]) -> float:
    """Have the fault while the sessions trace; return when the programs began."""
    _start_sessions(namespace)
    until(lambda: _is_tracing(namespace), "Tracing", _PATIENCE_SECONDS)
    begun = _run_programs(pids)
    time.sleep(planned.delay_seconds)
    with _provoked(planned):
        time.sleep(planned.hold_seconds)
        with suppress(CommandError):
            _delete(namespace)
    return begun


def _provoke_before(planned: Planned, namespace: Namespace, pids: Iterable[int]) -> float:
    """Have the fault when the sessions are created; the programs begin once some node counts."""
    begun = 0.0
    with _provoked(planned):
        _start_sessions(namespace)
        end = time.monotonic() + planned.hold_seconds
        while time.monotonic() < end:
            if not begun and _is_tracing(namespace):
                begun = _run_programs(pids)
            time.sleep(0.25)
        with suppress(CommandError):
            _delete(namespace)
    if not begun:
        until(lambda: _is_tracing(namespace), "Tracing", _PATIENCE_SECONDS)
        begun = _run_programs(pids)
    return begun


def _provoked(planned: Planned) -> AbstractContextManager[None]:
    return BY_NAME[planned.name].provoke(Place(planned.node, parts()))


def _run_programs(pids: Iterable[int]) -> float:
    """Have all make their calls; nobody is asked, as nobody may answer. Return when they began."""
    begun = time.time()
    for pid in pids:
        os.kill(pid, SIGUSR1)
    return begun


def _delete(namespace: Namespace) -> None:
    namespace.kubectl("delete", "tsess", "deleted", "--wait=false", "--ignore-not-found", "--request-timeout=5s")


def _start_sessions(namespace: Namespace) -> None:
    """One is there from before the first call to after the last, one ends meanwhile, one is deleted amid the fault."""
    for name, spec in {
        "whole": {"durationSeconds": _WHOLE_SECONDS},
        "brief": {"durationSeconds": 6, "views": _VIEWS},
        "deleted": {"durationSeconds": 3600, "views": _VIEWS},
    }.items():
        _patiently(lambda name=name, spec=spec: namespace.session(name, _TARGET, **spec), f"{name} is created")


def _is_tracing(namespace: Namespace) -> bool:
    """Tell whether it counts on some node, what the others miss it has to tell; or has ended before."""
    status = _patient(lambda: Session(namespace, "whole").status, {})
    return status.get("phase") in {"Tracing", "Succeeded", "Failed"}


def _finished(session: Session) -> Document:
    """Wait for the end and return the whole object; one that does not end is as it is."""

    def over() -> bool:
        document = _patient(lambda: session.document, {})
        return invariants.condition(document.get("status", {}), "Finished").get("status") == "True"

    try:
        until(over, f"{session.name} is finished", _PATIENCE_SECONDS, every_seconds=0.5)
        # The finalizer goes just after the final status.
        until(lambda: not session.document["metadata"].get("finalizers"), "its finalizer is gone", 10)
    except AssertionError:
        pass
    return session.document


def _program(namespace: Namespace, node: str, begun: float) -> Program:
    """Wait for a program's report of what it did; its line in the log has the time at which it was done."""
    words = ("logs", f"shop-{node}", "--timestamps")
    line = until(lambda: _patient(lambda: namespace.kubectl(*words).strip(), ""), f"shop-{node} is done", 90)
    when, _, report = line.partition(" ")
    counted = json.loads(report)
    return Program(node, counted["calls"], counted["errors"], begun, invariants.seconds(when), RATE)


def _judge(outcome: Outcome, whole: Document, brief: Document, programs: list[Program]) -> None:
    for name, session in (("whole", whole), ("brief", brief)):
        status = session.get("status", {})
        outcome.reasons[name] = invariants.condition(status, "Finished").get("reason", "")
        outcome.wrong += invariants.ended_with_a_reason(name, session)
        outcome.wrong += invariants.never_more_than_the_truth(name, status, programs)
    outcome.wrong += invariants.missing_lies_in_gaps("whole", whole, programs)
    outcome.calls_made = sum(invariants.truth(programs).values())
    outcome.calls_missing = invariants.missing_calls(whole, programs)
    outcome.told_seconds = round(sum(invariants.told_seconds(whole, programs).values()), 2)
    trust = whole.get("status", {}).get("trust", {})
    outcome.gaps = sorted({each["reason"] for each in (*trust.get("gaps", []), *whole["status"].get("failures", []))})


def _deleted(namespace: Namespace) -> list[str]:
    """The session that was deleted amid the fault is gone, with its finalizer."""

    def gone() -> bool:
        listed = _patient(lambda: namespace.kubectl("get", "tsess", "-o", "name"), "deleted")
        return "deleted" not in listed

    try:
        until(gone, "it is gone", 60)
    except AssertionError:
        metadata = Session(namespace, "deleted").document["metadata"]
        return [f"deleted: still there after 60 s, with the finalizers {metadata.get('finalizers')}"]
    return []


def whole_again() -> Parts:
    """Wait until nodes, operator and agents are ready; what was restarted often gets new pods, without a back-off."""
    until(lambda: _patient(_is_whole, False), "the rig is whole", _PATIENCE_SECONDS, every_seconds=0.5)
    for pod in json.loads(SYSTEM.kubectl("get", "pods", "-o", "json"))["items"]:
        if sum(status["restartCount"] for status in pod["status"]["containerStatuses"]) > 1:
            SYSTEM.kubectl("delete", "pod", pod["metadata"]["name"], "--timeout=60s")
    until(lambda: _patient(_is_whole, False), "the rig is whole", _PATIENCE_SECONDS, every_seconds=0.5)
    return parts()


def at_first() -> dict[str, NodeLeft]:
    """Return what the agents hold before the first round, after sessions: views are loaded when first asked for."""
    whole_again()
    outcome = play(Planned(0, "nothing", NODES[0], at_start=False, delay_seconds=0, hold_seconds=0), {})
    if outcome.wrong:
        raise AssertionError(f"wrong without any fault: {'; '.join(outcome.wrong)}")
    return {node: leftovers.left(node, pid) for node, pid in whole_again().agents.items()}


def _is_whole() -> bool:
    nodes = json.loads(run("kubectl", "get", "nodes", "-o", "json"))["items"]
    pods = json.loads(SYSTEM.kubectl("get", "pods", "-o", "json"))["items"]
    going = any(pod["metadata"].get("deletionTimestamp") for pod in pods)
    replicas = SYSTEM.get("deployment", "kubestrace-operator")["spec"]["replicas"]
    return len(pods) == len(NODES) + replicas and not going and all(_is_ready(each) for each in (*nodes, *pods))


def _is_ready(thing: Document) -> bool:
    return invariants.condition(thing["status"], "Ready").get("status") == "True"


def _nothing_left(first: Mapping[str, NodeLeft]) -> list[str]:
    """The agents have let go of everything within a while."""
    found: list[str] = []

    def clean() -> bool:
        agents = parts().agents
        left = [leftovers.left(node, agents[node], first.get(node)) for node in NODES]
        found[:] = [wrong for each in left for wrong in invariants.nothing_is_left(each)]
        return not found

    whole_again()
    try:
        until(clean, "the agents hold nothing", 20, every_seconds=1)
    except AssertionError:
        return found
    return []


def _patient(call: Callable[[], Any], default: Any) -> Any:
    """The answer, or the default while the API server is away."""
    try:
        return call()
    except CommandError:
        return default


def _patiently(call: Callable[[], object], what: str) -> None:
    """Do something as soon as the API server takes it."""

    def done() -> bool:
        try:
            call()
        except CommandError:
            return False
        return True

    until(done, what, _PATIENCE_SECONDS, every_seconds=0.5)
