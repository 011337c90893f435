"""`kubestrace seccomp` from outside: what is a file, what kubectl is asked for, and what is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from kubestrace_cli.local import options as words
from kubestrace_cli.main import main


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def session(*names: str, **metadata: str) -> dict[str, Any]:
    """Return a session that saw some calls."""
    status = {"summary": {"syscallNames": list(names), "architectures": ["x86_64"]}, "containers": []}
    return {"kind": "TraceSession", "metadata": {"name": "local", **metadata}, "spec": {}, "status": status}


def install_kubectl(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: object, exit_code: int = 0) -> Path:
    """Put a kubectl in place that answers so; returns the file with what it was asked."""
    asked = folder / "asked"
    (folder / "answer").write_text(json.dumps(answer))
    program = folder / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" > {asked}\n[ {exit_code} = 0 ] || echo "Error: not found" >&2\n'
        f"cat {folder}/answer\nexit {exit_code}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return asked


def test_files_and_sessions_are_told_apart(tmp_path: Path) -> None:
    """By a slash, an ending, or a file that is there; tsess/ is always a session."""
    (tmp_path / "result").touch()

    chosen = words.parse(["seccomp", "web", "a.json", "./b", "result", "tsess/result", "-", "-n", "shop"])

    assert (chosen.sessions, chosen.paths, chosen.namespace) == (
        ("web", "result"),
        ("a.json", "./b", "result", "-"),
        "shop",
    )
    assert (chosen.format, chosen.default_action) == ("oci", "errno")


def test_the_profile_is_alone_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it rests on goes to standard error."""
    (tmp_path / "a.json").write_text(json.dumps(session("read", "mkdir")))
    (tmp_path / "b.yaml").write_text("kind: List\nitems:\n- " + json.dumps(session("rmdir")))

    assert main(["seccomp", "a.json", "b.yaml"]) == 0

    said = capsys.readouterr()
    assert json.loads(said.out)["syscalls"][0]["names"] == ["mkdir", "read", "rmdir"]
    assert "3 system calls of local (a.json), local (b.yaml)" in said.err
    assert "Not seen, allowed for the container runtime" in said.err


def test_sessions_are_read_by_kubectl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All in one request, with its kubeconfig."""
    both = {"kind": "List", "items": [session("read", namespace="shop", name=name) for name in ("one", "two")]}
    asked = install_kubectl(tmp_path, monkeypatch, both)

    assert main(["seccomp", "one", "two", "-n", "shop", "--format", "profile", "--default-action", "log"]) == 0

    assert asked.read_text().split()[:6] == ["get", "tracesessions.kubestrace.io", "one", "two", "--namespace", "shop"]
    said = capsys.readouterr()
    assert 'name: "one"\n  namespace: "shop"' in said.out
    assert "defaultAction: SCMP_ACT_LOG" in said.out
    assert "shop/one, shop/two" in said.err


def test_what_kubectl_says_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is written that looks like a profile."""
    install_kubectl(tmp_path, monkeypatch, {}, exit_code=1)

    assert main(["seccomp", "web"]) == 1

    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "kubestrace seccomp: kubectl cannot read web: Error: not found\n")


def test_without_kubectl_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files need none."""
    monkeypatch.setenv("PATH", "/nowhere")

    assert main(["seccomp", "web"]) == 1
    assert "kubectl is not installed here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "is empty"),
        ("{", "is not valid JSON"),
        ("a: [", "is not valid YAML"),
        ("[]", "is not a TraceSession"),
        (json.dumps(session()), "no system call was seen"),
    ],
)
def test_a_file_of_no_use_is_refused(
    text: str | None, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line that says why."""
    if text is not None:
        (tmp_path / "a.json").write_text(text)

    assert main(["seccomp", "./a.json"]) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert why in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "wrong", [["seccomp"], ["seccomp", "a", "--format", "x"], ["seccomp", "a", "--", "b"], ["seccomp", "a", "-x"]]
)
def test_wrong_words_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As everywhere: one line, exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(wrong)

    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
