"""The health script in docs/how-to/gitops.md, run by Lua (Argo CD's own speaks Lua 5.1)."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml
from rendering import ROOT

PAGE = ROOT / "docs" / "how-to" / "gitops.md"
KEY = "resource.customizations.health.kubestrace.io_"


def script(kind: str) -> str:
    """Return the script as a reader would put it into argocd-cm."""
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return yaml.safe_load(block)["data"][KEY + kind]


def health(status: dict[str, Any] | None, kind: str = "TraceSession") -> tuple[str, str]:
    """Run the script on an object of generation 2 and return its word and its message."""
    session = {"metadata": {"generation": 2}, **({} if status is None else {"status": status})}
    program = f"""
        obj = {_lua(session)}
        local function check() {script(kind)} end
        local health = check()
        print(health.status) print(health.message)
    """
    done = subprocess.run(["lua5.1", "-"], input=program, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    word, message = done.stdout.splitlines()
    return word, message


def conditions(finished: str, succeeded: str, reason: str) -> dict[str, Any]:
    """Return a status with the two conditions that count, among others."""
    words = {"reason": reason, "message": f"{reason} it is."}
    return {
        "observedGeneration": 2,
        "conditions": [
            {"type": "DataComplete", "status": "True", "reason": "Complete", "message": "Everything was counted."},
            {"type": "Finished", "status": finished, **words},
            {"type": "Succeeded", "status": succeeded, **words},
        ],
    }


@pytest.mark.parametrize(
    "status",
    [None, {"observedGeneration": -1}, {**conditions("True", "True", "Completed"), "observedGeneration": 1}],
    ids=["no status", "the schema's default", "a status of an earlier generation"],
)
def test_a_session_that_nobody_has_seen_progresses(status: dict[str, Any] | None) -> None:
    """Argo CD waits instead of calling it healthy."""
    assert health(status) == ("Progressing", "The operator has not seen this session yet.")


def test_a_suspended_session_is_suspended() -> None:
    """Argo CD has a word for what waits for somebody."""
    held = {**conditions("False", "Unknown", "Suspended"), "phase": "Suspended"}

    assert health(held) == ("Suspended", "Suspended: Suspended it is.")


@pytest.mark.parametrize(
    ("status", "word", "message"),
    [
        (conditions("False", "Unknown", "NoMatchingPods"), "Progressing", "NoMatchingPods: NoMatchingPods it is."),
        (conditions("True", "True", "Completed"), "Healthy", "Completed: Completed it is."),
        (conditions("True", "True", "PartiallyCompleted"), "Healthy", "PartiallyCompleted: PartiallyCompleted it is."),
        (conditions("True", "False", "Cancelled"), "Healthy", "Cancelled: Cancelled it is."),
        (conditions("True", "False", "AgentUnavailable"), "Degraded", "AgentUnavailable: AgentUnavailable it is."),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_health_is_the_conditions(status: dict[str, Any], word: str, message: str) -> None:
    """Progressing while it runs, healthy after success or a wanted end, degraded after a failure."""
    assert health(status) == (word, message)


def ready(status: str, reason: str, generation: int = 2) -> dict[str, Any]:
    """Return a schedule's status."""
    condition = {"type": "Ready", "status": status, "reason": reason, "message": "It is so."}
    return {"observedGeneration": generation, "conditions": [condition]}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"observedGeneration": -1}, "Progressing"),
        (ready("True", "Active", generation=1), "Progressing"),
        (ready("True", "Active"), "Healthy"),
        (ready("True", "ScheduleSuspended"), "Suspended"),
        (ready("False", "InvalidSpec"), "Degraded"),
        (ready("False", "SessionRefused"), "Degraded"),
    ],
    ids=str,
)
def test_the_health_of_a_schedule(status: dict[str, Any], word: str) -> None:
    """By its condition Ready."""
    assert health(status, "TraceSchedule")[0] == word


def _lua(value: Any) -> str:
    """Return a value as Lua writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{json.dumps(key)}] = {_lua(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(_lua, value)) + "}"
    return json.dumps(value)
