"""The texts of cgroup files -> numbers by the names of resources_names. Pure."""

import functools
from collections.abc import Iterable, Iterator, Mapping

Numbers = dict[str, int]

_US = 1000
# Of memory.limit_in_bytes: no limit is the largest multiple of a page.
_NO_LIMIT = 1 << 62
_CPU = {
    "usage_usec": ("cpu.usageNanoseconds", _US),
    "user_usec": ("cpu.userNanoseconds", _US),
    "system_usec": ("cpu.systemNanoseconds", _US),
    "nr_periods": ("cpu.periods", 1),
    "nr_throttled": ("cpu.throttledPeriods", 1),
    "throttled_usec": ("cpu.throttledNanoseconds", _US),
    # cgroup v1.
    "throttled_time": ("cpu.throttledNanoseconds", 1),
}
_EVENTS = {
    "high": ("memory.highEvents", 1),
    "max": ("memory.maxEvents", 1),
    "oom": ("memory.ooms", 1),
    # Of memory.oom_control, too.
    "oom_kill": ("memory.oomKills", 1),
}


def keyed(text: str) -> Mapping[str, int]:
    """Read lines of a name and a number; others are left out."""
    found = {}
    for line in text.splitlines():
        name, _, number = line.partition(" ")
        if number.isdigit():
            found[name] = int(number)
    return found


def cpu_stat(text: str) -> Numbers:
    """Read cpu.stat of either version."""
    return _named(keyed(text), _CPU)


def memory_events(text: str) -> Numbers:
    """Read memory.events, or memory.oom_control of cgroup v1."""
    return _named(keyed(text), _EVENTS)


def _named(numbers: Mapping[str, int], names: Mapping[str, tuple[str, int]]) -> Numbers:
    return {name: numbers[word] * factor for word, (name, factor) in names.items() if word in numbers}


def pressure(text: str, resource: str) -> Numbers:
    """Read a file of PSI: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, the total in microseconds."""
    found = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        total = dict(word.partition("=")[::2] for word in rest.split()).get("total", "")
        if kind in {"some", "full"} and total.isdigit():
            found[f"pressure.{resource}{kind.capitalize()}Nanoseconds"] = int(total) * _US
    return found


def memory_stat(text: str, *, version: int) -> tuple[Numbers, Numbers, int]:
    """Read memory.stat: what grows, the levels, and the bytes of page cache that are given up first."""
    prefix, numbers = "total_" if version == 1 else "", keyed(text)
    anon, file = ("rss", "cache") if version == 1 else ("anon", "file")
    grown, levels = {}, {}
    for word, name in (("pgfault", "memory.faults"), ("pgmajfault", "memory.majorFaults")):
        if prefix + word in numbers:
            grown[name] = numbers[prefix + word]
    refaults = [numbers[word] for word in _refaults(prefix) if word in numbers]
    if refaults:
        grown["memory.refaults"] = sum(refaults)
    for word, name in ((anon, "memory.anonBytes"), (file, "memory.fileBytes")):
        if prefix + word in numbers:
            levels[name] = numbers[prefix + word]
    return grown, levels, numbers.get(f"{prefix}inactive_file", 0)


memory_stat_v1 = functools.partial(memory_stat, version=1)
memory_stat_v2 = functools.partial(memory_stat, version=2)


def _refaults(prefix: str) -> Iterable[str]:
    # Linux before 5.9 has one for both.
    return (f"{prefix}workingset_refault{kind}" for kind in ("_anon", "_file", ""))


def cpu_limit(maximum: str) -> int | None:
    """Read cpu.max, `100000 100000`, in thousandths of a CPU; None: no limit."""
    quota, _, period = maximum.partition(" ")
    return None if quota == "max" else 1000 * int(quota) // int(period)


def cpu_limit_v1(quota_us: int, period_us: int) -> int | None:
    """As cpu_limit, of cpu.cfs_quota_us and cpu.cfs_period_us."""
    return None if quota_us <= 0 else 1000 * quota_us // period_us


def memory_limit(text: str) -> int | None:
    """Read memory.max or memory.limit_in_bytes; None: no limit."""
    return None if text.strip() == "max" or int(text) >= _NO_LIMIT else int(text)


def pids_limit(text: str) -> int | None:
    """Read pids.max; None: no limit."""
    return None if text.strip() == "max" else int(text)


def v1_paths(text: str) -> Iterator[tuple[str, str]]:
    """Yield the controllers of cgroup v1 with a process's path in each, from /proc/PID/cgroup."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(",") if controllers else ():
            yield controller, path.removesuffix(" (deleted)")
