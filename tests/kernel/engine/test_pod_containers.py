"""Containers of watched pods are counted from their first call to their last, and without what the runtime does."""

import os
import platform
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_runs import Counts, cgroup_root, counted, links

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.pod_slots import READY_SLOTS, NewPod, PodSlots
from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.pods import PodContainer
from kubestrace_agent.syscalls import names
from kubestrace_agent.traces.delta import difference

ID = "4d3a" * 16
# Those of `life 5`: 7 calls, one of which fails.
SEVEN = {("getppid", ""): (5, 0), ("openat", ""): (1, 1), ("exit_group", ""): (1, 0)}


class Pods:
    """Pods of a test: cgroups as a node has them, and what is counted there."""

    def __init__(self, tracer: Tracer, program: Callable[[str], Path]) -> None:
        self.tracer = tracer
        self.program = program
        self.root = cgroup_root() / f"kubestrace-pods-{uuid.uuid4().hex[:12]}"
        self.root.mkdir()
        self.slots = PodSlots(tracer, [3])
        self.uids: list[str] = []
        self.running: list[subprocess.Popen[bytes]] = []

    def watch(self, uid: str = "", **more: int) -> str:
        """Watch a pod: its UID, without dashes."""
        self.uids.append(uid or uuid.uuid4().hex)
        assert self.slots.add([NewPod(self.uids[-1], None, **more)]) == {}
        return self.uids[-1]

    def pod(self, uid: str, form: str = "pod{uid}") -> Path:
        """Create a pod's cgroup."""
        path = self.root / form.format(uid=uuid.UUID(uid), uid_=str(uuid.UUID(uid)).replace("-", "_"), bare=uid)
        path.mkdir()
        return path

    def container(self, pod: Path, name: str = ID) -> Path:
        """Create a container's cgroup."""
        (pod / name).mkdir()
        return pod / name

    def start(self, how: str, cgroup: Path, *command: str | Path) -> "subprocess.Popen[bytes]":
        """Bring a program into a cgroup, as a runtime does."""
        command = (self.program("runtime"), how, cgroup, *command)
        self.running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL))
        return self.running[-1]

    def live(self, cgroup: Path, count: int = 5, how: str = "w") -> None:
        """Run a program of known calls from its first to its last."""
        assert self.start(how, cgroup, self.program("life"), str(count)).wait(60) == 3

    def containers(self) -> dict[str, PodContainer]:
        """The containers that the kernel has found, by the names of their cgroups."""
        self.slots.changes()
        return {each.name: each for each in self.slots._containers.values()}

    def wait_for_start(self, name: str) -> None:
        """Wait until a container's program was executed."""
        deadline = time.monotonic() + 200
        while not self.containers()[name].started_ns:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def counts(self, slot: int) -> Counts:
        """What was counted in a slot."""
        now = self.tracer.snapshot([slot])[slot]
        return counted(list(difference(None, now, wanted=None, architecture=platform.machine()).syscalls))

    def calls(self, slot: int) -> dict[tuple[str, str], tuple[int, int]]:
        """The calls and errors of a slot."""
        return {key: (calls, errors) for key, (calls, errors, *_) in self.counts(slot).items() if calls}

    def runtime(self, uid: str) -> dict[tuple[str, str], tuple[int, int]]:
        """What the runtime did in the pod's containers."""
        return self.calls(self.slots._pods[uid].runtime_slot)

    def waiting(self, uid: str) -> set[tuple[str, str]]:
        """The calls in which the runtime is in the pod's containers now."""
        slot = self.slots._pods[uid].runtime_slot
        calls = self.tracer.snapshot([slot])[slot].in_flight
        return {(names(each.key.abi)[each.key.number], "") for each in calls}

    def end(self) -> None:
        """Watch nothing any more, and end and remove what is left."""
        for uid in self.uids:
            self.slots.remove(uid)
        self.slots.close()
        for folder, _, _ in os.walk(self.root, topdown=False):
            for pid in (Path(folder) / "cgroup.procs").read_text(encoding="ascii").split():
                os.kill(int(pid), signal.SIGKILL)
        for each in self.running:
            each.wait(60)
        for folder, _, _ in os.walk(self.root, topdown=False):
            Path(folder).rmdir()


