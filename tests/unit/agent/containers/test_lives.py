"""Lives of containers: named by the runtime from their cgroups' names, with how they ended."""

from collections.abc import Iterable

import pytest

from kubestrace_agent.containers import cri, lives

ID = "4d3a" * 16
SCOPE = f"cri-containerd-{ID}.scope"


class Runtime:
    """Answers in turn, the last one for ever; None: no such container; an error is raised."""

    def __init__(self, answers: Iterable[cri.Status | Exception | None]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def container_status(self, container_id: str) -> cri.Status | None:
        """Give the next answer."""
        self.asked.append(container_id)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def status(**more: object) -> cri.Status:
    """Give the second container `app` of a pod."""
    known = {"running": True, "pod_uid": "", "start_time_unix_ns": 5, "pid": 1, "cgroups_path": ""}
    return cri.Status(**(known | {"name": "app", "attempt": 1} | more))  # type: ignore[arg-type]


EXITED = {"running": False, "exited": True, "exit_code": 3, "reason": "Error", "finish_time_unix_ns": 9}


async def test_a_cgroup_is_named() -> None:
    """By the container ID in its name."""
    runtime = Runtime([status()])

    assert await lives.identify(runtime, SCOPE) == lives.Life(ID, "app", 1, 5)
    assert runtime.asked == [ID]


@pytest.mark.parametrize(
    "name",
    [
        ID,
        SCOPE,
        f"crio-{ID}",
        f"crio-{ID}.scope",
        f"docker-{ID}.scope",
        f"kubepods-burstable-pod0a1b2c3d_0000_4000_8000_0123456789ab.slice:cri-containerd:{ID}",
    ],
)
def test_the_id_in_a_cgroups_name(name: str) -> None:
    """Of containerd and CRI-O, under both cgroup drivers, and where kubelet and runtime disagree about them."""
    assert lives.container_id(name) == ID


@pytest.mark.parametrize("name", [f"crio-conmon-{ID}.scope", "init.scope", "inner", "container", ID[:-1], f"{ID}0"])
def test_cgroups_without_an_id(name: str) -> None:
    """Conmon's, and those that a container makes for itself."""
    assert lives.container_id(name) is None


async def test_what_is_no_container_of_the_spec() -> None:
    """A sandbox, which the runtime does not know as a container, conmon's cgroup, and any other."""
    runtime = Runtime([None])

    assert await lives.identify(runtime, SCOPE) is None
    assert await lives.identify(runtime, f"crio-conmon-{ID}.scope") is None
    assert await lives.identify(runtime, "init.scope") is None
    assert runtime.asked == [ID]


async def test_a_runtime_that_does_not_answer_names_nothing() -> None:
    """The container is traced all the same: the operator finds its name in the pod's status."""
    runtime = Runtime([cri.RuntimeUnavailableError("no socket")])

    life = await lives.identify(runtime, SCOPE)
    assert life == lives.Life(ID)
    assert await lives.ending(runtime, life, within_seconds=0) == lives.Life(ID)


async def test_a_runtime_that_is_busy_is_asked_again() -> None:
    """So that a container has its name and its end, and its sandbox no row."""
    busy = cri.RuntimeUnavailableError("the container runtime answered DEADLINE_EXCEEDED")

    assert await lives.identify(Runtime([busy, busy, status()]), SCOPE) == lives.Life(ID, "app", 1, 5)
    assert await lives.identify(Runtime([busy, None]), SCOPE) is None
    for times in (1, 4):
        life = await lives.ending(Runtime([*times * [busy], status(**EXITED)]), lives.Life(ID, "app", 1, 5))
        assert life == lives.Life(ID, "app", 1, 5, True, 3, "Error", 9)


async def test_an_end_is_awaited() -> None:
    """The runtime notices it later than the kernel."""
    runtime = Runtime([status(), status(), status(**EXITED)])

    life = await lives.ending(runtime, lives.Life(ID, "app", 1, 5))

    assert life == lives.Life(ID, "app", 1, 5, True, 3, "Error", 9)
    assert len(runtime.asked) == 3


async def test_an_end_is_not_awaited_for_ever() -> None:
    """One that the runtime does not see is left open; one that is removed stays as it was known."""
    assert await lives.ending(Runtime([status()]), lives.Life(ID), within_seconds=0) == lives.Life(ID, "app", 1, 5)
    assert await lives.ending(Runtime([None]), lives.Life(ID, "app")) == lives.Life(ID, "app")
