"""A real API server (kube-apiserver and etcd) on this machine without nodes: for measuring at scale without the rig.

`scripts/tools` builds both programs. Everything is kept in one folder and ends with the context.
"""

import itertools
import os
import random
import secrets
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
_START_SECONDS = 60
# Below those that Linux gives to connections (ip_local_port_range).
_PORTS = range(20_000, 32_000)
# Users beside the administrator, for replicas of the operator: what they write is in the audit log.
REPLICAS = ("replica-1", "replica-2")
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # Who asked for what, without what was in the objects.
        {"level": "Metadata", "verbs": ["create"], "resources": [{"group": "kubestrace.io"}]},
        {
            "level": "Metadata",
            "verbs": ["patch"],
            "resources": [{"group": "kubestrace.io", "resources": ["traceschedules"]}],
        },
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "Request", "users": list(REPLICAS), "resources": [{"group": "coordination.k8s.io"}]},
        {"level": "Metadata", "users": list(REPLICAS)},
        {"level": "None"},
    ],
}


@dataclass(frozen=True)
class ApiServer:
    """Where the API server listens, and an administrator's token."""

    url: str
    token: str
    kubeconfig: Path

    def kubeconfig_of(self, replica: str) -> Path:
        """Return the kubeconfig of one of REPLICAS."""
        path = self.kubeconfig.with_name(f"kubeconfig.{replica}")
        path.write_text(yaml.safe_dump(_kubeconfig(self.url, _token_of(self.token, replica))))
        return path

    @property
    def audit_log(self) -> Path:
        """What REPLICAS have written, an event of audit.k8s.io a line."""
        return self.kubeconfig.with_name("audit.log")


@contextmanager
def api_server(folder: Path, *options: str) -> Iterator[ApiServer]:
    """Run an API server whose state is in a folder, with more options. Raises RuntimeError when it does not start."""
    folder.mkdir(parents=True, exist_ok=True)
    etcd_port, peer_port, port = free_ports(3)
    etcd = ["etcd", "--data-dir", folder / "etcd", "--log-level", "error", "--unsafe-no-fsync"]
    etcd += ["--quota-backend-bytes", str(8 << 30)]
    for kind, at in (("client", etcd_port), ("peer", peer_port)):
        advertise = "--advertise-client-urls" if kind == "client" else "--initial-advertise-peer-urls"
        etcd += [f"--listen-{kind}-urls", f"http://127.0.0.1:{at}", advertise, f"http://127.0.0.1:{at}"]
    etcd += ["--initial-cluster", f"default=http://127.0.0.1:{peer_port}"]
    token = secrets.token_hex(16)
    users = {"scale": token} | {name: _token_of(token, name) for name in REPLICAS}
    (folder / "tokens").write_text("".join(f"{each},{name},{name},system:masters\n" for name, each in users.items()))
    (folder / "audit.yaml").write_text(yaml.safe_dump(_AUDIT))
    key = folder / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True, timeout=60)
    serving = [
        tools() / "kube-apiserver",
        "--etcd-servers",
        f"http://127.0.0.1:{etcd_port}",
        "--secure-port",
        str(port),
    ]
    serving += ["--bind-address", "127.0.0.1", "--cert-dir", folder / "serving", "--authorization-mode", "RBAC"]
    serving += ["--token-auth-file", folder / "tokens", "--service-cluster-ip-range", "10.0.0.0/24"]
    serving += ["--service-account-key-file", key, "--service-account-signing-key-file", key]
    serving += ["--service-account-issuer", "https://kubernetes.default.svc"]
    serving += ["--audit-policy-file", folder / "audit.yaml", "--audit-log-path", folder / "audit.log"]
    # One client writes as fast as it can.
    serving += ["--disable-admission-plugins", "ServiceAccount", "--max-mutating-requests-inflight", "400"]
    serving += options
    server = ApiServer(f"https://127.0.0.1:{port}", token, folder / "kubeconfig")
    server.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(server.url, token)))
    with _running(etcd, folder / "etcd.log"), _running(serving, folder / "apiserver.log") as process:
        _wait_until_ready(server, process, folder / "apiserver.log")
        yield server


@contextmanager
def _running(command: list[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.kill()


def _wait_until_ready(server: ApiServer, process: subprocess.Popen[bytes], log: Path) -> None:
    headers = {"Authorization": f"Bearer {server.token}"}
    request = urllib.request.Request(f"{server.url}/readyz", headers=headers)  # noqa: S310 -- https, made above
    unchecked = ssl._create_unverified_context()  # noqa: S323 -- it made its certificate just now
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(request, context=unchecked, timeout=5):  # noqa: S310
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the API server is not ready: {log.read_text(errors='replace')[-2000:]}")


def _token_of(token: str, replica: str) -> str:
    return f"{token}-{replica}"


def _kubeconfig(url: str, token: str) -> dict[str, object]:
    cluster = {"server": url, "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "scale", "cluster": cluster}],
        "users": [{"name": "scale", "user": {"token": token}}],
        "contexts": [{"name": "scale", "context": {"cluster": "scale", "user": "scale"}}],
        "current-context": "scale",
    }


def tools() -> Path:
    """Return the folder of Kubernetes' programs, which are built where that was not done yet."""
    built = subprocess.run([ROOT / "scripts/tools"], check=True, capture_output=True, text=True, timeout=1800)
    return Path(built.stdout.strip())


def free_ports(count: int) -> list[int]:
    """Return ports on which nobody listens, and which no connection is given while a server is away."""
    free = (port for port in random.sample(_PORTS, len(_PORTS)) if _is_free(port))
    return list(itertools.islice(free, count))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def environment(server: ApiServer) -> dict[str, str]:
    """Return the environment in which clients find this API server."""
    return {**os.environ, "KUBECONFIG": str(server.kubeconfig)}
