"""Which calls a profile allows, beside those that strace sees: nginx and redis, from start to end under load.

    python tests/bench/seccomp_against_strace.py [NAME...]

Runs each server twice with the same load, once below `strace -f -c` and once traced by kubestrace, and prints the calls
that only one of the two saw. Then once more with the profile as the filter of a runc container on this machine's files,
and says whether the load went through. Needs root, strace, runc, nginx with ab, redis-server with redis-benchmark.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_KUBESTRACE = str(Path(sys.executable).with_name("kubestrace"))
_PORT = 18471
_SECONDS = 120
_REDIS_LOAD = ["redis-benchmark", "-q", "-p", str(_PORT), "-n", "2000", "-t", "set,get,lpush,mset"]


@dataclass(frozen=True)
class Server:
    """A server and what is asked of it."""

    command: Sequence[str]
    load: Sequence[str]
    end: signal.Signals

    def is_there(self) -> bool:
        """Tell whether it can be run here."""
        return all(map(shutil.which, (self.command[0], self.load[0])))


_NGINX = "\n".join([
    "daemon off; pid {place}/pid; error_log {place}/error; worker_processes 2; events {{}}",
    "http {{ access_log {place}/access; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;",
    "fastcgi_temp_path {place}/fastcgi; uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;",
    "server {{ listen 127.0.0.1:{port}; root {place}; }} }}",
])  # fmt: skip


def servers(place: Path) -> dict[str, Server]:
    """Return the servers, with their files in a place."""
    (place / "index.html").write_text("<p>here</p>" * 1000)
    (place / "nginx.conf").write_text(_NGINX.format(place=place, port=_PORT))
    redis = ["redis-server", "--port", str(_PORT), "--dir", str(place), "--appendonly", "yes", "--save", "3 10"]
    return {
        "nginx": Server(
            ["nginx", "-e", f"{place}/error", "-c", f"{place}/nginx.conf"],
            ["ab", "-q", "-k", "-n", "3000", "-c", "10", f"http://127.0.0.1:{_PORT}/index.html"],
            signal.SIGQUIT,
        ),
        "redis": Server(redis, _REDIS_LOAD, signal.SIGTERM),
    }


def run(server: Server, *before: str) -> bool:
    """Run the server below a command, put load on it, end it; returns whether the load went through."""
    process = subprocess.Popen([*before, *server.command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        passed = _put_load(server, process)
    finally:
        # Both pass signals on to what they trace, or have it in their group.
        subprocess.run(["pkill", f"-{server.end.value}", "-P", str(process.pid)], check=False, timeout=_SECONDS)
        if not before:
            process.send_signal(server.end)
        process.wait(timeout=_SECONDS)
    return passed


def _put_load(server: Server, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + _SECONDS
    while not _answers():
        if time.monotonic() > until or process.poll() is not None:
            return False
        time.sleep(0.5)
    done = subprocess.run(server.load, capture_output=True, timeout=_SECONDS, check=False)
    # Redis saves a snapshot by a process of its own.
    time.sleep(5)
    return done.returncode == 0


def _answers() -> bool:
    try:
        socket.create_connection(("127.0.0.1", _PORT), timeout=5).close()
    except OSError:
        return False
    return True


def by_strace(server: Server, place: Path) -> set[str]:
    """Return the calls that strace counts."""
    table = place / "strace"
    if not run(server, "strace", "-f", "-c", "-o", str(table)):
        raise SystemExit("the server does not answer below strace")
    rows = [line.split() for line in table.read_text().splitlines()]
    return {row[-1] for row in rows if row and row[0][0].isdigit() and row[-1] != "total"}


def by_kubestrace(server: Server, place: Path) -> set[str]:
    """Return the calls that kubestrace has seen; writes the profile."""
    result = place / "run.json"
    if not run(server, _KUBESTRACE, "local", "--until-empty", "-o", "json", "--to", str(result), "--"):
        raise SystemExit("the server does not answer below kubestrace")
    done = subprocess.run([_KUBESTRACE, "seccomp", str(result)], capture_output=True, check=True, timeout=_SECONDS)
    (place / "profile.json").write_bytes(done.stdout)
    return set(json.loads(result.read_text())["status"]["summary"]["syscallNames"])


def works_under_profile(server: Server, place: Path) -> bool:
    """Run the server in a container of runc on this machine's files and network, with the profile as its filter."""
    bundle = place / "bundle"
    bundle.mkdir()
    subprocess.run(["runc", "spec", "--bundle", str(bundle)], check=True, timeout=_SECONDS)
    config = json.loads((bundle / "config.json").read_text())
    process, linux = config["process"], config["linux"]
    process |= {"terminal": False, "args": list(server.command)}
    for kind in process["capabilities"]:
        process["capabilities"][kind] = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETGID", "CAP_SETUID", "CAP_KILL"]
    (bundle / "rootfs").mkdir()
    config["root"] = {"path": "rootfs", "readonly": False}
    config["mounts"] = [
        {"destination": path, "source": path, "type": "none", "options": ["rbind"]}
        for path in ("/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc", "/var", "/run", "/dev", str(place))
    ] + [{"destination": "/proc", "source": "proc", "type": "proc"}]
    # All end with the first of them.
    linux["namespaces"] = [{"type": "mount"}, {"type": "pid"}]
    linux["seccomp"] = json.loads((place / "profile.json").read_text())
    linux["maskedPaths"], linux["readonlyPaths"] = [], []
    config.pop("hostname", None)
    (bundle / "config.json").write_text(json.dumps(config))
    name = f"kubestrace-bench-{os.getpid()}"
    container = subprocess.Popen(["runc", "run", "--bundle", str(bundle), name], stdout=subprocess.DEVNULL)
    try:
        return _put_load(server, container)
    finally:
        subprocess.run(["runc", "delete", "--force", name], capture_output=True, check=False, timeout=_SECONDS)
        container.wait(timeout=_SECONDS)


def main() -> None:
    """Compare all servers, or those that are named."""
    for name in sys.argv[1:] or ("nginx", "redis"):
        with tempfile.TemporaryDirectory(prefix="kubestrace-seccomp-") as folder:
            _compare(name, Path(folder))


def _compare(name: str, folder: Path) -> None:
    """Run each time with files of its own: a server makes what is missing."""
    folder.chmod(0o755)
    places = [folder / each for each in ("strace", "kubestrace", "profile")]
    for place in places:
        place.mkdir()
        place.chmod(0o777)
    first, second, third = (servers(place)[name] for place in places)
    if not first.is_there():
        print(f"{name}: not installed")
        return
    strace, ours = by_strace(first, places[0]), by_kubestrace(second, places[1])
    print(f"{name}: strace {len(strace)}, kubestrace {len(ours)}, both {len(strace & ours)}")
    print(f"  only strace: {', '.join(sorted(strace - ours)) or 'none'}")
    print(f"  only kubestrace: {', '.join(sorted(ours - strace)) or 'none'}")
    (places[2] / "profile.json").write_bytes((places[1] / "profile.json").read_bytes())
    print(f"  the load under the profile: {'went through' if works_under_profile(third, places[2]) else 'FAILED'}")


if __name__ == "__main__":
    main()
