"""The session of a local trace: file, command line and defaults, and the document at the end."""

import io
from pathlib import Path
from typing import Any

import pytest

from kubestrace_cli.session_file import sessions
from kubestrace_operator.views import registry
from kubestrace_operator.views.profiles import Profile
from kubestrace_operator.views.view import Span, View

FILE = """\
apiVersion: kubestrace.io/v1alpha1
kind: TraceSession
metadata: {name: slow-checkout, namespace: shop, labels: {team: a}}
spec:
  target: {podName: checkout-6d5f, containers: [app]}
  durationSeconds: 7
  syscalls: ["%file", "!stat"]
"""
COMMAND = {"command": ["ls"]}


def written(folder: Path, text: str) -> Path:
    """Write a session's file."""
    path = folder / "session.yaml"
    path.write_text(text)
    return path


def made(file: Path | None, target: dict[str, object] | None = None) -> sessions.Session:
    """Make a session with nothing but a target on the command line."""
    return sessions.make(file, target or COMMAND, duration_seconds=None, syscalls=None)


def problems(folder: Path, text: str) -> str:
    """Return what is said of a file that cannot be used."""
    with pytest.raises(sessions.SessionFileError) as refused:
        made(written(folder, text))
    return str(refused.value)


def test_a_files_session_holds_and_an_annotation_says_what_was_traced(tmp_path: Path) -> None:
    """The document is the file's, which a cluster takes; what the command line named stands beside it."""
    session = made(written(tmp_path, FILE))

    assert session.document({"phase": "Succeeded"}) == {
        "apiVersion": "kubestrace.io/v1alpha1",
        "kind": "TraceSession",
        "metadata": {
            "name": "slow-checkout",
            "namespace": "shop",
            "labels": {"team": "a"},
            "annotations": {"kubestrace.io/local-target": '{"command": ["ls"]}'},
        },
        "spec": {
            "target": {"podName": "checkout-6d5f", "containers": ["app"]},
            "durationSeconds": 7,
            "syscalls": ["%file", "!stat"],
        },
        "status": {"phase": "Succeeded"},
    }
    assert session.name == "shop/slow-checkout"


def test_the_command_line_holds_before_the_file(tmp_path: Path) -> None:
    """-d and -e replace the file's durationSeconds and syscalls."""
    session = sessions.make(written(tmp_path, FILE), COMMAND, duration_seconds=2, syscalls=("read",))

    assert (session.duration_seconds, session.syscalls) == (2, ("read",))


def test_without_a_file_a_command_has_no_duration_and_others_have_the_default() -> None:
    """COMMAND is traced until it ends; a process, cgroup or container for 30 seconds."""
    assert made(None).duration_seconds is None
    assert made(None, {"pid": 1}).duration_seconds == 30
    assert made(None).document({})["spec"] == {"target": {"podName": "local"}}


def test_a_file_without_a_target_is_fine(tmp_path: Path) -> None:
    """The command line names the target, so the file need not."""
    text = "apiVersion: kubestrace.io/v1alpha1\nkind: TraceSession\nspec: {syscalls: [read]}"
    session = made(written(tmp_path, text))

    assert session.syscalls == ("read",)
    assert session.name == "local"


def test_the_one_session_among_other_resources_is_taken(tmp_path: Path) -> None:
    """A file may hold the workload as well, as examples do."""
    session = made(written(tmp_path, f"kind: Deployment\n---\n{FILE}---\n"))

    assert session.duration_seconds == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{FILE}---\n{FILE}", "must hold one TraceSession, but holds 2"),
        ("kind: Pod", "must hold one TraceSession, but holds none"),
        ("a: [", "is not valid YAML"),
        (FILE.replace("v1alpha1", "v9"), "apiVersion is 'kubestrace.io/v9', not 'kubestrace.io/v1alpha1'"),
        (FILE.replace("durationSeconds: 7", "durationSeconds: 7200"), "spec.durationSeconds is 7200"),
        (FILE.replace("durationSeconds", "duration"), "spec.duration is not a field"),
        (FILE + "  cancel: true\n", "spec.cancel is true"),
        (FILE + "  suspend: true\n", "spec.suspend is true"),
        ("kind: TraceSession\napiVersion: kubestrace.io/v1alpha1\nspec: []\nmetadata: x", "metadata is not a mapping"),
        (f"{FILE.split('spec', maxsplit=1)[0]}spec: []", "spec is not a mapping"),
        (FILE + "stats: 1\n", "stats is not a field; there are apiVersion, kind, metadata, spec, status"),
        (FILE.replace("labels: {team: a}", "label: {}"), "metadata.label is not a field"),
        (FILE.replace("labels: {team: a}", "annotations: x"), "metadata.annotations must be a mapping, not 'x'"),
        (FILE.replace("labels: {team: a}", "annotations: [a]"), "metadata.annotations must be a mapping, not ['a']"),
        (FILE.replace("labels: {team: a}", "labels: []"), "metadata.labels must be a mapping, not []"),
        (FILE.replace("team: a", "team: 1"), "metadata.labels.team must be a string, not 1: put it in quotes"),
        (FILE.replace("name: slow-checkout", "name: A B"), "metadata.name is 'A B', which is not a name in Kubernetes"),
        (FILE.replace("name: slow-checkout", "name: a..b"), "metadata.name is 'a..b', which is not a name"),
        (FILE.replace("name: slow-checkout", 'name: "a\\n"'), "metadata.name is 'a\\n', which is not a name"),
        (FILE.replace("name: slow-checkout", f"name: {'a' * 254}"), "which is not a name in Kubernetes (at most 253"),
        (
            FILE.replace("namespace: shop", "namespace: a.b"),
            "metadata.namespace is 'a.b', which is not a namespace's name",
        ),
        (FILE.replace("name: slow-checkout", "name: 5"), "metadata.name must be a string, not 5: put it in quotes"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, text: str, said: str) -> None:
    """Every refusal begins with the file and says what is wrong."""
    assert said in problems(tmp_path, text)
    assert problems(tmp_path, text).startswith(str(tmp_path / "session.yaml"))


