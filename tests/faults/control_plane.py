"""Faults of the control plane: the API server and etcd."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kubectl import CommandError, run, until
from rig import Place, away, daemon, on_control, paused
from workloads import RIG

_ETCD = "http://127.0.0.1:2379"


@contextmanager
def api_server_killed(place: Place) -> Iterator[None]:
    """SIGKILL to the API server; it is away for a while."""
    run(str(RIG / "apiserver"), "stop", timeout_seconds=60)
    try:
        yield
    finally:
        run(str(RIG / "apiserver"), "start", timeout_seconds=200)


@contextmanager
def api_server_stopped(place: Place) -> Iterator[None]:
    """SIGSTOP to the API server: connections stay open, and nothing answers."""
    with paused("apiserver"):
        yield


@contextmanager
def etcd_killed(place: Place) -> Iterator[None]:
    """SIGKILL to etcd; it is away for a while."""
    with away("etcd"):
        yield


@contextmanager
def etcd_full(place: Place) -> Iterator[None]:
    """Etcd's quota is used up: nothing can be written until somebody gives it room and takes the alarm back."""
    daemon("kill", "etcd")
    daemon("start", "etcd", "--quota-backend-bytes", "1000000")
    try:
        # With the first write of anybody.
        until(_is_full, "etcd is full", 30)
        yield
    finally:
        daemon("kill", "etcd")
        daemon("start", "etcd")
        until(_disarmed, "etcd takes its alarm back", 30)


def _disarmed() -> bool:
    """Take back every alarm of etcd, by the gateway that it has for HTTP; tells whether there is none any more."""
    with suppress(CommandError):
        for alarm in (alarms := _alarms(action="GET")):
            _alarms(action="DEACTIVATE", **alarm)
        return not alarms
    return False


def _is_full() -> bool:
    with suppress(CommandError):
        return bool(_alarms(action="GET"))
    return False


def _alarms(**request: str) -> list[dict[str, str]]:
    words = ("curl", "-sf", "-m", "5", f"{_ETCD}/v3/maintenance/alarm", "-d", json.dumps(request))
    found: list[dict[str, str]] = json.loads(on_control(*words)).get("alarms", [])
    return found
