"""Findings about what is used up: room on disks, descriptors, processes, watches. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kubestrace_operator.findings import failed_call
from kubestrace_operator.findings.finding import Confidence, Evidence, Facts, Finding, Rule, Severity, listed

_FULL = ("ENOSPC", "EDQUOT")
_FILES = ("EMFILE", "ENFILE")
_TASKS = frozenset({"clone", "clone3", "fork", "vfork"})
# They have limits of their own, and the errors of others: a number of instances, and one of watches.
_INSTANCES = frozenset({"inotify_init", "inotify_init1", "fanotify_init"})
_WATCHES = frozenset({"inotify_add_watch", "fanotify_mark"})


@dataclass(frozen=True)
class _Limit:
    """What is used up, and what to do."""

    id: str
    severity: Severity
    # A sentence without its end: which calls failed follows.
    what: str
    advice: str
    cleared_by: str

    def finding(self, facts: Facts, counts: Mapping[str, int], errnos: tuple[str, ...]) -> Iterator[Finding]:
        """Yield it where calls failed: how many of which, with an example."""
        if counts:
            yield Finding(
                self.id,
                self.severity,
                Confidence.HIGH,
                f"{self.what}: {listed(counts)}.{failed_call.example(facts.status, errnos, counts)}",
                self.advice,
                self.cleared_by,
                (Evidence("failedCalls", sum(counts.values()), 1),),
                weight=1.0,
            )


_DISK_FULL = _Limit(
    "disk-full",
    Severity.CRITICAL,
    "A file system had no room left (ENOSPC or EDQUOT)",
    "Look at the volume's and the node's free space and inodes, and at the pod's ephemeral-storage.",
    "The program fills a volume of fixed size on purpose.",
)
_FD_LEAK = _Limit(
    "fd-leak",
    Severity.CRITICAL,
    "No further file or socket could be opened (EMFILE or ENFILE)",
    "Look which descriptors grow (ls -l /proc/1/fd), close them where calls fail, or raise ulimit -n.",
    "The program opens as many as it may on purpose and goes on.",
)
_TASK_LIMIT = _Limit(
    "task-limit",
    Severity.CRITICAL,
    "No further process or thread could be started (EAGAIN)",
    "Find out who starts them (views.processes). Limits: podPidsLimit of kubelet, ulimit -u for all processes "
    "of a user on the node, kernel.pid_max.",
    "A program that tries how many it may start.",
)
_WATCH_LIMIT = _Limit(
    "watch-limit",
    Severity.WARNING,
    "Files could not be watched, a user's limit on the node is reached",
    "Raise fs.inotify.max_user_instances and max_user_watches on the node; all pods of one user ID share them. Watch "
    "fewer folders (leave out node_modules), or look from time to time instead.",
    "The program looks from time to time where it cannot watch.",
)


def _counts(facts: Facts, errnos: tuple[str, ...]) -> dict[str, int]:
    """Return how many calls failed so, by their names."""
    found: dict[str, int] = {}
    for row in facts.rows:
        for errno in errnos:
            if count := row.errnos.get(errno, 0):
                found[row.name] = found.get(row.name, 0) + count
    return found


def _disk_full(facts: Facts) -> Iterator[Finding]:
    counts = {name: count for name, count in _counts(facts, _FULL).items() if name not in _WATCHES}
    yield from _DISK_FULL.finding(facts, counts, _FULL)


def _fd_leak(facts: Facts) -> Iterator[Finding]:
    """Where nothing but a watch found no descriptor there are too many watches."""
    counts = _counts(facts, _FILES)
    if counts.keys() - _INSTANCES:
        yield from _FD_LEAK.finding(facts, counts, _FILES)


def _task_limit(facts: Facts) -> Iterator[Finding]:
    counts = {name: count for name, count in _counts(facts, ("EAGAIN",)).items() if name in _TASKS}
    yield from _TASK_LIMIT.finding(facts, counts, ("EAGAIN",))


def _watch_limit(facts: Facts) -> Iterator[Finding]:
    instances = _counts(facts, _FILES)
    watches = {name: count for name, count in _counts(facts, ("ENOSPC",)).items() if name in _WATCHES}
    counts = watches if instances.keys() - _INSTANCES else {**instances, **watches}
    yield from _WATCH_LIMIT.finding(facts, counts, ("ENOSPC", *_FILES))


RULES = (
    Rule("disk-full", _disk_full, about="A call failed with ENOSPC or EDQUOT.", source="exact"),
    Rule("fd-leak", _fd_leak, about="A call failed with EMFILE or ENFILE.", source="exact"),
    Rule(
        "task-limit",
        _task_limit,
        about="clone, fork or vfork failed with EAGAIN: a limit of processes and threads is reached. Where pids-limit "
        "says which one it is, that alone is told.",
        source="exact: clone(2)",
    ),
    Rule(
        "watch-limit",
        _watch_limit,
        about="inotify_init failed with EMFILE and nothing else did, or inotify_add_watch with ENOSPC; fanotify alike.",
        source="exact: inotify(7); 128 instances and 8,192 to 1,048,576 watches of a user on a node",
    ),
)
