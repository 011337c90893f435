"""Holds BPF programs for as long as its input is open: python hold.py empty|sockets|idle.

empty: two raw-tracepoint programs that do nothing, the floor of every tracer that uses the hooks.
sockets: one at each change of a TCP socket's state that does nothing, the floor of every tracer of connections.
idle: our programs loaded, as an agent has them, after one trace has ended; nothing may be attached.
"""

import os
import sys

from engine_runs import Cgroup, cgroup_root

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader import probe
from kubestrace_agent.views import loading

EMPTY = "int nothing(struct bpf_raw_tracepoint_args *ctx) { return 0; }"


def wait() -> None:
    """Say that it stands, and wait for the end of the input."""
    print("ready", flush=True)
    sys.stdin.read()


def empty(*hooks: str) -> None:
    """Attach a program of no instruction to each raw tracepoint."""
    os.environ["BCC_KERNEL_SOURCE"] = str(probe.PACKAGE / "kernel/bpf/headers")
    import bcc  # noqa: PLC0415 - reads the environment above

    # A program each: one that is at work is left out where it would begin anew.
    programs = [bcc.BPF(text=EMPTY) for _ in hooks]
    loaded = [program.load_func("nothing", bcc.BPF.RAW_TRACEPOINT).fd for program in programs]
    links = [bpf_syscall.raw_tracepoint_open(name, fd) for name, fd in zip(hooks, loaded, strict=True)]
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
    if sys.argv[1] == "idle":
        idle()
    else:
        empty(*{"empty": ("sys_enter", "sys_exit"), "sockets": ("inet_sock_set_state",)}[sys.argv[1]])
