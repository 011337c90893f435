"""What the figures were measured on."""

import datetime
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGES = (
    "strace",
    "linux-perf",
    "bpfcc-tools",
    "libbpf-tools",
    "bpftrace",
    "redis-server",
    "nginx",
    "wrk",
    "python3",
)

_NICENESS = -15


def describe() -> dict[str, object]:
    """The machine, its kernel and the tools' versions."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "mitigations": _mitigations(),
        "packages": _versions(),
        "loadAtStart": load(),
    }


@contextmanager
def favoured() -> Iterator[None]:
    """Put all that this session starts before others, target, tracer and client alike: what else runs disturbs less.

    Where the kernel weighs sessions (autogroup), a process's own niceness holds within its session only.
    """
    group = Path("/proc/self/autogroup")
    before = group.read_text(encoding="ascii").split()[-1] if group.exists() else None
    own = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    if before is not None:
        group.write_text(str(_NICENESS), encoding="ascii")
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, own)
        if before is not None:
            group.write_text(before, encoding="ascii")


def load() -> float:
    """Processes that ran or wanted to, averaged over a minute."""
    return round(os.getloadavg()[0], 2)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "CPU part"))]
    flags = next((line for line in lines if line.startswith("flags")), "")
    return (names[0] if names else platform.machine()) + (", a virtual machine" if " hypervisor" in flags else "")


def _mitigations() -> str:
    """What the kernel does against attacks by speculation makes calls dear."""
    files = sorted(Path("/sys/devices/system/cpu/vulnerabilities").glob("*"))
    said = {file.name: file.read_text(encoding="utf-8").strip() for file in files}
    return ", ".join(name for name, text in said.items() if text.startswith("Mitigation")) or "none"


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        query = ["dpkg-query", "-W", "-f", "${Version}", name]
        asked = subprocess.run(query, capture_output=True, text=True, check=False, timeout=600)
        if asked.returncode == 0:
            found[name] = asked.stdout
    return found
