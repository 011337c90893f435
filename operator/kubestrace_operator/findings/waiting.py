"""Findings about time that nobody uses: calls that hang, locks, polling, and CPUs that are not to be had. Pure."""

from collections.abc import Iterator

from kubestrace_operator.api.timestamps import duration
from kubestrace_operator.findings import failed_call
from kubestrace_operator.findings.finding import (
    Confidence,
    Evidence,
    Facts,
    Finding,
    Place,
    Rule,
    Severity,
    many,
    number,
    percent,
)

_HUNG_NS = 10_000_000_000
_LOCK_RATE, _WAKE_SHARE, _LOCK_SHARE, _LOCK_NS = 5000.0, 0.3, 0.75, 1_000_000
_YIELD_RATE = 1000.0
_SLEEP_RATE, _SLEEP_NS = 1000.0, 1_000_000
_STARVED_SHARE, _LEAST_THREAD_SECONDS = 0.1, 1.0


def _hung(facts: Facts) -> Iterator[Finding]:
    """Those that work: what waits for a neighbour may wait for ever and be well."""
    hung = [row for row in facts.status.get("unreturned", ()) if not row["wait"] and row["ageNanoseconds"] >= _HUNG_NS]
    if not hung:
        return
    oldest = max(hung, key=lambda row: row["ageNanoseconds"])
    who = oldest.get("process") or "A thread"
    what = failed_call.tried(oldest["syscall"], oldest.get("arguments", ""))
    others = f" {many(len(hung) - 1, 'other call')} too." if len(hung) > 1 else ""
    yield Finding(
        "hung-call",
        Severity.CRITICAL,
        Confidence.HIGH,
        f"{who} has tried for {duration(oldest['ageNanoseconds'])} to {what}. "
        f"The call {oldest['syscall']} has not returned: it waits for a disk or for the kernel.{others}",
        "Look at the volume and the network file system behind it (kubectl get events, dmesg on the node).",
        "The call is meant to take as long.",
        (Evidence("ageSeconds", oldest["ageNanoseconds"] / 1e9, _HUNG_NS / 1e9),),
        tuple(sorted({Place(row["pod"], row["container"]) for row in hung})),
        weight=1.0,
    )


def _lock_convoy(facts: Facts) -> Iterator[Finding]:
    wakes, waits = facts.named(("futex",), wait=False), facts.named(("futex",), wait=True)
    woken, waited = sum(row.calls for row in wakes), sum(row.calls for row in waits)
    used = facts.status.get("timeBudget", {})
    busy_ns = sum(used.get(f"{part}Nanoseconds", 0) for part in ("user", "kernel", "runnable"))
    futex_ns = sum(row.total_ns for row in (*wakes, *waits))
    if not waited or facts.rate(woken + waited) < _LOCK_RATE or woken < _WAKE_SHARE * (woken + waited):
        return
    middle, share = max(row.percentile(50) for row in waits), futex_ns / max(1, futex_ns + busy_ns)
    if middle >= _LOCK_NS or share < _LOCK_SHARE:
        return
    yield Finding(
        "lock-convoy",
        Severity.WARNING,
        Confidence.MEDIUM,
        f"{number(facts.rate(woken + waited))} futex calls a second, {percent(share)} of the threads' time: they wait "
        f"for one another's locks, {duration(middle)} in the median.",
        "Split the lock or use fewer threads; the stacks of slow calls name the lock's function.",
        "Waits of 10 ms and more are idle workers.",
        (
            Evidence("futexCallsPerSecond", facts.rate(woken + waited), _LOCK_RATE),
            Evidence("shareOfThreadTime", share, _LOCK_SHARE),
        ),
        weight=share,
    )


def _busy_poll(facts: Facts) -> Iterator[Finding]:
    yields = sum(row.calls for row in facts.named(("sched_yield",)))
    sleeps = facts.named(("nanosleep", "clock_nanosleep"), wait=True)
    naps = sum(row.calls for row in sleeps if row.percentile(50) <= _SLEEP_NS)
    for count, name, least in ((yields, "sched_yield", _YIELD_RATE), (naps, "sleeps of at most 1 ms", _SLEEP_RATE)):
        if facts.rate(count) >= least:
            yield Finding(
                "busy-poll",
                Severity.INFO,
                Confidence.LOW,
                f"{number(facts.rate(count))} {name} a second: threads look again and again whether there is work.",
                "Wait for an event (a condition variable, epoll, eventfd) instead of looking; join timers.",
                "A program that pays with CPU for short delays on purpose; the Go runtime does it while it is busy.",
                (Evidence("callsPerSecond", facts.rate(count), least),),
            )


def _cpu_starved(facts: Facts) -> Iterator[Finding]:
    budget = facts.status.get("timeBudget", {})
    threads_ns, runnable_ns = budget.get("threadNanoseconds", 0), budget.get("runnableNanoseconds", 0)
    busy_ns = runnable_ns + budget.get("userNanoseconds", 0) + budget.get("kernelNanoseconds", 0)
    if busy_ns < _LEAST_THREAD_SECONDS * 1e9 or not threads_ns:
        return
    share = runnable_ns / busy_ns
    if share < _STARVED_SHARE:
        return
    yield Finding(
        "cpu-starved",
        Severity.WARNING,
        Confidence.HIGH,
        f"Of the time in which threads wanted a CPU they waited {percent(share)} for one ({duration(runnable_ns)}).",
        "Look at the CPU limit (throttling), then at the request and at the neighbours on the node.",
        "A batch job that may take its time.",
        (Evidence("shareOfTimeReadyToRun", share, _STARVED_SHARE),),
        weight=share,
    )


RULES = (
    Rule("hung-call", _hung, about="A call that works has not returned for 10 s or more.", source="measured here"),
    Rule(
        "lock-convoy",
        _lock_convoy,
        needs=("cpuTime",),
        compares=True,
        about="5,000 futex calls a second, 30 % of them wakes, short waits, and three quarters of the threads' time.",
        source="healthy servers under load: CPython 53 %, Go 63 %; one lock in Java: 94 %. Idle pools wait long",
    ),
    Rule(
        "busy-poll",
        _busy_poll,
        about="1,000 sched_yield, or sleeps of at most 1 ms, a second.",
        source="each costs 1 us and a switch",
    ),
    Rule(
        "cpu-starved",
        _cpu_starved,
        needs=("cpuTime",),
        about="Threads that wanted a CPU waited 10 % or more of that time for one.",
        source="run-queue delay: neighbours, a small request, or a limit",
    ),
)