@pytest.mark.parametrize("name", ["a.b-c.0", "a" * 253, '""'])
def test_a_name_that_the_api_server_takes_is_kept(tmp_path: Path, name: str) -> None:
    """One that is empty counts as left out, as beside generateName."""
    session = made(written(tmp_path, FILE.replace("name: slow-checkout", f"name: {name}")))

    assert session.metadata["name"] == name.strip('"')


def test_a_missing_file_is_named() -> None:
    """A file that is not there is refused with the system's reason."""
    with pytest.raises(sessions.SessionFileError, match=r"/nowhere/s.yaml: cannot be read: No such file"):
        made(Path("/nowhere/s.yaml"))


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """As kubectl has it; what is wrong there is told of standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(FILE))
    session = made(Path("-"))
    monkeypatch.setattr("sys.stdin", io.StringIO("kind: Pod"))

    assert session.name == "shop/slow-checkout"
    with pytest.raises(sessions.SessionFileError, match=r"^standard input: must hold one TraceSession, but holds none"):
        made(Path("-"))


@pytest.mark.parametrize("endless", ["/dev/zero", "-"])
def test_what_has_no_end_is_read_up_to_a_limit(endless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device gives bytes as long as somebody takes them."""
    with Path("/dev/zero").open(encoding="utf-8") as zeros:
        monkeypatch.setattr("sys.stdin", zeros)
        with pytest.raises(sessions.SessionFileError, match=r"^(standard input|/dev/zero): is larger than 3 MiB$"):
            made(Path(endless))


