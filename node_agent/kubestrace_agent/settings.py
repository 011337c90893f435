"""The agent's settings: a flag each, with its default taken from the environment. Used by main."""

from __future__ import annotations

import argparse
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubestrace_agent.containers import cri
from kubestrace_protos import logs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Where the chart mounts the host's /run, and /run itself for an agent that runs on the host.
_RUN_FOLDERS = (Path("/host/run"), Path("/run"))


@dataclass(frozen=True)
class Settings:
    """What main needs to know."""

    # As Kubernetes names it; stands in reports.
    node_name: str
    # host:port of the gRPC service.
    listen: str
    # host:port of kubelet's probe; empty: none.
    health_listen: str
    # host:port of /metrics; empty: none.
    metrics_listen: str
    # The gRPC health service, for people.
    health_socket: Path
    # Holds tls.crt, tls.key and ca.crt.
    tls_folder: Path
    cri_sockets: tuple[Path, ...]
    # The host's cgroup mount and /proc, wherever they are mounted here.
    cgroup_root: Path
    proc_root: Path
    # Where compiled programs are kept; empty: in the usual place, "none": nowhere.
    programs_folder: str
    max_containers: int
    max_traces: int
    log_level: str
    log_format: str
    # Not to serve but to ask: is the agent beside this process serving?
    ask_health: bool


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Read settings; exits with a usage message on a wrong one."""
    parser = argparse.ArgumentParser(prog="kubestrace-agent", description="kubestrace's node service.")

    def setting(name: str, variable: str, default: str, meaning: str) -> None:
        value = environment.get(variable) or default
        parser.add_argument(f"--{name}", default=value, help=f"{meaning} [{variable}, now {value or 'empty'}]")

    setting("node-name", "KUBESTRACE_NODE_NAME", socket.gethostname(), "the node's name in Kubernetes")
    setting("listen", "KUBESTRACE_LISTEN", "[::]:9640", "host:port of the gRPC service")
    setting("health-listen", "KUBESTRACE_HEALTH_LISTEN", "[::]:9641", "host:port of kubelet's probe, /healthz")
    setting("metrics-listen", "KUBESTRACE_METRICS_LISTEN", "", "host:port of /metrics for Prometheus; empty: none")
    setting("health-socket", "KUBESTRACE_HEALTH_SOCKET", "/run/kubestrace/health.sock", "gRPC health service")
    setting("tls-dir", "KUBESTRACE_TLS_DIR", "/etc/kubestrace/tls", "folder of tls.crt, tls.key and ca.crt")
    setting("cri-socket", "KUBESTRACE_CRI_SOCKET", "", "the container runtime's socket; empty: the known ones")
    setting("cgroup-root", "KUBESTRACE_CGROUP_ROOT", "/sys/fs/cgroup", "the host's cgroup mount")
    setting("proc-root", "KUBESTRACE_PROC_ROOT", "/proc", "the host's /proc")
    setting(
        "programs-dir",
        "KUBESTRACE_PROGRAMS_DIR",
        "",
        "folder of compiled programs; empty: /var/cache/kubestrace/programs, none: they are compiled at each start",
    )
    setting("max-containers", "KUBESTRACE_MAX_CONTAINERS", "512", "containers traced at one time, at most")
    setting("max-traces", "KUBESTRACE_MAX_TRACES", "96", "sessions counted at one time, at most")
    setting("log-level", "KUBESTRACE_LOG_LEVEL", "info", "debug, info, warning or error")
    setting("log-format", "KUBESTRACE_LOG_FORMAT", logs.FORMATS[0], "how logs are written: text or json")
    parser.add_argument("--health", action="store_true", help="ask the running agent: exit 0 when it is serving")
    given = parser.parse_args(arguments)
    if given.log_level.lower() not in {"debug", "info", "warning", "error"}:
        parser.error(f"--log-level {given.log_level} must be one of debug, info, warning, error")
    if given.log_format not in logs.FORMATS:
        parser.error(f"--log-format {given.log_format} must be one of {', '.join(logs.FORMATS)}")
    for name, text in (("max-containers", given.max_containers), ("max-traces", given.max_traces)):
        if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 4096:
            parser.error(f"--{name} {text} is not a number from 1 to 4096")
    listens = {"listen": given.listen, "health-listen": given.health_listen, "metrics-listen": given.metrics_listen}
    for name, text in listens.items():
        port = text.rpartition(":")[2]
        if (text or name == "listen") and not (":" in text and port.isascii() and port.isdigit() and int(port) < 65536):
            parser.error(f"--{name} {text} is not host:port, as in 10.0.0.1:9640 or [fd00::1]:9640")
    return Settings(
        node_name=given.node_name,
        listen=_address(given.listen),
        health_listen=_address(given.health_listen),
        metrics_listen=_address(given.metrics_listen),
        health_socket=Path(given.health_socket),
        tls_folder=Path(given.tls_dir),
        cri_sockets=_sockets(given.cri_socket),
        cgroup_root=Path(given.cgroup_root),
        proc_root=Path(given.proc_root),
        programs_folder=given.programs_dir,
        max_containers=int(given.max_containers),
        max_traces=int(given.max_traces),
        log_level=given.log_level.upper(),
        log_format=given.log_format,
        ask_health=given.health,
    )


def _address(given: str) -> str:
    """Return host:port with brackets around an IPv6 host: $(POD_IP):9640 of a manifest has none."""
    host, _, port = given.rpartition(":")
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else given


def _sockets(given: str) -> tuple[Path, ...]:
    if given:
        return (Path(given),)
    return tuple(folder / name for folder in _RUN_FOLDERS for name in cri.KNOWN_SOCKETS)