@pytest.fixture
def pods(tracer: Tracer, program: Callable[[str], Path]) -> Iterator[Pods]:
    """Pods that nobody else has."""
    made = Pods(tracer, program)
    yield made
    made.end()
    assert not tracer.attached
    assert links() == []


@pytest.mark.parametrize("how", ["w", "s", "c", "wh", "sh", "ch", "we", "ce", "se", "weh"])
def test_a_life_is_counted_from_its_first_call_to_its_last(pods: Pods, how: str) -> None:
    """However the runtime brings it into its cgroup, and whatever the runtime and its hooks do there before."""
    uid = pods.watch()
    pods.live(pods.container(pods.pod(uid)), how=how)
    life = pods.containers()[ID]

    assert pods.calls(life.slot) == SEVEN
    assert 0 < life.created_ns < life.started_ns < life.emptied_ns
    assert (life.removed_ns, life.level) == (0, 3)
    runtime = pods.runtime(uid)
    assert runtime["getppid", ""] == (100, 0)
    assert runtime["execve", ""][0] == 1 + ("h" in how) + ("e" in how)
    assert (("openat", "") in runtime) == ("h" in how)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("pod{uid}", ID),
        ("pod{uid}", f"crio-{ID}"),
        ("pod{bare}", ID),
        ("kubepods-burstable-pod{uid_}.slice", f"cri-containerd-{ID}.scope"),
        ("kubepods-pod{uid_}.slice", f"crio-{ID}.scope"),
        ("kubelet-kubepods-besteffort-pod{uid_}.slice", f"docker-{ID}.scope"),
        ("kubepods-pod{bare}.slice", ID),
    ],
)
def test_forms_of_a_pods_cgroup(pods: Pods, form: str, name: str) -> None:
    """Of both drivers, with dashes, underscores and neither (static pods)."""
    uid = pods.watch()
    pods.live(pods.container(pods.pod(uid, form), name))

    assert pods.calls(pods.containers()[name].slot) == SEVEN


def test_a_container_that_stands_beside_its_pod(pods: Pods) -> None:
    """Where kubelet and the runtime disagree about the driver, its own name tells its pod."""
    uid = pods.watch()
    form = "kubepods-besteffort-pod{uid_}.slice"
    pods.pod(uid, form)
    beside = pods.pod(uid, form + f":cri-containerd:{ID}")
    pods.live(beside)

    assert pods.calls(pods.containers()[beside.name].slot) == SEVEN


@pytest.mark.parametrize(
    "form", ["pods{uid}", "pod{uid}a", "pod-{uid}-b.slice", "pod", "x" * 250, "{uid}", "pod{uid}.slic"]
)
def test_what_is_no_pod_is_none(pods: Pods, form: str) -> None:
    """Other names, however much they look like a pod's, and other pods."""
    uid = pods.watch()
    stranger = pods.pod(uuid.uuid4().hex)
    for parent in (pods.pod(uid, form), stranger):
        pods.live(pods.container(parent))

    assert pods.containers() == {}
    assert pods.slots._maps.state(0).cgroup_id == 0


def test_a_pod_whose_cgroup_is_there_already(pods: Pods) -> None:
    """What starts from now on is counted, by the ID of the pod's cgroup."""
    uid = uuid.uuid4().hex
    pod = pods.pod(uid)
    before = pods.container(pod, "before")
    pods.watch(uid, cgroup_id=pod.stat().st_ino)
    pods.slots.found(uid, 1)
    pods.live(before)
    pods.live(pods.container(pod))

    assert set(pods.containers()) == {ID}
    assert pods.calls(pods.containers()[ID].slot) == SEVEN


def test_a_process_that_the_runtime_brings_in_later(pods: Pods) -> None:
    """`kubectl exec` and probes: their program is the container's, what the runtime does before it is not."""
    uid = pods.watch()
    cgroup = pods.container(pods.pod(uid))
    first = pods.start("w", cgroup, pods.program("life"), "5", "t")
    for how in ("w", "s", "c", "wh", "we", "ce"):
        pods.wait_for_start(ID)
        pods.live(cgroup, count=1000, how=how)
    first.communicate(b"x", timeout=200)
    life = pods.containers()[ID]

    expected = {key: (calls * 7, errors * 7) for key, (calls, errors) in SEVEN.items()}
    assert pods.calls(life.slot) == expected | {("getppid", ""): (6005, 0), ("read", ""): (1, 0)}
    assert pods.runtime(uid)["getppid", ""] == (700, 0)
    assert pods.tracer._config_halves[layout.CONFIG_JOINERS_HALF] == 0
    assert pods.slots.unmarked(uid) == 0