def test_a_closed_standard_input_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-f - <&-` is refused as a missing file is."""
    monkeypatch.setattr("sys.stdin", None)

    with pytest.raises(sessions.SessionFileError, match=r"^standard input: is closed$"):
        made(Path("-"))


def test_slow_calls_of_the_file_and_of_the_command_line(tmp_path: Path) -> None:
    """--slow replaces the file's threshold and keeps its limit; the document says what held."""
    asked = FILE.replace("spec:", "spec:\n  views: {slowCalls: {thresholdMilliseconds: 3, limit: 7}}", 1)
    of_file = made(written(tmp_path, asked))
    both = sessions.make(
        written(tmp_path, asked),
        COMMAND,
        duration_seconds=None,
        syscalls=None,
        views={"slowCalls": {"thresholdMilliseconds": 20}},
    )
    alone = sessions.make(
        None, COMMAND, duration_seconds=None, syscalls=None, views={"slowCalls": {"thresholdMilliseconds": 20}}
    )

    assert of_file.document({})["spec"]["views"] == {"slowCalls": {"thresholdMilliseconds": 3, "limit": 7}}
    assert both.document({})["spec"]["views"] == {"slowCalls": {"thresholdMilliseconds": 20, "limit": 7}}
    assert alone.document({})["spec"]["views"] == {"slowCalls": {"thresholdMilliseconds": 20, "limit": 50}}
    assert "views" not in made(None).document({})["spec"]


def test_cpu_time_of_the_file_or_of_the_command_line(tmp_path: Path) -> None:
    """Either turns it on; the document says so."""
    asked = FILE.replace("spec:", "spec:\n  views: {cpuTime: {}}", 1)
    of_file = made(written(tmp_path, asked))
    alone = sessions.make(None, COMMAND, duration_seconds=None, syscalls=None, views={"cpuTime": {}})

    assert of_file.document({})["spec"]["views"] == alone.document({})["spec"]["views"] == {"cpuTime": {}}
    assert registry.requests(of_file.views, Span(0)).keys() == {"resources", "counters", "cpuTime"}
    assert registry.requests(made(None).views, Span(0)).keys() == {"resources", "counters"}


def test_a_profile_of_the_file_or_of_the_command_line(tmp_path: Path) -> None:
    """The command line's is taken; the document says the profile and what differs from it."""
    asked = written(tmp_path, FILE.replace("spec:", "spec:\n  profile: CPU\n  views: {cpuTime: {enabled: false}}", 1))

    of_file = made(asked)
    of_both = sessions.make(asked, COMMAND, duration_seconds=None, syscalls=None, profile=Profile.FILES)
    again = sessions.make(
        asked, COMMAND, duration_seconds=None, syscalls=None, views={"cpuTime": {"enabled": True}, "files": {"top": 2}}
    )

    assert of_file.views.keys() == {"counters", "locks", "processes"}
    assert of_file.document({})["spec"] | {"target": 0} == {
        "target": 0,
        "durationSeconds": 7,
        "syscalls": ["%file", "!stat"],
        "profile": "CPU",
        "views": {"cpuTime": {"enabled": False}},
    }
    assert of_both.document({})["spec"]["profile"] == "Files"
    assert of_both.views.keys() == {"counters", "errors", "files"}
    assert again.document({})["spec"]["views"] == {"files": {"top": 2}}
    assert "profile" not in made(None).document({})["spec"]


@pytest.mark.parametrize("profile", [Profile.STORAGE, Profile.EVERYTHING])
def test_a_field_of_a_view_that_the_profile_has_needs_no_other_flag(profile: Profile) -> None:
    """As where the session's file turns it on."""
    stacks = {"slowCalls": {"stacks": True}}

    session = sessions.make(None, COMMAND, duration_seconds=None, syscalls=None, profile=profile, views=stacks)

    slow = {"thresholdMilliseconds": 10, "limit": 50, "stacks": True}
    assert session.document({})["spec"]["views"] == {"slowCalls": slow}


def test_patterns_of_the_file_and_of_the_command_line(tmp_path: Path) -> None:
    """Both hold: who adds one does not take the file's away."""
    asked = written(tmp_path, FILE.replace("spec:", 'spec:\n  redact: ["*/secrets/*"]', 1))

    both = sessions.make(asked, COMMAND, duration_seconds=None, syscalls=None, redact=("*.key",))

    assert both.redact == ("*/secrets/*", "*.key")
    assert both.document({})["spec"]["redact"] == ["*/secrets/*", "*.key"]
    assert "redact" not in made(None).document({})["spec"]
    with pytest.raises(sessions.SessionFileError, match=r"^the command line: spec.redact\[0\] is"):
        sessions.make(None, COMMAND, duration_seconds=None, syscalls=None, redact=("a\nb",))


def test_stacks_need_slow_calls(tmp_path: Path) -> None:
    """Those of the file or of the command line; alone they are refused."""
    asked = FILE.replace("spec:", "spec:\n  views: {slowCalls: {thresholdMilliseconds: 3}}", 1)
    of_file = sessions.make(
        written(tmp_path, asked), COMMAND, duration_seconds=None, syscalls=None, views={"slowCalls": {"stacks": True}}
    )

    slow = of_file.document({})["spec"]["views"]["slowCalls"]
    assert slow == {"thresholdMilliseconds": 3, "limit": 50, "stacks": True}
    with pytest.raises(sessions.SessionFileError, match="--stacks needs slow calls: add --slow MILLISECONDS"):
        sessions.make(None, COMMAND, duration_seconds=None, syscalls=None, views={"slowCalls": {"stacks": True}})


@pytest.mark.parametrize("view", registry.CHOOSABLE, ids=lambda view: view.name)
def test_a_view_with_nothing_behind_it_is_on(tmp_path: Path, view: View[Any, Any, Any]) -> None:
    """`errors:` is null in YAML, as for a cluster; `enabled: false` takes the view out, a flag puts it back."""

    def views(words: str, flags: dict[str, Any]) -> Any:
        asked = f"spec:\n  profile: Counts\n  views: {{{view.name}: {words}}}"
        file = written(tmp_path, FILE.replace("spec:", asked, 1))
        session = sessions.make(file, COMMAND, duration_seconds=None, syscalls=None, views=flags)
        return session.document({})["spec"].get("views")

    on = views("", {})
    (flag, *_) = view.flags

    assert on.keys() == {view.name}
    assert views("{}", {}) == views("{enabled: true}", {}) == on
    assert views("{enabled: false}", {}) is None
    field = {flag.field: flag.bounds[0]} if flag.field else {}
    assert views("{enabled: false}", {view.name: field}).keys() == {view.name}


def test_a_wrong_view_of_the_file_is_named_beside_a_flag(tmp_path: Path) -> None:
    """A flag does not hide what is wrong in the file."""
    file = written(tmp_path, FILE.replace("spec:", "spec:\n  views: {processes: 3}", 1))

    with pytest.raises(sessions.SessionFileError, match=r"spec.views.processes must be a mapping, not 3"):
        sessions.make(file, COMMAND, duration_seconds=None, syscalls=None, views={"processes": {"top": 2}})


def test_buckets_fit_into_the_duration_of_the_command_line(tmp_path: Path) -> None:
    """-d may have made it shorter than the file's; without a number of buckets there are as many as fit."""
    asked = FILE.replace("spec:", "spec:\n  views: {timeline: {buckets: 21}}", 1)

    with pytest.raises(sessions.SessionFileError, match="buckets is 21; a bucket is at least 100 ms long"):
        sessions.make(written(tmp_path, asked), COMMAND, duration_seconds=2, syscalls=None)
    with pytest.raises(sessions.SessionFileError, match=r"^the command line: spec.views.timeline.buckets is 21"):
        sessions.make(None, COMMAND, duration_seconds=2, syscalls=None, views={"timeline": {"buckets": 21}})
    file = written(tmp_path, asked.replace("{buckets: 21}", ""))
    session = sessions.make(file, COMMAND, duration_seconds=2, syscalls=None)
    assert session.document({})["spec"]["views"] == {"timeline": {"buckets": 20}}


def with_metadata(words: str) -> str:
    """Return a session's file with this metadata."""
    return f"apiVersion: kubestrace.io/v1alpha1\nkind: TraceSession\nmetadata: {words}\nspec: {{durationSeconds: 1}}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FILE.replace("7", "!!int abc"), "'abc' is not a valid int"),
        (FILE.replace("7", "!!int ''"), "'' is not a valid int"),
        (FILE.replace("7", "!!bool x"), "'x' is not a valid bool"),
        (FILE.replace("7", "!!timestamp x"), "'x' is not a valid timestamp"),
        (FILE.replace("7", "9" * 5000), "is not a valid int"),
        ("[" * 5000, "nested"),
        (FILE + "  durationSeconds: 1\n", "the key 'durationSeconds' is given twice"),
        (with_metadata("&a {managedFields: [*a]}"), "Circular"),
        (with_metadata("{managedFields: [!!timestamp 2024-01-01]}"), "JSON does not have"),
        (with_metadata("{finalizers: [.nan]}"), "JSON does not have"),
        (with_metadata("{finalizers: &b [" + "x," * 10_000 + "], ownerReferences: [" + "*b," * 1000 + "]}"), "3 MiB"),
        (with_metadata("{creationTimestamp: 2024-02-30}"), "not a time such as"),
        (with_metadata("{creationTimestamp: 2024-02-30T00:00:00Z}"), "not a time such as"),
        (with_metadata("{generation: true}"), "metadata.generation is True"),
        (with_metadata("{generation: 9223372036854775808}"), "not a whole number from 0"),
        (with_metadata("{deletionGracePeriodSeconds: -1}"), "not a whole number from 0"),
        (with_metadata("{resourceVersion: 7}"), "metadata.resourceVersion must be a string"),
        (with_metadata("{finalizers: x}"), "metadata.finalizers must be a list"),
        (with_metadata("{namespace: X Y}"), "metadata.namespace is 'X Y'"),
        (with_metadata("{labels: {a: no label!}}"), "metadata.labels.a is 'no label!'"),
        (with_metadata("{labels: {a b: x}}"), "metadata.labels: 'a b' is not a name"),
        (with_metadata("{annotations: {A/b: x, _/c: y}}"), "metadata.annotations: '_/c' is not a name"),
    ],
)
def test_what_the_api_server_would_refuse_is_told(tmp_path: Path, text: str, words: str) -> None:
    """One message, before anything is traced."""
    assert words in problems(tmp_path, text)


def test_what_the_api_server_takes_is_taken_and_is_plain(tmp_path: Path) -> None:
    """Merged keys, dates that are texts, keys that are numbers: all as JSON has them."""
    words = (
        "{creationTimestamp: 2024-02-29T12:00:00Z, generation: 3, labels: &l {day: 2024-01-01, example.com/a: ''}, "
        "annotations: {<<: *l, day: x, Example.com/B: any text!}, managedFields: [{2024-01-01: x, 7: *l}]}"
    )
    session = made(written(tmp_path, with_metadata(words)))

    labels = {"day": "2024-01-01", "example.com/a": ""}
    assert session.metadata == {
        "creationTimestamp": "2024-02-29T12:00:00Z",
        "generation": 3,
        "labels": labels,
        "annotations": labels | {"day": "x", "Example.com/B": "any text!"},
        "managedFields": [{"2024-01-01": "x", "7": labels}],
    }
