"""The CRI client against a runtime on a real unix socket."""

import asyncio
import json
from pathlib import Path

import pytest

from kubestrace_agent.containers import cri
from kubestrace_protos.cri.v1 import api_pb2

ID = "0123456789abcdef" * 4


def answer(**info: object) -> api_pb2.ContainerStatusResponse:
    """Give a running container as containerd describes it."""
    return api_pb2.ContainerStatusResponse(
        status=api_pb2.ContainerStatus(
            id=ID,
            state=api_pb2.CONTAINER_RUNNING,
            started_at=1_700_000_000_000_000_000,
            labels={"io.kubernetes.pod.uid": "11111111-2222-3333-4444-555555555555"},
        ),
        info={"info": json.dumps(info)} if info else {},
    )


async def test_a_container_is_described(tmp_path: Path, runtime, serve_runtime) -> None:
    """State, pod, start, pid and cgroup path come from the verbose answer."""
    runtime.known[ID] = answer(pid=4711, runtimeSpec={"linux": {"cgroupsPath": "/kubepods/x"}})
    await serve_runtime(tmp_path / "s")

    async with cri.Runtime([tmp_path / "s"]) as client:
        status = await client.container_status(ID)

    assert status == cri.Status(
        running=True,
        pod_uid="11111111-2222-3333-4444-555555555555",
        start_time_unix_ns=1_700_000_000_000_000_000,
        pid=4711,
        cgroups_path="/kubepods/x",
    )
    assert runtime.asked[0].verbose


async def test_a_container_that_has_ended_is_described(tmp_path: Path, runtime, serve_runtime) -> None:
    """Which container of the pod it was, and how it ended."""
    runtime.known[ID] = api_pb2.ContainerStatusResponse(
        status=api_pb2.ContainerStatus(
            id=ID,
            metadata=api_pb2.ContainerMetadata(name="app", attempt=2),
            state=api_pb2.CONTAINER_EXITED,
            exit_code=137,
            reason="OOMKilled",
            finished_at=1_700_000_000_000_000_009,
        )
    )
    await serve_runtime(tmp_path / "s")

    async with cri.Runtime([tmp_path / "s"]) as client:
        status = await client.container_status(ID)

    assert status is not None
    assert (status.name, status.attempt, status.running, status.exited) == ("app", 2, False, True)
    assert (status.exit_code, status.reason, status.finish_time_unix_ns) == (
        137,
        "OOMKilled",
        1_700_000_000_000_000_009,
    )


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"pid": "x", "runtimeSpec": null}', '{"runtimeSpec": {}}'])
async def test_verbose_information_may_be_anything(tmp_path: Path, runtime, serve_runtime, text: str) -> None:
    """What a runtime leaves out or writes in another form is unknown, not an error."""
    runtime.known[ID] = answer()
    runtime.known[ID].info["info"] = text
    await serve_runtime(tmp_path / "s")

    async with cri.Runtime([tmp_path / "s"]) as client:
        status = await client.container_status(ID)

    assert status is not None
    assert (status.pid, status.cgroups_path) == (0, "")


async def test_an_unknown_container_is_none(tmp_path: Path, serve_runtime) -> None:
    """NOT_FOUND is an answer, not a failure of the runtime."""
    await serve_runtime(tmp_path / "s")

    async with cri.Runtime([tmp_path / "s"]) as client:
        assert await client.container_status(ID) is None


async def test_sockets_are_tried_in_order(tmp_path: Path, runtime, serve_runtime) -> None:
    """One that is missing and one that nobody serves are passed by."""
    runtime.known[ID] = answer()
    (tmp_path / "dead").touch()
    await serve_runtime(tmp_path / "alive")

    async with cri.Runtime([tmp_path / "missing", tmp_path / "dead", tmp_path / "alive"]) as client:
        assert await client.container_status(ID) is not None


async def test_a_runtime_that_restarts_is_found_again(tmp_path: Path, runtime, serve_runtime) -> None:
    """The client survives a restart of the runtime on the same socket."""
    runtime.known[ID] = answer()
    first = await serve_runtime(tmp_path / "s")

    async with cri.Runtime([tmp_path / "s"]) as client:
        await client.container_status(ID)
        await first.stop(0)
        await serve_runtime(tmp_path / "s")

        assert await client.container_status(ID) is not None


async def test_nobody_answering_names_what_was_tried(tmp_path: Path) -> None:
    """The error lists the sockets and what each said."""
    (tmp_path / "dead").touch()

    async with cri.Runtime([tmp_path / "missing", tmp_path / "dead"]) as client:
        with pytest.raises(cri.RuntimeUnavailableError, match=r"missing is not there; .*dead answered UNAVAILABLE"):
            await client.container_status(ID)


async def test_a_runtime_that_hangs_is_given_up(tmp_path: Path, runtime, serve_runtime) -> None:
    """A stuck runtime costs the timeout and no more."""
    runtime.delay_seconds = 30
    await serve_runtime(tmp_path / "s")

    async with cri.Runtime([tmp_path / "s"], timeout_seconds=0.1) as client:
        with pytest.raises(cri.RuntimeUnavailableError, match="DEADLINE_EXCEEDED"):
            await client.container_status(ID)


async def test_a_slow_answer_concerns_nobody_else(tmp_path: Path, runtime, serve_runtime) -> None:
    """A look-up that runs into its deadline closes nothing: others on the same connection have their answers."""
    runtime.known[ID] = runtime.known["slow"] = answer()
    await serve_runtime(tmp_path / "s")

    async with cri.Runtime([tmp_path / "s"], timeout_seconds=0.6) as client:
        await client.container_status(ID)
        runtime.delays = {"slow": 30.0, ID: 0.4}
        slow = asyncio.create_task(client.container_status("slow"))
        await asyncio.sleep(0.35)
        others = [asyncio.create_task(client.container_status(ID)) for _ in range(15)]

        with pytest.raises(cri.RuntimeUnavailableError, match="DEADLINE_EXCEEDED"):
            await slow
        assert all([await other is not None for other in others])


async def test_a_lost_connection_cancels_nobody(tmp_path: Path, runtime, serve_runtime) -> None:
    """Look-ups that are under way when the runtime goes away fail as look-ups do, none is cancelled."""
    runtime.known[ID] = answer()
    first = await serve_runtime(tmp_path / "s")

    async with cri.Runtime([tmp_path / "s"], timeout_seconds=2.0) as client:
        await client.container_status(ID)
        runtime.delay_seconds = 1.0
        asked = [asyncio.create_task(client.container_status(ID)) for _ in range(5)]
        await asyncio.sleep(0.2)
        await first.stop(0)
        (tmp_path / "s").unlink(missing_ok=True)
        results = await asyncio.gather(*asked, return_exceptions=True)

    assert all(isinstance(result, cri.RuntimeUnavailableError) for result in results)


async def test_a_caller_that_goes_away_is_cancelled_alone(tmp_path: Path, runtime, serve_runtime) -> None:
    """Its cancellation is its own, and the connection stays."""
    runtime.known[ID] = answer()
    await serve_runtime(tmp_path / "s")

    async with cri.Runtime([tmp_path / "s"]) as client:
        await client.container_status(ID)
        runtime.delay_seconds = 0.3
        gone, stays = (asyncio.create_task(client.container_status(ID)) for _ in range(2))
        await asyncio.sleep(0.1)
        gone.cancel()

        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await stays is not None