def test_nested_cgroups_are_the_containers(pods: Pods) -> None:
    """What a container makes below its own is no container; a process that moves there and back stays its own."""
    uid = pods.watch()
    cgroup = pods.container(pods.pod(uid))
    script = f"mkdir {cgroup}/inner; echo $$ >{cgroup}/inner/cgroup.procs; echo $$ >{cgroup}/cgroup.procs; exec $0 20"
    assert pods.start("w", cgroup, "/bin/sh", "-c", script, pods.program("life")).wait(60) == 3
    assert pods.start("w", cgroup / "inner", pods.program("life"), "3").wait(60) == 3
    life = pods.containers()[ID]

    assert list(pods.containers()) == [ID]
    calls = pods.calls(life.slot)
    assert calls["getppid", ""][0] in {23, 24}  # the shell asks once
    assert calls["execve", ""][0] >= 2  # the shell's: mkdir and its last
    assert pods.runtime(uid)["getppid", ""] == (200, 0)


@pytest.mark.parametrize("unshared", [(), ("unshare", "--pid", "--fork")])
def test_which_process_is_the_program(pods: Pods, unshared: tuple[str, ...]) -> None:
    """As the host numbers it and as it numbers itself: in a PID namespace of its own it is the first."""
    uid = pods.watch()
    cgroup = pods.container(pods.pod(uid))
    command = (*unshared, pods.program("runtime"), "w", cgroup, pods.program("life"), "5", "t")
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    pods.running.append(process)
    deadline = time.monotonic() + 200
    while ID not in pods.containers():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    pods.wait_for_start(ID)
    (host_pid,) = map(int, (cgroup / "cgroup.procs").read_text(encoding="ascii").split())
    life = pods.containers()[ID]
    process.communicate(b"x", timeout=200)

    assert life.pid == host_pid
    assert (life.inner_pid == host_pid) == (not unshared)
    assert life.inner_pid in {2, host_pid}


def test_a_container_that_the_runtime_nests(pods: Pods) -> None:
    """Processes in a cgroup below the container's, as crun has them, are the container's."""
    uid = pods.watch()
    scope = pods.container(pods.pod(uid, "kubepods-burstable-pod{uid_}.slice"), f"crio-{ID}.scope")
    pods.live(pods.container(scope, "container"))
    life = pods.containers()[scope.name]

    assert list(pods.containers()) == [scope.name]
    assert pods.calls(life.slot) == SEVEN
    assert life.emptied_ns
    assert pods.runtime(uid)["getppid", ""] == (100, 0)


def test_fifty_short_lives_at_a_time(pods: Pods) -> None:
    """Each is whole, on both CPUs and without a word from the agent in between."""
    uids = [pods.watch() for _ in range(50)]
    cgroups = [pods.container(pods.pod(uid), uid) for uid in uids]
    running = [
        pods.start("w", cgroup, pods.program("life"), str(100 + number)) for number, cgroup in enumerate(cgroups)
    ]
    assert {each.wait(60) for each in running} == {3}
    lives = pods.containers()

    assert sorted(lives) == sorted(uids)
    for number, uid in enumerate(uids):
        assert pods.calls(lives[uid].slot) == SEVEN | {("getppid", ""): (100 + number, 0)}


def test_lives_one_after_the_other(pods: Pods) -> None:
    """A crash loop: each life has a row of its own, also where the agent comes late."""
    uid = pods.watch()
    pod = pods.pod(uid)
    for number in range(8):
        cgroup = pods.container(pod, f"life-{number}")
        pods.live(cgroup, count=number)
        cgroup.rmdir()
        if number % READY_SLOTS == READY_SLOTS - 1:
            pods.slots.changes()
    lives = pods.containers()

    for number in range(8):
        life = lives[f"life-{number}"]
        assert pods.calls(life.slot).get(("getppid", ""), (0, 0)) == (number, 0)
        assert life.emptied_ns <= life.removed_ns
    assert pods.slots.missed(uid) == 0


