"""The file of --compare: what it may hold, and what is said of one that holds something else."""

import json
from pathlib import Path
from typing import Any

import pytest

from kubestrace_cli.session_file import baselines, sessions
from kubestrace_operator.comparison.baseline import Compared, Unusable

SESSION = sessions.make(None, {"command": ["shop"]}, duration_seconds=None, syscalls=None)
STATUS = {
    "phase": "Succeeded",
    "startTime": "2026-01-01T00:00:00Z",
    "completionTime": "2026-01-01T00:00:10Z",
    "summary": {"syscalls": []},
}
RESULT = SESSION.document(STATUS)


def write(folder: Path, document: Any) -> Path:
    """Write a file, as JSON unless it is text."""
    file = folder / "before.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return file


@pytest.mark.parametrize("document", [RESULT, {"kind": "List", "items": [RESULT]}])
def test_a_result_of_local_mode_or_of_kubectl_is_taken(tmp_path: Path, document: Any) -> None:
    """Also the list of one that kubectl writes without a name."""
    found = baselines.compared(write(tmp_path, document), SESSION)

    assert isinstance(found, Compared)
    assert found.baseline.name == "before.json"
    assert found.baseline.scope == found.scope


def test_a_session_of_a_cluster_has_another_kind_of_target(tmp_path: Path) -> None:
    """It is compared all the same."""
    document = {"kind": "TraceSession", "spec": {"target": {"podName": "shop-1"}}, "status": STATUS}

    found = baselines.compared(write(tmp_path, document), SESSION)
    assert isinstance(found, Compared)
    assert found.baseline.scope.target != found.scope.target


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\xff\x00", "is not JSON"),
        ("kind: TraceSession\n", "is not JSON"),
        ([], "holds no TraceSession"),
        (7, "holds no TraceSession"),
        ({"kind": "Pod"}, "holds no TraceSession"),
        ({"kind": "List", "items": []}, "holds a list of 0 objects"),
        ({"kind": "List", "items": [RESULT, RESULT]}, "holds a list of 2 objects"),
        ({"kind": "TraceSession", "status": None}, "is not finished"),
        ({"kind": "TraceSession", "status": {"phase": "Tracing"}}, "is not finished"),
        ({"kind": "TraceSession", "status": {"phase": "Failed"}}, "counted nothing"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_another_file_is_refused_in_words(tmp_path: Path, document: Any, words: str) -> None:
    """Before anything is traced; the message names the file."""
    with pytest.raises(sessions.SessionFileError, match=r"before\.json: ") as raised:
        baselines.compared(write(tmp_path, document), SESSION)

    assert words in str(raised.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Not there, a folder, or without an end."""
    for place, words in ((tmp_path / "none", "No such file"), (tmp_path, "directory"), (Path("/dev/zero"), "larger")):
        with pytest.raises(sessions.SessionFileError, match=words):
            baselines.compared(place, SESSION)


def test_the_session_that_a_file_names_is_in_a_cluster(tmp_path: Path) -> None:
    """Local mode says how to have it; the result still names it."""
    file = tmp_path / "session.yaml"
    file.write_text(
        "{apiVersion: kubestrace.io/v1alpha1, kind: TraceSession, spec: {target: {podName: a}, compareTo: healthy}}"
    )
    session = sessions.make(file, {"pid": 1}, duration_seconds=1, syscalls=None)

    found = baselines.compared(None, session)
    assert isinstance(found, Unusable)
    assert "kubectl get tsess healthy -o json" in found.message
    assert session.document({})["spec"]["compareTo"] == "healthy"
    assert baselines.compared(None, SESSION) is None
