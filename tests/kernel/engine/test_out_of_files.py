"""An agent that can open only so many files more: whatever fails, nothing of it stays open, attached or in a table."""

import contextlib
import gc
import itertools
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_runs import Cgroup, Runs, asked, links, session_with
from google.protobuf import any_pb2
from view_messages import every_view

from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.traces.session import stop_counting
from kubestrace_agent.traces.shared_counters import Acquired
from kubestrace_agent.views import loading
from kubestrace_protos.v1 import agent_pb2

ALL = every_view()
# More than all views together open.
ENOUGH = 120


@contextlib.contextmanager
def few_files(count: int) -> Iterator[None]:
    """Let so many files be opened, and no more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = {int(each.name) for each in Path("/proc/self/fd").iterdir()}
    free = itertools.filterfalse(used.__contains__, itertools.count())
    limit = next(itertools.islice(free, count, None))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def held() -> Counter[str]:
    """Return what this process has open, by its kind; of maps by their numbers."""
    found: Counter[str] = Counter()
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            kind = str(fd.readlink())
            if kind == "anon_inode:bpf-map":
                text = Path(f"/proc/self/fdinfo/{fd.name}").read_text()
                kind += next(line for line in text.splitlines() if line.startswith("map_id"))
            found[kind] += 1
    return found


def eventually(check: Callable[[], bool]) -> bool:
    """Tell whether something holds within a minute."""
    deadline = time.monotonic() + 60
    while not (found := check()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


class Tracing:
    """Sessions of one cgroup, one after the other."""

    def __init__(self, tracer: Tracer, cgroup: Cgroup) -> None:
        self.tracer = tracer
        self.cgroup = cgroup

    def trace(self, views: dict[str, any_pb2.Any], files: int) -> bool:
        """Trace with few files, and end it; tell whether all that was asked for could be had."""
        session = session_with(self.tracer, views)
        wanted = asked(session, self.cgroup)
        with few_files(files):
            try:
                (result,) = session.counters.acquire([wanted])
            except OSError:
                return False
        if not isinstance(result, Acquired):
            return False
        whole = result.share.missing == []
        session.containers["c"] = session.counted(agent_pb2.ContainerState(), result, time.time_ns())
        stop_counting([session])
        return whole

    def with_ever_more(self, views: dict[str, any_pb2.Any]) -> Iterator[int]:
        """Trace with each number of files that is too small, up to the first one that is enough."""
        # What is held by an error that nobody has let go of yet is open, too.
        gc.collect()
        gc.disable()
        try:
            for files in range(ENOUGH):
                whole = self.trace(views, files)
                yield files
                if whole:
                    return
            pytest.fail("no number of files was enough")
        finally:
            gc.enable()


@pytest.mark.parametrize("name", [*ALL, "all"])
def test_whatever_could_not_be_opened_leaves_nothing(runs: Runs, name: str) -> None:
    """Of a view that was used before: each number of files, and afterwards it works."""
    tracing = Tracing(runs.tracer, runs.cgroup())
    views = dict(ALL) if name == "all" else {name: ALL[name]}
    # What is mapped at its first use stays.
    assert tracing.trace(views, ENOUGH)
    first = held()
    for files in tracing.with_ever_more(views):
        # The thread that waits for a cgroup's end looks twice a second whether anybody still wants to know.
        assert eventually(lambda: held() - first == Counter()), (files, held() - first)
        assert links() == [], files
        assert not runs.tracer.attached, files

    assert tracing.trace(views, ENOUGH)


def test_whatever_could_not_be_opened_at_first_is_opened_later(kept_folder: Path, runs: Runs) -> None:
    """Of views that were never used: their tables are mapped when they are asked for, which may fail as well."""
    tracer = loading.load(folder=kept_folder)
    tracing = Tracing(tracer, runs.cgroup())
    seen = []
    for files in tracing.with_ever_more(dict(ALL)):
        assert links() == [], files
        assert not tracer.attached, files
        seen.append(held())
    assert tracing.trace(dict(ALL), ENOUGH)
    whole = held()
    tracer.close()

    for files, early in enumerate(seen):
        assert {kind for kind in early - whole if "bpf" in kind} == set(), files
