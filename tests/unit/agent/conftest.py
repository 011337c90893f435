"""Small fakes for the agent's parts: a tracer that counts what a test tells it to, a node of folders, a runtime."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from kubestrace_agent.containers import resolver
from kubestrace_agent.kernel.counters.tracer import NodeFullError, RawCounts, Row, UnsupportedKernelError
from kubestrace_agent.kernel.loader.programs import WalkFailures
from kubestrace_agent.service import limits as admission
from kubestrace_agent.syscalls import SyscallKey
from kubestrace_agent.traces import registry
from kubestrace_agent.traces.session import Node
from kubestrace_agent.views.slow_calls.values import Floors, SlowCall
from kubestrace_protos.cri.v1 import api_pb2, api_pb2_grpc
from kubestrace_protos.v1 import agent_pb2

READ = SyscallKey("x86_64", 0)
GETPPID = SyscallKey("x86_64", 110)


class FakeTracer:
    """Counts what `call` says, as long as it is wanted, like the real one."""

    def __init__(self, max_containers: int = 8) -> None:
        self.max_containers = max_containers
        self.slots: dict[int, Path] = {}
        self.begun: set[int] = set()
        self.wanted: dict[int, frozenset[SyscallKey] | None] = {}
        self.rows: dict[int, dict[SyscallKey, Row]] = {}
        self.epoch = 0
        self.broken = False
        self.closed = False
        self.skipped_calls = 0
        self.walk_failures = WalkFailures()
        # How often counters and views were read.
        self.snapshots = 0
        self.reads = 0
        # The slots that were read between two snapshots, each time.
        self.peeks: list[set[int]] = []
        self.trimmed: dict[int, int] = {}
        # How many calls in flight at attach there were, all of them forgotten.
        self.attach_end = 0
        # By slot: what is asked for, what the next read tells, what was lost.
        self.floors: dict[int, Floors] = {}
        self.pressing_parts: set[str] = set()
        self.told: dict[int, list[SlowCall]] = {}
        self.slow_lost = 0
        self.tells_slow_calls = True

    def reserve_container(self, cgroup_path: Path, *, wanted: frozenset[SyscallKey] | None) -> int:
        """Give a slot."""
        if len(self.slots) >= self.max_containers:
            raise NodeFullError("no slot is free")
        slot = max(self.rows, default=0) + 1
        self.slots[slot], self.wanted[slot], self.rows[slot] = cgroup_path, wanted, {}
        return slot

    def begin(self, slot: int) -> None:
        """Count from now on."""
        self.begun.add(slot)

    def set_wanted(self, slot: int, wanted: frozenset[SyscallKey] | None) -> None:
        """Change what is counted."""
        self.wanted[slot] = wanted

    def stop(self, slots: Iterable[int]) -> None:
        """Count nothing more."""
        self.wanted.update(dict.fromkeys(slots, frozenset()))

    def remove(self, slot: int) -> None:
        """Give a slot back."""
        del self.slots[slot]

    def make_room(self) -> None:
        """Have room."""

    def snapshot(self, slots: Iterable[int]) -> dict[int, RawCounts]:
        """Read what was called."""
        if self.broken:
            raise ValueError("the counters make no sense")
        self.epoch += 1
        self.snapshots += 1
        now = time.monotonic_ns()
        return {
            slot: RawCounts(epoch=self.epoch, time_ns=now, rows=dict(self.rows[slot]), attach_first=self.attach_end)
            for slot in slots
        }

    def peek(self, slots: Collection[int]) -> dict[int, RawCounts]:
        """Read what was called, between two snapshots."""
        self.peeks.append(set(slots))
        now = time.monotonic_ns()
        return {slot: RawCounts(epoch=self.epoch, time_ns=now, rows=dict(self.rows[slot])) for slot in slots}

    def join(self, slots: Sequence[int]) -> dict[int, RawCounts]:
        """Read what further traces begin with."""
        return {slot: replace(counts, joined_ns=counts.time_ns) for slot, counts in self.snapshot(slots).items()}

    def trim(self, slot: int, position: int) -> None:
        """Remember what was let go of."""
        self.trimmed[slot] = position

    def enable(self, part: str, slot: int, wanted: Floors | None) -> None:
        """Remember what is asked for."""
        if not self.tells_slow_calls:
            raise UnsupportedKernelError("UnsupportedKernel", "no such field")
        if wanted is None:
            self.floors.pop(slot, None)
        else:
            self.floors[slot] = wanted

    def read(self, part: str) -> dict[int, list[SlowCall]]:
        """Tell once what a test put there."""
        self.reads += 1
        told, self.told = self.told, {}
        return told

    def needs_drain(self, part: str) -> bool:
        """Tell whether a test says so."""
        return bool(self.told) and part in self.pressing_parts

    def lost(self, part: str, slot: int) -> int:
        """Give what a test says."""
        return self.slow_lost

    def close(self) -> None:
        """Remember that."""
        self.closed = True

    def call(self, cgroup: Path, key: SyscallKey = GETPPID, times: int = 1) -> None:
        """Make calls of 5 ns in a container."""
        for slot, path in self.slots.items():
            wanted = self.wanted[slot]
            if slot in self.begun and path == cgroup and (wanted is None or key in wanted):
                known = self.rows[slot].get(key, Row())
                count = known.buckets.get(5, 0) + times
                self.rows[slot][key] = Row(
                    total_ns=5 * count, buckets={5: count}, maxima=((self.epoch + 1, 5), *known.maxima)[:1]
                )


class FakeNode:
    """Resolves containers to folders that look like cgroups to those who ask whether anybody lives there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.started_ns: dict[str, int] = {}
        self.delay_seconds = 0.0

    def run(self, name: str) -> Path:
        """Make a container run."""
        cgroup = self.root / name
        cgroup.mkdir(exist_ok=True)
        (cgroup / "cgroup.events").write_text("populated 1\nfrozen 0\n")
        return cgroup

    def end(self, name: str) -> None:
        """End its last process."""
        (self.root / name / "cgroup.events").write_text("populated 0\nfrozen 0\n")

    async def resolve(self, container: agent_pb2.Container) -> resolver.Resolved:
        """Find a container that runs."""
        await asyncio.sleep(self.delay_seconds)
        cgroup = self.root / container.container_id
        if not cgroup.exists():
            raise resolver.UnresolvedError("ContainerNotFound", f"no {container.container_id} here")
        started_ns = self.started_ns.get(container.container_id, 0)
        return resolver.Resolved(cgroup, cgroup.stat().st_ino, host_pid=4711, pid=1, start_time_unix_ns=started_ns)


