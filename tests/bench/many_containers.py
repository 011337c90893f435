"""What a node with many traced containers costs the agent: memory, start of a further one, snapshot, and report.

    python tests/bench/many_containers.py [--containers 200]

Each container runs a short Python program (about 30 different system calls). Needs root. Memory of the kernel is that
which is charged to a memory cgroup of this process's own, and the machine's memory per CPU (Percpu of /proc/meminfo),
which some kernels charge to nobody. `tests/kernel/matrix/run --many-cpus` runs it with 255 possible CPUs.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from engine_runs import Cgroup, cgroup_root
from memory_cgroup import Memory

from kubestrace_agent.memory import collect_rarely
from kubestrace_agent.traces.delta import Since
from kubestrace_agent.views import loading

PROGRAM = "import os\nfor i in range(200):\n os.getppid(); os.stat('/')"


def milliseconds(since: float) -> float:
    """CPU time since a moment: what else runs on the machine must not count."""
    return (time.process_time() - since) * 1e3


def resident() -> int:
    """This process's memory in MiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) // 1024


def percpu() -> int:
    """The machine's memory per CPU, in bytes."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Percpu:")) * 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--containers", type=int, default=200)
    count = parser.parse_args().containers
    memory = Memory()
    memory.enter()
    sizes = [(memory.kernel(), percpu())]
    tracer = loading.load()
    sizes.append((memory.kernel(), percpu()))
    collect_rarely()  # as the agent does
    cgroups = [Cgroup(cgroup_root()) for _ in range(count)]
    try:
        starts, slots = [], []
        for cgroup in cgroups:
            begin = time.process_time()
            slots.append(tracer.add_container(cgroup.path, wanted=None))
            starts.append(milliseconds(begin))
            sizes.append((memory.kernel(), percpu()))
        print(f"start of a further container: median {statistics.median(starts):.2f} ms, longest {max(starts):.1f} ms")
        traces = {slot: Since(None, wanted=None, architecture="x86_64") for slot in slots}
        for what, every in (("all rows changed", 1),) * 3 + (("rows of one in ten changed", 10), ("no row changed", 0)):
            if every:
                for cgroup in cgroups[::every]:
                    subprocess.run(
                        ["/usr/bin/python3", "-S", "-c", PROGRAM], preexec_fn=cgroup.enter, check=True, timeout=600
                    )
            time.sleep(0.1)
            begin = time.process_time()
            found = tracer.snapshot(slots)
            snapshot = milliseconds(begin)
            begin = time.process_time()
            for slot, counts in found.items():
                traces[slot].to(counts)
            rows = sum(len(counts.rows) for counts in found.values())
            print(f"{what}: snapshot {snapshot:.1f} ms, differences {milliseconds(begin):.1f} ms, {rows} rows")
            tracer.snapshot(slots)
        print(f"{resident()} MiB resident")
        for what, (kernel, per_cpu) in zip(
            ("loaded", "one container", f"{count} containers"), [*sizes[1:3], sizes[-1]], strict=True
        ):
            grown = (kernel - sizes[0][0]) / 2**20, (per_cpu - sizes[0][1]) / 2**20
            print(f"{what}: {grown[0]:.1f} MiB of the kernel's memory charged, {grown[1]:.1f} MiB per-CPU memory")
    finally:
        tracer.close()
        memory.leave()
        for cgroup in cgroups:
            cgroup.remove()


if __name__ == "__main__":
    main()
