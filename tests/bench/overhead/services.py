"""The services: redis and nginx on free ports of 127.0.0.1, in folders of their own, driven for a bounded time."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from engine_runs import Cgroup
from tracers import Target
from workloads import CLIENT_CPU, CPU, Prefix, Running, Work, own_cgroup, pinned

_REQUESTS_AT_MOST = 5_000_000
_CONNECTIONS = 20
_WARM_UP_SECONDS = 0.2
_SECONDS_TO_START = 20
_NGINX = """
worker_processes 1; daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; keepalive_requests 100000000; sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


def _free_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen on port {port}")


def _started(command: list[str], cgroup: Cgroup) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=cgroup.enter,  # noqa: PLW1509 - no threads here; it must be inside at execve
    )


def _traced_pid(cgroup: Cgroup, name: str) -> int:
    """The newest process of this name in the cgroup: nginx's worker, not its master."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        pids = sorted(map(int, (cgroup.path / "cgroup.procs").read_text(encoding="ascii").split()))
        lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ") for pid in pids}
        found = [pid for pid, line in lines.items() if line.startswith(name)]
        if found:
            return found[-1]
        time.sleep(0.01)
    raise RuntimeError(f"no process {name} in {cgroup.path}")


def _ask(port: int, words: bytes) -> str:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        connection.sendall(words)
        return connection.recv(65536).decode()


def _commands(port: int) -> int:
    """Requests that redis has answered, by its own count."""
    return int(re.findall(r"total_commands_processed:(\d+)", _ask(port, b"INFO stats\r\n"))[0])


def _drive_redis(port: int, milliseconds: int) -> Work:
    """GETs for a while: the server's own count tells how many."""
    benchmark = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-t", "get", "-q"]
    amount = ["-c", str(_CONNECTIONS), "-n", str(_REQUESTS_AT_MOST)]
    client = subprocess.Popen(
        [*pinned(CLIENT_CPU), *benchmark, *amount], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for_requests(port, client)
        time.sleep(_WARM_UP_SECONDS)
        before, begin = _commands(port), time.perf_counter_ns()
        time.sleep(milliseconds / 1e3)
        after, end = _commands(port), time.perf_counter_ns()
    finally:
        client.kill()
        client.wait()
    if after - before < 10:
        raise RuntimeError("redis answered no requests")
    return Work((end - begin) / (after - before), 0)


def _wait_for_requests(port: int, client: "subprocess.Popen[bytes]") -> None:
    first, deadline = _commands(port), time.monotonic() + _SECONDS_TO_START
    while _commands(port) < first + 10 * _CONNECTIONS:
        if client.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("redis-benchmark makes no requests")
        time.sleep(0.01)


def _drive_nginx(port: int, milliseconds: int) -> Work:
    """GETs of a small file by wrk, whose shortest time is a second."""
    seconds = max(1, round(milliseconds / 1e3))
    wrk = ["wrk", "-t", "1", "-c", str(_CONNECTIONS), "-d", f"{seconds}s", f"http://127.0.0.1:{port}/"]
    told = subprocess.run(
        [*pinned(CLIENT_CPU), *wrk], capture_output=True, text=True, timeout=60 + seconds, check=True
    ).stdout
    if "Non-2xx" in told:
        raise RuntimeError(f"nginx refused requests: {told}")
    return Work(1e9 / float(re.findall(r"Requests/sec: +([\d.]+)", told)[0]), 0)


@contextmanager
def _service(
    folder: Path, command: list[str], port: int, title: str, drive: Callable[[int, int], Work]
) -> Iterator[Running]:
    with own_cgroup() as cgroup:
        process = _started(command, cgroup)
        try:
            _wait_for(port, process)
            pid = _traced_pid(cgroup, title)
            yield Running(Target(pid, cgroup.path, folder), lambda milliseconds: drive(port, milliseconds))
        finally:
            _end(process, cgroup)


def _end(process: subprocess.Popen[bytes], cgroup: Cgroup) -> None:
    """End what is in our cgroup by pid; a strace that started it sees its end and writes its table."""
    for pid in map(int, (cgroup.path / "cgroup.procs").read_text(encoding="ascii").split()):
        if pid != process.pid or process.args[0] != "strace":
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def redis(folder: Path, prefix: Prefix) -> Iterator[Running]:
    """A redis server of our own, nothing written to disk."""
    port = _free_port()
    settings = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    command = [*prefix, *pinned(CPU), "redis-server", "--port", str(port), *settings]
    with _service(folder, command, port, "redis-server", _drive_redis) as running:
        yield running


@contextmanager
def nginx(folder: Path, prefix: Prefix) -> Iterator[Running]:
    """An nginx of our own with one worker and a file of 6 bytes."""
    port = _free_port()
    (folder / "www").mkdir(exist_ok=True)
    (folder / "www/index.html").write_text("hello\n", encoding="ascii")
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, port=port), encoding="ascii")
    command = [*prefix, *pinned(CPU), "nginx", "-e", str(folder / "error.log"), "-c", str(settings)]
    with _service(folder, command, port, "nginx: worker", _drive_nginx) as running:
        yield running
