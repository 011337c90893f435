"""The services: redis and nginx on free ports of 127.0.0.1, in folders of their own, driven for a bounded time."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from engine_runs import Cgroup
from tracers import Target
from workloads import CLIENT_CPU, CPU, Prefix, Running, Work, own_cgroup, pinned

_REQUESTS_AT_MOST = 5_000_000
_CONNECTIONS = 20
_SECONDS_AT_MOST = 60
_WARM_UP_SECONDS = 0.2
# Many requests in a slice; services work for longer than loops do, so that there are enough slices.
_SLICE_MS = 30
_LONGER = 3
_SECONDS_TO_START = 20
_NGINX = """
worker_processes 1; daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; keepalive_requests 100000000; sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; location = /status {{ stub_status; }} }}
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


class Count:
    """Asks a service over a connection of its own how many requests it has answered."""

    def __init__(self, port: int, question: bytes, answer: str) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._question, self._answer = question, answer

    def __call__(self) -> int:
        """Requests since its start."""
        self._connection.sendall(self._question)
        said = ""
        while not (found := re.search(self._answer, said)):
            more = self._connection.recv(65536)
            if not more:
                raise RuntimeError(f"the service says {said!r} and no more")
            said += more.decode()
        return int(found[1])

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _drive(count: Count, client: Sequence[str], milliseconds: int) -> Work:
    """Let a client work, and look at the count at short intervals: the quickest tenth of them, as everywhere here."""
    with closing(count):
        process = subprocess.Popen([*pinned(CLIENT_CPU), *client], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for_requests(count, process)
            time.sleep(_WARM_UP_SECONDS)
            took = [each for _ in range(round(_LONGER * milliseconds / _SLICE_MS)) if (each := _slice(count))]
        finally:
            process.kill()
            process.wait(timeout=30)
    if not took:
        raise RuntimeError(f"no answers to {client}")
    return Work(sorted(took)[len(took) // 10], 0)


def _slice(count: Count) -> float | None:
    """Nanoseconds of a request during a slice; None without one."""
    before, begin = count(), time.perf_counter_ns()
    time.sleep(_SLICE_MS / 1e3)
    after, end = count(), time.perf_counter_ns()
    # The second question counts itself.
    return (end - begin) / (after - before - 1) if after - before > 1 else None


def _wait_for_requests(count: Count, client: "subprocess.Popen[bytes]") -> None:
    first, deadline = count(), time.monotonic() + _SECONDS_TO_START
    while count() < first + 10 * _CONNECTIONS:
        if client.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{client.args!r} makes no requests")
        time.sleep(0.01)


def _drive_redis(port: int, milliseconds: int) -> Work:
    client = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-t", "get", "-q"]
    amount = ["-c", str(_CONNECTIONS), "-n", str(_REQUESTS_AT_MOST)]
    return _drive(Count(port, b"INFO stats\r\n", r"total_commands_processed:(\d+)\r"), [*client, *amount], milliseconds)


def _drive_nginx(port: int, milliseconds: int) -> Work:
    client = ["wrk", "-t", "1", "-c", str(_CONNECTIONS), "-d", f"{_SECONDS_AT_MOST}s", f"http://127.0.0.1:{port}/"]
    question = b"GET /status HTTP/1.1\r\nHost: bench\r\n\r\n"
    return _drive(Count(port, question, r"requests\n \d+ \d+ (\d+) \n"), client, milliseconds)


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
        process.wait(timeout=30)


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
