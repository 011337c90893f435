"""What tracing costs per call: the engine against no programs and against two empty ones.

    python tests/bench/overhead_engine.py [--rounds 15] [--calls 100000] [--cpu 0]

A loop of getppid and one of 1-byte reads, pinned to a CPU, in four situations that take turns: bare; two empty
raw-tracepoint programs attached (the floor of the hooks); traced by us; beside a container that is traced by us.
Medians of ns per call in the quicker batches; "added" is the multiple of what the empty programs add. Needs root, bcc.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from engine_runs import Cgroup, cgroup_root

from kubestrace_agent.kernel import bpf, probe
from kubestrace_agent.kernel.tracer import Tracer

LOOP = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCH 500
static int ascending(const void *a, const void *b) { return *(double *)a < *(double *)b ? -1 : 1; }

int main(int argc, char **argv) {
  long calls = atol(argv[2]);
  cpu_set_t cpus;
  struct timespec from, to;
  char byte;
  int zero = open("/dev/zero", O_RDONLY), reads = !strcmp(argv[1], "read");
  CPU_ZERO(&cpus);
  CPU_SET(atoi(argv[3]), &cpus);
  sched_setaffinity(0, sizeof(cpus), &cpus);
  for (int warm = 0; warm < 1000; warm++) syscall(SYS_getppid);
  long batches = calls / BATCH;
  double *ns = malloc(batches * sizeof(*ns));
  for (long n = 0; n < batches; n++) {
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (reads) for (long i = 0; i < BATCH; i++) syscall(SYS_read, zero, &byte, 1);
    else for (long i = 0; i < BATCH; i++) syscall(SYS_getppid);
    clock_gettime(CLOCK_MONOTONIC, &to);
    ns[n] = ((to.tv_sec - from.tv_sec) * 1e9 + to.tv_nsec - from.tv_nsec) / BATCH;
  }
  qsort(ns, batches, sizeof(*ns), ascending);
  printf("%f\n", ns[batches / 4]); /* whoever else runs here disturbs the slower batches */
  return argc == 0;
}
"""
EMPTY = """
int empty_enter(struct bpf_raw_tracepoint_args *ctx) { return 0; }
int empty_exit(struct bpf_raw_tracepoint_args *ctx) { return 0; }
"""


def empty_programs() -> tuple[int, int]:
    """Load the two programs of the floor."""
    os.environ["BCC_KERNEL_SOURCE"] = str(probe.HERE / "headers")
    import bcc  # noqa: PLC0415 - reads the environment above

    program = bcc.BPF(text=EMPTY)
    empty_programs.kept = program  # type: ignore[attr-defined]
    return tuple(program.load_func(name, bcc.BPF.RAW_TRACEPOINT).fd for name in ("empty_enter", "empty_exit"))


@contextmanager
def attached(enter: int, leave: int) -> Iterator[None]:
    """Attach a pair of programs."""
    links = [bpf.raw_tracepoint_open("sys_enter", enter), bpf.raw_tracepoint_open("sys_exit", leave)]
    yield
    for link in links:
        os.close(link)


@contextmanager
def traced(tracer: Tracer, cgroup: Cgroup) -> Iterator[None]:
    """Trace a cgroup."""
    slot = tracer.add_container(cgroup.path, wanted=None)
    yield
    tracer.remove(slot)


def measure(stack: ExitStack, args: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Nanoseconds per call by loop and situation."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (folder / "loop.c").write_text(LOOP, encoding="utf-8")
    subprocess.run(["gcc", "-O2", "-o", folder / "loop", folder / "loop.c"], check=True)
    ours, other = Cgroup(cgroup_root()), Cgroup(cgroup_root())
    stack.callback(ours.remove)
    stack.callback(other.remove)
    start = time.perf_counter()
    tracer = Tracer.load()
    print(f"load {time.perf_counter() - start:.2f} s, {resident():.0f} MiB resident with it loaded")
    stack.callback(tracer.close)
    empty = empty_programs()
    situations: dict[str, Callable[[], object]] = {
        "bare": ExitStack,
        "empty": lambda: attached(*empty),
        "traced": lambda: traced(tracer, ours),
        "neighbour": lambda: traced(tracer, other),
    }
    found: dict[str, dict[str, list[float]]] = {loop: {name: [] for name in situations} for loop in ("getppid", "read")}
    for _ in range(args.rounds):
        for loop, results in found.items():
            for name, situation in situations.items():
                with situation():  # type: ignore[attr-defined]
                    command = [str(folder / "loop"), loop, str(args.calls), str(args.cpu)]
                    done = subprocess.run(command, preexec_fn=ours.enter, capture_output=True, check=True)
                    results[name].append(float(done.stdout))
    return found


def resident() -> float:
    """This process's memory in MiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--cpu", type=int, default=0)
    with ExitStack() as stack:
        found = measure(stack, parser.parse_args())
    for loop, results in found.items():
        median = {name: statistics.median(values) for name, values in results.items()}
        floor = median["empty"] - median["bare"]
        for name, values in results.items():
            added = (median[name] - median["bare"]) / floor
            spread = f"({min(values):.1f}..{max(values):.1f})"
            print(f"{loop:8} {name:10} {median[name]:7.1f} ns  {spread:18} added {added:.2f}x")


if __name__ == "__main__":
    main()
