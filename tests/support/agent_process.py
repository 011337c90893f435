"""A real agent in a process of its own, and containers made of real cgroups, for tests that run as root."""

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
from authority import Authority, Leaf, channel

from kubestrace_agent.containers import cgroups, procfs
from kubestrace_protos.v1 import agent_pb2, agent_pb2_grpc

# Waits to be told, makes known calls, and says so; then lives until its input ends.
_PROGRAM = """
import os, sys
os.write(1, b"r")
while os.read(0, 1):
    for _ in range({calls}): os.getppid()
    for _ in range({errors}):
        try: os.chdir("/does/not/exist")
        except OSError: pass
    os.write(1, b"d")
"""


def wait_until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until something is so. TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {seconds} s")
        time.sleep(0.01)


class Agent:
    """One `python -m kubestrace_agent`."""

    def __init__(self, folder: Path, authority: Authority, *, within: Sequence[str] = (), **environment: str) -> None:
        # `within`: a command that runs the agent with less than the test has.
        self.authority = authority
        self.folder = folder
        self.socket = folder / "health.sock"
        if not (folder / "tls").exists():
            authority.write(folder / "tls", authority.agent())
        self._log = folder / f"agent-{secrets.token_hex(4)}.log"
        settings = {
            "KUBESTRACE_NODE_NAME": "test-node",
            "KUBESTRACE_LISTEN": "127.0.0.1:0",
            "KUBESTRACE_HEALTH_LISTEN": "127.0.0.1:0",
            "KUBESTRACE_HEALTH_SOCKET": str(self.socket),
            "KUBESTRACE_TLS_DIR": str(folder / "tls"),
            "KUBESTRACE_CRI_SOCKET": str(folder / "no-runtime.sock"),
            **environment,
        }
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*within, sys.executable, "-m", "kubestrace_agent"],
                env={**os.environ, **settings},
                stderr=log,
                stdout=log,
                # A group of its own to the scheduler, as a container is.
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """Everything it said so far."""
        return self._log.read_text()

    def ready(self) -> "Agent":
        """Wait until it serves."""
        wait_until(lambda: self.process.poll() is not None or " serves on port " in self.log, 200)
        assert self.process.poll() is None, self.log
        return self

    def port(self, what: str = "serves") -> int:
        """Give a port out of its log: `serves` or `health`."""
        match = re.search(rf"{what} on port (\d+)", self.log)
        assert match, self.log
        return int(match[1])

    def connect(self, client: Leaf | None = None, authority: Authority | None = None) -> grpc.aio.Channel:
        """Connect as the operator, or as somebody else."""
        return channel(self.port(), authority or self.authority, client or self.authority.operator())

    def end(self, number: int = signal.SIGTERM, seconds: float = 60.0) -> int:
        """End it by a signal; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def attached_programs(self) -> int:
        """Count the programs that it has attached."""
        links = 0
        for file in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                target = str(file.readlink())
            except OSError:
                continue
            links += "bpf_link" in target or "bpf-raw-tracepoint" in target or "raw_tracepoint" in target
        return links

    def cpu_seconds(self) -> float:
        """Give its use of CPU so far, exact, over all threads that live."""
        used_ns = 0
        for task in procfs.threads(Path("/proc"), self.process.pid):
            with contextlib.suppress(OSError):  # a thread that has ended meanwhile
                used_ns += int((task / "schedstat").read_text().split()[0])
        return used_ns / 1e9

    def wake_ups(self) -> int:
        """Count how often its threads that live have gone on after a wait."""
        found = 0
        for task in procfs.threads(Path("/proc"), self.process.pid):
            with contextlib.suppress(OSError):  # a thread that has ended meanwhile
                text = (task / "status").read_text(errors="replace")
                found += int(text.partition("voluntary_ctxt_switches:")[2].split()[0])
        return found

    def rss_mebibytes(self) -> float:
        """Give its resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match
        return int(match[1]) / 1024


class Container:
    """A cgroup named as kubelet and runc name it (cgroupfs driver), and a process in it."""

    def __init__(self, parent: Path, *, calls: int = 0, errors: int = 0, nested: str = "") -> None:
        self.pod_uid = str(uuid.uuid4())
        self.id = secrets.token_hex(32)
        self.cgroup = parent / "kubepods" / "besteffort" / f"pod{self.pod_uid}" / self.id
        home = self.cgroup / nested
        home.mkdir(parents=True)
        procs = str(home / "cgroup.procs")
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", _PROGRAM.format(calls=calls, errors=errors)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: Path(procs).write_text(str(os.getpid())),  # noqa: PLW1509 - no threads here
        )
        self._expect(b"r")

    def work(self) -> None:
        """Make the known calls once, and wait until they are made."""
        assert self.process.stdin
        self.process.stdin.write(b"g")
        self.process.stdin.flush()
        self._expect(b"d")

    def _expect(self, word: bytes) -> None:
        assert self.process.stdout
        assert self.process.stdout.read(1) == word

    def end(self) -> None:
        """End its process and wait for it."""
        if self.process.poll() is None:
            self.process.communicate(timeout=200)

    def message(self, name: str = "app") -> agent_pb2.Container:
        """Name it as the operator does."""
        return agent_pb2.Container(
            pod_uid=self.pod_uid, pod_name="pod", container_name=name, container_id=f"containerd://{self.id}"
        )


class Tree:
    """A part of the real cgroup tree that belongs to one test."""

    def __init__(self) -> None:
        self.root = cgroups.detect(Path("/sys/fs/cgroup")).root / f"kubestrace-test-{secrets.token_hex(4)}"
        self.root.mkdir()
        self._containers: list[Container] = []

    def container(self, *, calls: int = 0, errors: int = 0, nested: str = "") -> Container:
        """Start a container."""
        self._containers.append(Container(self.root, calls=calls, errors=errors, nested=nested))
        return self._containers[-1]

    def remove(self) -> None:
        """End the containers and remove the cgroups."""
        for container in self._containers:
            container.end()
        for folder in reversed(list(cgroups.below(self.root))):
            folder.rmdir()


def request(*containers: Container, session: str = "session-1", **fields: object) -> agent_pb2.StartTraceRequest:
    """Ask for a trace of a minute."""
    return agent_pb2.StartTraceRequest(
        session_uid=session,
        session_name=f"test/{session}",
        containers=[each.message() for each in containers],
        **{"duration_milliseconds": 60_000, **fields},  # type: ignore[arg-type]
    )


def counts(report: agent_pb2.Report, container: Container) -> dict[str, tuple[int, int]]:
    """Sum up one container as {syscall: (calls, errors)}."""
    (found,) = (each for each in report.containers if each.state.container.container_id.endswith(container.id))
    summed: dict[str, tuple[int, int]] = {}
    for each in found.syscalls:  # those calls that waited stand apart
        calls, errors = summed.get(each.name, (0, 0))
        summed[each.name] = calls + each.calls, errors + each.errors
    return summed


Stub = agent_pb2_grpc.AgentStub