def test_a_container_that_finds_no_slot_is_told(pods: Pods) -> None:
    """It is not counted, and counted as missed; the next one is whole again."""
    uid = pods.watch()
    pod = pods.pod(uid)
    for number in range(READY_SLOTS + 2):
        pods.live(pods.container(pod, f"life-{number}"))
    lives = pods.containers()
    pods.live(pods.container(pod, "later"))

    assert [name for name, life in lives.items() if not life.slot] == [
        f"life-{n}" for n in (READY_SLOTS, READY_SLOTS + 1)
    ]
    assert pods.slots.missed(uid) == 2
    assert pods.calls(pods.containers()["later"].slot) == SEVEN


def test_the_agent_is_woken(pods: Pods) -> None:
    """By the pod's cgroup and each change of its containers, until it has looked; never by others."""
    uid = pods.watch()
    watched = pods.slots.events_fd
    pods.pod(uuid.uuid4().hex)
    assert select.select([watched], [], [], 0)[0] == []
    pod = pods.pod(uid)
    assert select.select([watched], [], [], 30)[0] == [watched]
    assert pods.slots.changes() == []
    assert select.select([watched], [], [], 0)[0] == []
    pods.live(pods.container(pod))
    assert select.select([watched], [], [], 30)[0] == [watched]

    assert [each.name for each in pods.slots.changes()] == [ID]
    assert pods.slots.changes() == []


def test_a_program_that_cannot_be_executed(pods: Pods) -> None:
    """The container never starts, and all calls are the runtime's."""
    uid = pods.watch()
    assert pods.start("w", pods.container(pods.pod(uid)), "/no/such/program").wait(60) == 104
    life = pods.containers()[ID]

    assert (life.started_ns, pods.calls(life.slot)) == (0, {})
    assert life.emptied_ns > life.created_ns
    assert pods.runtime(uid)["execve", ""] == (1, 1)


def test_a_pod_that_is_created_again(pods: Pods) -> None:
    """As after its cgroup was removed: the new one is found."""
    uid = pods.watch()
    for _ in range(2):
        pod = pods.pod(uid)
        cgroup = pods.container(pod)
        pods.live(cgroup)
        cgroup.rmdir()
        pod.rmdir()

    assert len(pods.slots.changes()) == 2


def test_a_pod_is_left_while_the_runtime_is_in_its_container(pods: Pods) -> None:
    """Nothing of that process stays: neither for calls of the node nor for whoever has its PID next."""
    uid = pods.watch()
    cgroup = pods.container(pods.pod(uid))
    pods.start("w", cgroup, pods.program("life"), "5", "t")
    pods.wait_for_start(ID)
    pods.start("cz", cgroup, "/bin/true")
    deadline = time.monotonic() + 200
    while ("pause", "") not in (waiting := pods.waiting(uid)):
        assert time.monotonic() < deadline, waiting
        time.sleep(0.01)
    assert pods.tracer._config_halves[layout.CONFIG_JOINERS_HALF] == 1
    pods.slots.remove(uid)
    pods.uids.clear()

    assert pods.tracer._config_halves[layout.CONFIG_JOINERS_HALF] == 0
    for name in ("joiners", "slots_by_pid"):
        assert list(bpf_syscall.keys(pods.tracer._maps.fd(name), 4)) == []


def test_a_released_container_and_pod_give_everything_back(pods: Pods) -> None:
    """Slots are used again, and the pod's containers are counted by nobody."""
    before = len(pods.tracer._slots)
    uid = pods.watch()
    pod = pods.pod(uid)
    pods.live(pods.container(pod))
    (life,) = pods.slots.changes()
    pods.slots.release(life)
    pods.slots.release(life)
    assert len(pods.tracer._slots) == before + 1 + READY_SLOTS
    pods.slots.remove(uid)
    pods.uids.clear()
    pods.live(pods.container(pod, "unseen"))

    assert len(pods.tracer._slots) == before
    assert pods.slots.changes() == []


def test_pods_leave_slots_to_others(pods: Pods) -> None:
    """Where half of the node's slots are in use, one is ready for each further pod."""
    before = len(pods.tracer._slots)
    half = pods.tracer._max_containers // 2
    while pods.tracer.has_many_free():
        pods.watch()
    filled = len(pods.tracer._slots)
    last = pods.watch()
    cgroup = pods.container(pods.pod(last))
    pods.live(cgroup)

    assert half <= filled < half + 1 + READY_SLOTS
    assert len(pods.tracer._slots) == filled + 2
    assert pods.calls(pods.containers()[ID].slot) == SEVEN
    assert before < half
