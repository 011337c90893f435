"""What the view of callers costs: a loop of short reads, with and without it, and a neighbour's.

    PYTHONPATH=tests/support python tests/bench/callers_cost.py [ROUNDS]

The same program in turns without a tracer, with counting, and with the view at some rates, read as the agent does.
Ratios to counting are those of one round; their medians are printed. Then what a stack costs the agent until it is
named. Needs root.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from engine_runs import Cgroup, cgroup_root

from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.symbols.names import Names
from kubestrace_agent.symbols.naming import Naming
from kubestrace_agent.views import loading
from kubestrace_agent.views.callers.collector import CallStacks

_READS = 1_000_000
_RATES = (10, 200, 1000)
_PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int main(int count, char **words) {
  char byte;
  struct timespec begin, end;
  int zero = open("/dev/null", O_RDONLY);
  long reads = count > 1 ? atol(words[1]) : 1;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (long i = 0; i < reads; i++)
    if (read(zero, &byte, 1) < 0) return 1;
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%f\n", ((end.tv_sec - begin.tv_sec) * 1e9 + end.tv_nsec - begin.tv_nsec) / reads);
  return 0;
}
"""


def run(program: Path, cgroup: Cgroup, tracer: Tracer, collector: CallStacks | None, slot: int = 0) -> float:
    """Run it in a cgroup, and read meanwhile: nanoseconds for each call."""
    process = subprocess.Popen(
        [program, str(_READS)],
        preexec_fn=cgroup.enter,  # noqa: PLW1509 - it must be inside from its first call on
        stdout=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None:
        if collector is not None:
            collector.take(tracer.read("callers").get(slot), tracer.lost("callers", slot), 0)
        time.sleep(0.1)
    output, _ = process.communicate(timeout=60)
    return float(output)


def agents_time(program: Path, cgroup: Cgroup, tracer: Tracer) -> str:
    """What the agent spends on a stack: processor time of this process, with the thread that names."""
    slot = tracer.add_container(cgroup.path, wanted=None)
    tracer.enable("callers", slot, max(_RATES))
    collector = CallStacks(max(_RATES), False, None, Names(Naming()))
    before = time.process_time()
    for _ in range(3):
        run(program, cgroup, tracer, collector, slot)
    for _ in range(20):
        collector.take((), 0, 0)
        time.sleep(0.1)
    spent = time.process_time() - before
    samples = sum(sums.samples for sums in collector._rows.values())
    tracer.remove(slot)
    return f"{samples} stacks: {spent / samples * 1e6:.0f} us of the agent's time each"


def main() -> None:
    """Print medians of the rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    target, neighbour, tracer = Cgroup(cgroup_root()), Cgroup(cgroup_root()), loading.load()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "reads.c", Path(folder) / "reads"
        source.write_text(_PROGRAM)
        subprocess.run(["gcc", "-O1", "-o", program, source], check=True, timeout=60)
        try:
            for _ in range(rounds):
                found.setdefault("no tracer", []).append(run(program, target, tracer, None))
                slot = tracer.add_container(target.path, wanted=None)
                found.setdefault("counting", []).append(run(program, target, tracer, None))
                found.setdefault("neighbour, counting", []).append(run(program, neighbour, tracer, None))
                for rate in _RATES:
                    tracer.enable("callers", slot, rate)
                    collector = CallStacks(rate, False, None, Names(Naming()))
                    found.setdefault(f"callers, {rate} a second", []).append(
                        run(program, target, tracer, collector, slot)
                    )
                    if rate == max(_RATES):
                        name = f"neighbour, callers, {rate} a second"
                        found.setdefault(name, []).append(run(program, neighbour, tracer, collector, slot))
                    tracer.enable("callers", slot, None)
                tracer.remove(slot)
            spent = agents_time(program, target, tracer)
        finally:
            tracer.close()
            target.remove()
            neighbour.remove()
    print(f"load {os.getloadavg()[0]:.2f}, {rounds} rounds of {_READS} reads, {os.uname().release}")
    for mode, nanoseconds in found.items():
        beside = found["neighbour, counting" if mode.startswith("neighbour") else "counting"]
        ratios = [each / counting for each, counting in zip(nanoseconds, beside, strict=True)]
        print(f"{mode:34} {median(nanoseconds):6.0f} ns a read, {median(ratios):.3f} of counting")
    print(spent)


main()