@pytest.fixture
def tracer() -> FakeTracer:
    """Give a tracer with room for eight containers."""
    return FakeTracer()


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    """Give a node on which nothing runs yet."""
    root = tmp_path / "containers"
    root.mkdir()
    return FakeNode(root)


MakeTraces = Callable[..., registry.Traces]


@pytest.fixture
async def make_traces(tracer: FakeTracer, node: FakeNode) -> AsyncIterator[MakeTraces]:
    """Make traces on the fake node; they are shut down after the test."""
    made: list[registry.Traces] = []

    def make(
        *, can_trace: bool = True, clock_ns: Callable[[], int] = time.time_ns, **limits: int | float
    ) -> registry.Traces:
        cannot = None if can_trace else ("UnsupportedKernel", "this kernel is too old")
        made.append(
            registry.Traces(
                tracer if can_trace else None,
                node,
                node=Node("n1", "agent-1", cannot),
                limits=admission.Limits(**limits),  # type: ignore[arg-type]
                clock_ns=clock_ns,
            )
        )
        return made[-1]

    yield make
    for each in made:
        await each.shutdown()


class FakeRuntime(api_pb2_grpc.RuntimeServiceServicer):
    """A container runtime's side of the CRI."""

    def __init__(self) -> None:
        self.known: dict[str, api_pb2.ContainerStatusResponse] = {}
        self.asked: list[api_pb2.ContainerStatusRequest] = []
        self.delay_seconds = 0.0
        # By container, where it is another.
        self.delays: dict[str, float] = {}

    async def ContainerStatus(  # noqa: N802
        self, request: api_pb2.ContainerStatusRequest, context: grpc.aio.ServicerContext
    ) -> api_pb2.ContainerStatusResponse:
        """Answer from what is known."""
        self.asked.append(request)
        await asyncio.sleep(self.delays.get(request.container_id, self.delay_seconds))
        if request.container_id not in self.known:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such container")
        return self.known[request.container_id]


@pytest.fixture
def runtime() -> FakeRuntime:
    """Give a runtime that knows no container yet."""
    return FakeRuntime()


ServeRuntime = Callable[[Path], Awaitable[grpc.aio.Server]]


@pytest.fixture
async def serve_runtime(runtime: FakeRuntime) -> AsyncIterator[ServeRuntime]:
    """Serve the runtime on a unix socket."""
    servers: list[grpc.aio.Server] = []

    async def serve(socket: Path) -> grpc.aio.Server:
        server = grpc.aio.server()
        api_pb2_grpc.add_RuntimeServiceServicer_to_server(runtime, server)
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        servers.append(server)
        return server

    yield serve
    for server in servers:
        await server.stop(0)
