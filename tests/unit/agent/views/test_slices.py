"""A view is one folder: nothing else of the agent names it, but for its line in the registry."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from view_messages import asking, every_view

from kubestrace_agent.syscalls import tables
from kubestrace_agent.views import registry
from kubestrace_protos.v1.views import processes_pb2, slow_calls_pb2, timeline_pb2

ROOT = Path(__file__).parents[4]
AGENT = ROOT / "node_agent/kubestrace_agent"
VIEWS = AGENT / "views"
# Local mode is a user of the agent's own composition.
OUTSIDE = [AGENT, ROOT / "cli/kubestrace_cli/local/recordings.py"]


def folders() -> list[str]:
    """The folders of all views."""
    return sorted(path.parent.name for path in VIEWS.glob("*/view.py"))


def outside(folder: str, *suffixes: str) -> Iterator[Path]:
    """Files of the agent that are not the view's own."""
    for place in OUTSIDE:
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.suffix in suffixes and VIEWS / folder not in path.parents and path != VIEWS / "registry.py":
                yield path


def symbols(folder: str) -> set[str]:
    """What the view's sources are called in C: programs and maps."""
    own = [source for source in registry.sources() if source.file.startswith(f"views/{folder}/")]
    return {name for source in own for name in (*source.programs, *source.maps) if not name.startswith("bpf_iter__")}


def words(folder: str) -> set[str]:
    """What a string that names the view would be: its name, its folder, its parts, what it has in the kernel."""
    (name,) = (name for name in registry.views() if re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() == folder)
    parts = {source.part for source in registry.sources() if source.file.startswith(f"views/{folder}/")}
    return {name, folder, *parts, *symbols(folder)}


def named(path: Path) -> set[str]:
    """Modules that a file imports, and its strings but for docstrings and for fields of structs (headers.Layout)."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    left_out = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    of_structs = {"at", "fields", "offset"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in of_structs:
            left_out |= {each for argument in node.args for each in ast.walk(argument) if isinstance(each, ast.expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in left_out:
            found.add(node.value)
    return found


# A map of the counting, and the kernel's controller, are called like views.
OF_THE_COUNTING = {"counters", "memory"}


def _classes(path: Path) -> set[str]:
    """Classes of system calls and a call, as the modules that know them may name them: they are called as views are."""
    return {*tables.CLASSES, "security"} if path.parent == AGENT / "syscalls" else set()


@pytest.mark.parametrize("folder", folders())
def test_no_other_module_names_a_view(folder: str) -> None:
    """Neither by an import of its modules or messages, nor by its name, nor by its programs and maps."""
    modules = re.compile(
        rf"kubestrace_agent\.views\.{folder}(\..*)?|kubestrace_protos\.v1\.views\.{folder}_(pb2|limits)(\..*)?"
    )
    found = [
        f"{path.relative_to(ROOT)}: {each}"
        for path in outside(folder, ".py")
        for each in named(path)
        if modules.fullmatch(each) or each in words(folder) - _classes(path) - OF_THE_COUNTING
    ]

    assert found == []


@pytest.mark.parametrize("folder", folders())
def test_no_other_program_names_a_view(folder: str) -> None:
    """In C: neither by including its files, nor by its programs and maps."""
    found = [
        f"{path.relative_to(ROOT)}: {each}"
        for path in outside(folder, ".c", ".h")
        for each in re.findall(r'"[^"]+"|\w+', path.read_text(encoding="utf-8"))
        if each in symbols(folder) or each.startswith(f'"views/{folder}/')
    ]

    assert found == []


def test_the_registry_has_a_line_for_each_folder() -> None:
    """One line, and no other word of a view."""
    text = (VIEWS / "registry.py").read_text(encoding="utf-8")

    assert len(folders()) == len(registry.views()) >= 4
    for folder in folders():
        assert re.findall(rf".*\b(?:{'|'.join(words(folder))})\b.*", text) == [f'    "{folder}",']


PROCESSES = processes_pb2.ProcessesRequest(top=3)


def test_a_view_that_is_not_known_is_said_and_the_others_are_served() -> None:
    """As a newer operator may ask for it."""
    requests = registry.requests(asking(processes=PROCESSES, fileAccess=PROCESSES))

    assert (list(requests.asked), requests.unknown) == (["processes"], ("fileAccess",))
    assert requests.parts == {"processes"}


@pytest.mark.parametrize("request_bytes", [b"", b"\xff\xff"])
def test_a_request_of_another_kind_is_refused(request_bytes: bytes) -> None:
    """Its type says what it is; what cannot be read is no request either."""
    wanted = asking(processes=PROCESSES if request_bytes else slow_calls_pb2.SlowCallsRequest(limit=3))
    if request_bytes:
        wanted["processes"].value = request_bytes

    with pytest.raises(registry.RequestError, match=r"views\[processes\] .* must be kubestrace\.v1\.ProcessesRequest"):
        registry.requests(wanted)


def test_only_who_asks_for_paths_is_shown_some() -> None:
    """They may be secret."""
    slow = asking(slowCalls=slow_calls_pb2.SlowCallsRequest(threshold_nanoseconds=1_000_000, limit=3, stacks=True))

    assert registry.requests(slow).shows_paths
    assert not registry.requests(asking(processes=PROCESSES)).shows_paths


def test_sessions_with_equal_requests_may_share_what_is_collected() -> None:
    """Whenever each of them began, which is told to views that are a session's own."""
    sessions = [
        every_view() | asking(timeline=timeline_pb2.TimelineRequest(buckets=5, duration_milliseconds=duration))
        for duration in (1000, 2000)
    ]

    first, second = map(registry.requests, sessions)

    assert first.shared_key == second.shared_key != registry.requests(asking(processes=PROCESSES)).shared_key
    assert [each.name for each in first.own_collectors(None)] == ["resources", "timeline"]


def test_a_test_asks_for_every_view() -> None:
    """Those that ask for all do, also for a new one."""
    assert every_view().keys() == registry.views().keys()


def test_a_node_says_which_views_it_serves() -> None:
    """And why not; what a view can do without is no reason."""
    lacking = {"cpu_time": "CPU time cannot be collected: no field.", "slow_stacks": "Stacks cannot be collected."}

    support = {each.name: each for each in registry.support(lambda part: lacking.get(part, ""))}

    assert support.keys() == registry.views().keys()
    assert (support["cpuTime"].available, support["cpuTime"].message) == (False, lacking["cpu_time"])
    assert (support["slowCalls"].available, support["slowCalls"].message) == (True, lacking["slow_stacks"])
    assert all(
        each.available and not each.message for each in support.values() if each.name in {"processes", "timeline"}
    )
