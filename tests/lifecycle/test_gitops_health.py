"""Real sessions, with the statuses that the operator wrote, judged by the code of Flux and of Argo CD.

Flux's kustomize-controller decides by the kstatus library, Argo CD runs docs/how-to/gitops.md's script in gopher-lua.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, Namespace, eventually
from test_gitops import script

# A session, how far it comes, and what Flux and Argo CD make of it.
CASES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "pending": ({"app": "nobody"}, "Pending", "InProgress", "Progressing"),
    "tracing": ({}, "Tracing", "InProgress", "Progressing"),
    "suspended": ({"suspend": True}, "Suspended", "Current", "Suspended"),
    "succeeded": ({"seconds": 1}, "Succeeded", "Current", "Healthy"),
    "failed": ({"seconds": 1, "app": "nobody"}, "Failed", "Failed", "Degraded"),
    "cancelled": ({"cancel": True}, "Cancelled", "Current", "Healthy"),
}


@pytest.fixture(scope="session")
def program() -> Path:
    """Return the program, which Go builds once."""
    built = subprocess.run(
        [Path(__file__).parent / "health" / "build"], check=True, capture_output=True, text=True, timeout=600
    )
    return Path(built.stdout.strip())


def judged(program: Path, folder: Path, objects: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return what both make of some objects."""
    lua = folder / "health.lua"
    lua.write_text(script("TraceSession"))
    given = json.dumps(objects)
    done = subprocess.run([program, lua], input=given, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def test_what_they_make_of_real_sessions(program: Path, namespace: Namespace, tmp_path: Path) -> None:
    """In each phase, with the words of the operator."""
    for name, (spec, phase, _, _) in CASES.items():
        namespace.session(name, **spec)
        namespace.reach(name, phase)
    objects = [namespace.get(name) for name in CASES]
    found = dict(zip(CASES, judged(program, tmp_path, objects), strict=True))

    assert {name: (each["flux"], each["argo"]) for name, each in found.items()} == {
        name: (flux, argo) for name, (_, _, flux, argo) in CASES.items()
    }
    assert "NoMatchingPods" in found["failed"]["argoMessage"]
    assert found["failed"]["fluxMessage"]


def test_a_session_that_no_operator_has_seen(program: Path, lab: Lab, namespace: Namespace, tmp_path: Path) -> None:
    """Neither calls it done."""
    lab.kill_operator()
    namespace.session("unseen", 1)
    unseen = namespace.get("unseen")
    lab.start_operator()

    (found,) = judged(program, tmp_path, [unseen])

    assert (found["flux"], found["argo"]) == ("InProgress", "Progressing")


def test_a_change_after_the_end_is_taken_up(program: Path, namespace: Namespace, tmp_path: Path) -> None:
    """A new generation of a finished session must not leave a tool waiting for ever."""
    namespace.session("done", 1)
    namespace.reach("done", "Succeeded")
    namespace.set("done", ttlSecondsAfterFinished=3600)

    def health() -> tuple[str, str]:
        (found,) = judged(program, tmp_path, [namespace.get("done")])
        return found["flux"], found["argo"]

    assert eventually(lambda: health() == ("Current", "Healthy"), 90)


@pytest.mark.parametrize("suspend", [False, True])
def test_what_is_made_while_they_watch(program: Path, namespace: Namespace, tmp_path: Path, suspend: bool) -> None:
    """From the first look to the end: never healthy before it has ended, never degraded."""
    namespace.session("watched", 1, suspend=suspend)
    if suspend:
        namespace.reach("watched", "Suspended")
        namespace.set("watched", suspend=False)
    seen: list[dict[str, Any]] = []

    def ended() -> bool:
        seen.append(namespace.get("watched"))
        return bool(seen[-1].get("status", {}).get("phase") == "Succeeded")

    assert eventually(ended, 90)
    found = [(each["flux"], each["argo"]) for each in judged(program, tmp_path, seen)]
    assert set(found[:-1]) <= {("InProgress", "Progressing")}
    assert found[-1] == ("Current", "Healthy")
