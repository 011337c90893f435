"""The operator's settings, from its environment."""

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from kubestrace_protos import logs

TLS_MODES = ("self-signed", "secret")
TRACED_NAMESPACES = ("unless-disabled", "if-enabled")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class EnvironmentProblem(Exception):  # noqa: N818 -- EnvironmentError is Python's old name for OSError
    """A setting is missing or wrong; the message names it."""


@dataclass(frozen=True)
class Environment:
    """All settings; each is the variable KUBESTRACE_<name>."""

    # The operator's own namespace: agents and Secrets are looked for there.
    namespace: str
    # Label selector of the agents' pods.
    agent_selector: str
    agent_port: int
    # "self-signed": the operator makes the certificates. "secret": somebody else does.
    tls_mode: str
    ca_secret: str
    operator_tls_secret: str
    agent_tls_secret: str
    # The ConfigMap of nodes' states; empty: none is written.
    nodes_config_map: str
    # Where the probes are answered; no host: all addresses, IPv4 and IPv6.
    health_host: str | None
    health_port: int
    # Where /metrics is answered.
    metrics_host: str | None
    metrics_port: int
    # Empty: all.
    watch_namespaces: tuple[str, ...]
    # "unless-disabled": all namespaces but those whose label kubestrace.io/tracing is "disabled" may be traced.
    # "if-enabled": only those whose label is "enabled".
    traced_namespaces: str
    # At a time; 0: any number.
    sessions_per_namespace: int
    # The Lease by which replicas agree on the one that leads, in the operator's namespace.
    lease: str
    # Who this process is to the other replicas: the pod's name. A restarted container leads again at once.
    identity: str
    # Of a namespace; 0: any number.
    container_seconds_per_hour: int
    container_seconds_per_day: int
    # Whether the chart's admission policy holds sessions' annotation kubestrace.io/requested-by against their creators.
    requesters_proven: bool
    log_level: str
    log_format: str


def read(variables: Mapping[str, str] = os.environ) -> Environment:
    """Return the settings. Raises EnvironmentProblem."""

    def value(name: str, default: str | None = None) -> str:
        found = variables.get(f"KUBESTRACE_{name}", "").strip() or default
        if found is None:
            raise EnvironmentProblem(f"KUBESTRACE_{name} is not set")
        return found

    health_host, health_port = _address("LIVENESS", value("LIVENESS", ":8080"))
    metrics_host, metrics_port = _address("METRICS", value("METRICS", ":8081"))
    return Environment(
        namespace=value("NAMESPACE"),
        agent_selector=value("AGENT_SELECTOR", "app.kubernetes.io/name=kubestrace,app.kubernetes.io/component=agent"),
        agent_port=_port("AGENT_PORT", value("AGENT_PORT", "9640")),
        tls_mode=_one_of("TLS_MODE", value("TLS_MODE", "self-signed"), TLS_MODES),
        ca_secret=value("CA_SECRET", "kubestrace-ca"),
        operator_tls_secret=value("OPERATOR_TLS_SECRET", "kubestrace-operator-tls"),
        agent_tls_secret=value("AGENT_TLS_SECRET", "kubestrace-agent-tls"),
        nodes_config_map=value("NODES_CONFIG_MAP", ""),
        health_host=health_host,
        health_port=health_port,
        metrics_host=metrics_host,
        metrics_port=metrics_port,
        watch_namespaces=tuple(value("WATCH_NAMESPACES", "").replace(",", " ").split()),
        traced_namespaces=_one_of(
            "TRACED_NAMESPACES", value("TRACED_NAMESPACES", TRACED_NAMESPACES[0]), TRACED_NAMESPACES
        ),
        sessions_per_namespace=_count("SESSIONS_PER_NAMESPACE", value("SESSIONS_PER_NAMESPACE", "0")),
        lease=value("LEASE", "kubestrace-operator"),
        identity=value("IDENTITY", f"{socket.gethostname()}_{secrets.token_hex(4)}"),
        container_seconds_per_hour=_count("CONTAINER_SECONDS_PER_HOUR", value("CONTAINER_SECONDS_PER_HOUR", "0")),
        container_seconds_per_day=_count("CONTAINER_SECONDS_PER_DAY", value("CONTAINER_SECONDS_PER_DAY", "0")),
        requesters_proven=_one_of("REQUESTERS_PROVEN", value("REQUESTERS_PROVEN", "false"), ("false", "true"))
        == "true",
        log_level=_one_of("LOG_LEVEL", value("LOG_LEVEL", "INFO").upper(), LOG_LEVELS),
        log_format=_one_of("LOG_FORMAT", value("LOG_FORMAT", logs.FORMATS[0]), logs.FORMATS),
    )


def _address(name: str, text: str) -> tuple[str | None, int]:
    """Return host and port of "host:port", "[IPv6 address]:port" or ":port", which is every address."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not bracketed):
        raise EnvironmentProblem(
            f"KUBESTRACE_{name} is {text!r}; it must be HOST:PORT, [IPV6 ADDRESS]:PORT or :PORT for all addresses"
        )
    return (host[1:-1] if bracketed else host) or None, _port(name, port)


def _port(name: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise EnvironmentProblem(f"KUBESTRACE_{name} is {text!r}; it must be a port number")
    return int(text)


def _count(name: str, text: str) -> int:
    if not text.isdecimal():
        raise EnvironmentProblem(f"KUBESTRACE_{name} is {text!r}; it must be a whole number, 0 or more")
    return int(text)


def _one_of(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise EnvironmentProblem(f"KUBESTRACE_{name} is {text!r}; it must be one of {', '.join(choices)}")
    return text
