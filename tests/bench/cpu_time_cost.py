"""What the view of CPU time costs programs: a loop of getppid, and two processes that wake each other through pipes.

    PYTHONPATH=tests/support python tests/bench/cpu_time_cost.py [ROUNDS]

All modes are run one after the other in each round, on one CPU, and the fastest rounds are compared: what else the
machine does can only slow them. Needs root.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine_runs import Cgroup, cgroup_root

from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.views import loading

_SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **words) {
  long rounds = atol(words[2]);
  int there[2], back[2];
  char byte = 0;
  double begin = seconds();
  if (!strcmp(words[1], "getppid")) {
    for (long n = 0; n < rounds; n++) syscall(SYS_getppid);
  } else {
    if (pipe(there) || pipe(back)) return 1;
    if (!fork()) {
      close(there[1]);
      while (read(there[0], &byte, 1) == 1)
        if (write(back[1], &byte, 1) != 1) return 1;
      return 0;
    }
    begin = seconds();
    for (long n = 0; n < rounds; n++)
      if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) return 1;
  }
  printf("%f\n", (seconds() - begin) / rounds * 1e9);
  return count < 3;
}
"""
# Each takes about 0.1 s.
_WORK = {"getppid": "300000", "pipes": "15000"}
_MODES = ("nothing", "counting", "cpuTime")
_CPU = max(os.sched_getaffinity(0))


@contextmanager
def traced(tracer: Tracer, cgroup: Cgroup, mode: str) -> Iterator[None]:
    """Count a cgroup, or do not."""
    if mode == "nothing":
        yield
        return
    slot = tracer.add_container(cgroup.path, wanted=None)
    try:
        if mode == "cpuTime":
            tracer.enable("cpu_time", slot, True)
        yield
    finally:
        tracer.remove(slot)


def run(program: Path, work: str, cgroup: Cgroup) -> float:
    """Nanoseconds for each round of the work."""

    def inside() -> None:
        cgroup.enter()
        os.sched_setaffinity(0, {_CPU})

    command = [program, work, _WORK[work]]
    done = subprocess.run(command, preexec_fn=inside, capture_output=True, text=True, check=True, timeout=600)
    return float(done.stdout)


def main() -> None:
    """Print the fastest rounds in nanoseconds, and as multiples of those without a tracer and with counting."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    target, neighbour = Cgroup(cgroup_root()), Cgroup(cgroup_root())
    tracer = loading.load()
    found: dict[tuple[str, str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "work")
        subprocess.run(["gcc", "-O2", "-x", "c", "-o", program, "-"], input=_SOURCE, text=True, check=True, timeout=600)
        try:
            for _ in range(rounds):
                for mode in _MODES:
                    with traced(tracer, target, mode):
                        for work in _WORK:
                            for who, cgroup in (("traced", target), ("neighbour", neighbour)):
                                found.setdefault((work, who, mode), []).append(run(program, work, cgroup))
        finally:
            tracer.close()
            target.remove()
            neighbour.remove()
    print(f"load {os.getloadavg()[0]:.2f}, {rounds} rounds, {os.uname().release}")
    for work in _WORK:
        for who in ("traced", "neighbour"):
            bare, counting, view = (min(found[work, who, mode]) for mode in _MODES)
            print(
                f"{work:8} {who:9} {bare:8.0f} ns, counting {counting:8.0f} ({counting / bare:.2f}x), "
                f"with cpuTime {view:8.0f} ({view / bare:.2f}x, {view / counting:.2f}x of counting)"
            )


if __name__ == "__main__":
    main()
