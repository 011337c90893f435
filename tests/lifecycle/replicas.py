"""Two replicas of the operator as processes, and what each of them has written, out of the API server's audit log."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import Lab, eventually
from real_apiserver import REPLICAS, free_ports

START_SECONDS = 60
_LEASES = "leases"


class Replica:
    """One process."""

    def __init__(self, lab: Lab, name: str, folder: Path, source: Path | None = None) -> None:
        """`source` is the tree of another version whose operator runs."""
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self._lab = lab
        self._source = source
        self._log = folder / f"{name}.log"
        self._health, self._metrics = free_ports(2)

    def start(self) -> None:
        """Start it, and wait until it is ready: it leads and serves, or stands by."""
        scale = self._lab.scale
        variables = scale.operator_environment(self._health, self._metrics)
        variables |= {
            "KUBECONFIG": str(scale.server.kubeconfig_of(self.name)),
            "KUBESTRACE_IDENTITY": self.name,
        }
        if self._source is not None:
            # Before the packages that are installed.
            variables["PYTHONPATH"] = f"{self._source / 'operator'}{os.pathsep}{self._source / 'protos'}"
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "kubestrace_operator"]
            self.process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        assert eventually(lambda: self.ready, START_SECONDS), self.log()[-2000:]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, seconds: float = 30) -> int:
        """Wait for its end; return its exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> None:
        """End it whatever it does."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    @property
    def ready(self) -> bool:
        """Whether its readiness probe passes."""
        return _read(self._health, "readyz") is not None

    @property
    def leads(self) -> bool:
        """Whether it says of itself that it leads; one that does not answer does not."""
        return "\nkubestrace_leader 1.0\n" in (_read(self._metrics, "metrics") or "")

    def log(self) -> str:
        """Return what it has logged."""
        return self._log.read_text()


def _read(port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=2) as response:
            return str(response.read().decode())
    except OSError:
        return None


class Pair:
    """Two replicas."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self.replicas = [Replica(lab, name, folder) for name in REPLICAS]

    @contextmanager
    def running(self) -> Iterator["Pair"]:
        """Run both instead of the cluster's own operator."""
        self._lab.scale.stop_operator(signal.SIGTERM)
        try:
            for each in self.replicas:
                each.start()
            yield self
        finally:
            for each in self.replicas:
                each.stop()
            self._lab.start_operator()

    def both(self) -> tuple[Replica, Replica]:
        """Return the one that leads and the one that stands by, after starting whichever has ended."""
        for each in self.replicas:
            if each.process is None or each.process.poll() is not None:
                each.start()
        assert eventually(lambda: any(each.leads for each in self.replicas), 90), "nobody leads"
        first, second = self.replicas
        return (first, second) if first.leads else (second, first)

    def writes(self) -> list[dict[str, Any]]:
        """Return what both have written, in the order in which the API server received it."""
        lines = self._lab.scale.server.audit_log.read_text().splitlines()
        events = [event for event in map(json.loads, lines) if event["user"]["username"] in REPLICAS]
        return sorted(events, key=lambda event: str(event["requestReceivedTimestamp"]))

    def writes_without_the_lease(self) -> list[str]:
        """Return each write by one that was not, as of the last write of the Lease, its holder."""
        holder, found = "", []
        for event in self.writes():
            who, reference = event["user"]["username"], event["objectRef"]
            if reference["resource"] == _LEASES:
                if event["responseStatus"]["code"] < 300:
                    holder = event["requestObject"]["spec"]["holderIdentity"]
            elif who != holder:
                found.append(f"{event['requestReceivedTimestamp']} {who} {event['verb']} {event['requestURI']}")
        return found


def seconds_until_lead(replica: Replica, begun: float, within_seconds: float) -> float:
    """Wait until a replica leads and serves; return how long that was after a moment (time.monotonic)."""
    assert eventually(lambda: replica.leads and replica.ready, within_seconds), replica.log()[-2000:]
    return time.monotonic() - begun
