"""How many slow calls a second one agent takes in: told, kept or dropped, and lost, while all calls are told as slow.

    python tests/bench/slow_events.py [--seconds 5] [--producers 1]

A real slow call takes 1 ms at least, so that one CPU makes no thousand a second. Here the programs are compiled with a
least length of 0, and loops of getppid make as many as they can. Needs root.

drained: a ring that has been filled before is read, as fast as that goes: what one core of the agent can take in.
at once: it is read while the loops run, as the agent does it (each 0.1 s, each 10 ms while it fills); first with a
floor of 0 all the time, then with floors that rise to what is held.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent / "overhead"))

from engine_runs import Cgroup, cgroup_root
from machine import favoured

from kubestrace_agent.containers.resolver import Resolved
from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.traces.shared_counters import Asked, Counters
from kubestrace_agent.views import loading
from kubestrace_agent.views.slow_calls.collector import Slowest
from kubestrace_agent.views.slow_calls.values import Floors

LOOP = Path(__file__).parent / "overhead/programs/loop.c"
# The probe with another least length: a constant of its own for this kind of machine.
PROBE = """
import platform
from kubestrace_agent.kernel.loader import probe
from kubestrace_agent.views import registry
from kubestrace_agent.views.slow_calls import sources
sources.MIN_THRESHOLD_MILLISECONDS = 0
probe.main(registry.all_sources())
"""
LIMIT = 50


class Producers:
    """Loops of getppid in one cgroup."""

    def __init__(self, folder: Path, count: int) -> None:
        subprocess.run(["gcc", "-O2", "-pthread", "-o", folder / "loop", LOOP], check=True, timeout=600)
        self.cgroup = Cgroup(cgroup_root())
        self._loops = [
            subprocess.Popen(
                [folder / "loop", "getppid"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                preexec_fn=self.cgroup.enter,  # noqa: PLW1509 - no threads here
            )
            for _ in range(count)
        ]
        for loop in self._loops:
            assert loop.stdout
            loop.stdout.readline()

    def begin(self, seconds: float) -> None:
        """Let them run."""
        for loop in self._loops:
            assert loop.stdin
            loop.stdin.write(f"{seconds * 1000}\n")
            loop.stdin.flush()

    def calls(self) -> int:
        """Wait for their end: how many calls they have made."""
        return sum(int(loop.stdout.readline().split()[0]) for loop in self._loops if loop.stdout)

    def end(self) -> None:
        """End them."""
        for loop in self._loops:
            loop.communicate(timeout=30)
        self.cgroup.remove()


def drained(tracer: Tracer, slot: int, producers: Producers) -> None:
    """Fill the ring, read it; several times."""
    told, lasted = 0, 0.0
    for _ in range(20):
        before = tracer.lost("slow_calls", slot)
        producers.begin(0.1)
        told += producers.calls() - (tracer.lost("slow_calls", slot) - before)
        slowest = Slowest(0, LIMIT, None)
        begin = time.perf_counter()
        slowest.take(tracer.read("slow_calls").get(slot, []), 0, 0)
        lasted += time.perf_counter() - begin
    print(f"drained: {told} calls in {lasted:.3f} s, {told / lasted / 1e6:.2f} million a second")


def at_once(tracer: Tracer, producers: Producers, seconds: float, *, rising: bool) -> None:
    """Read while they run, as the agent does."""
    counters = Counters(tracer)
    slowest = Slowest(0, LIMIT, None) if rising else Low(0, LIMIT, None)
    (acquired,) = counters.acquire([Asked(Resolved(producers.cgroup.path, 1), "bench", None, lambda: [slowest])])
    if isinstance(acquired, Exception):
        raise acquired
    counter = acquired.counter
    begin, cpu, before = time.perf_counter(), time.process_time(), slowest.lost
    producers.begin(seconds)
    while time.perf_counter() - begin < seconds:
        time.sleep(0.01 if counters.drain() else 0.1)
    cores = (time.process_time() - cpu) / (time.perf_counter() - begin)
    calls = producers.calls()
    counters.refresh(fresh=True)
    lost = slowest.lost - before
    told = "" if rising else f"{(calls - lost) / seconds / 1e6:.3f} told, "
    print(
        f"at once, {'floors that rise' if rising else 'a floor of 0'}: {calls / seconds / 1e6:.3f} million calls a "
        f"second made, {told}{lost / seconds / 1e6:.3f} lost; the agent took {cores:.2f} cores"
    )
    counters.release(counter, "bench")


class Low(Slowest):
    """Has everything told, whatever is held."""

    @property
    def wanted(self) -> Floors:
        """A floor of 0."""
        return Floors(0, 0, self.limit)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--producers", type=int, default=1)
    arguments = parser.parse_args()
    loading.PROBE = ("-c", PROBE)
    tracer = loading.load()
    with tempfile.TemporaryDirectory() as folder, favoured():
        producers = Producers(Path(folder), arguments.producers)
        slot = tracer.add_container(producers.cgroup.path, wanted=None)
        tracer.enable("slow_calls", slot, Floors(0, 0, LIMIT))
        drained(tracer, slot, producers)
        tracer.remove(slot)
        for rising in (False, True):
            at_once(tracer, producers, arguments.seconds, rising=rising)
        producers.end()
    tracer.close()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
