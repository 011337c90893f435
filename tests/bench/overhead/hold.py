"""Holds BPF programs for as long as its input is open: python hold.py empty|idle.

empty: two raw-tracepoint programs that do nothing, the floor of every tracer that uses the hooks.
idle: our programs loaded, as an agent has them, after one trace has ended; nothing may be attached.
"""

import os
import sys

from engine_runs import Cgroup, cgroup_root

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader import probe
from kubestrace_agent.views import loading

EMPTY = """
int empty_enter(struct bpf_raw_tracepoint_args *ctx) { return 0; }
int empty_exit(struct bpf_raw_tracepoint_args *ctx) { return 0; }
"""


def wait() -> None:
    """Say that it stands, and wait for the end of the input."""
    print("ready", flush=True)
    sys.stdin.read()


def empty() -> None:
    """Attach two programs of no instruction."""
    os.environ["BCC_KERNEL_SOURCE"] = str(probe.PACKAGE / "kernel/bpf/headers")
    import bcc  # noqa: PLC0415 - reads the environment above

    program = bcc.BPF(text=EMPTY)
    loaded = [program.load_func(name, bcc.BPF.RAW_TRACEPOINT).fd for name in ("empty_enter", "empty_exit")]
    links = [
        bpf_syscall.raw_tracepoint_open(name, fd) for name, fd in zip(("sys_enter", "sys_exit"), loaded, strict=True)
    ]
    wait()
    for link in links:
        os.close(link)


def idle() -> None:
    """Trace something, end that, and stay."""
    tracer = loading.load()
    cgroup = Cgroup(cgroup_root())
    tracer.remove(tracer.add_container(cgroup.path, wanted=None))
    cgroup.remove()
    if tracer.attached:
        raise SystemExit("programs are attached although no trace runs")
    wait()
    tracer.close()


if __name__ == "__main__":
    {"empty": empty, "idle": idle}[sys.argv[1]]()
