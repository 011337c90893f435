"""How findings.py runs one program and has it traced: a command from its first call on, or a server under load.

A server runs in a cgroup of its own, as a container does, with the limits of the case; what drives it is outside. With
`network` it also has a network of its own, as a pod does, at 192.0.2.1; what drives it is at 192.0.2.2, behind `line`.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Case = Mapping[str, Any]

_LOCAL = [str(Path(sys.executable).with_name("kubestrace")), "local", "-o", "json", "--to", "result.json"]
_SUPPORT = str(Path(__file__).parents[1] / "support")
_IMPORTS = f"import ctypes, os, resource, socket, sys, threading, time; sys.path.insert(0, {_SUPPORT!r})"
_PREPARE_SECONDS, _READY_SECONDS, _TRACED_SECONDS, _MOST_SECONDS = 180, 20, 5, 120
_SERVER_ADDRESS, _CLIENT_ADDRESS = "192.0.2.1", "192.0.2.2"
_CGROUPS = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


def status(case: Case, views: Sequence[str], place: Path) -> Mapping[str, Any]:
    """Run the program of a case, traced with these views, in a folder of its own; returns the status."""
    here = Path(tempfile.mkdtemp(dir=place))
    here.chmod(0o755)
    environment = _environment(here, place)
    if "prepare" in case:
        _run(["sh", "-ec", case["prepare"]], here, environment, _PREPARE_SECONDS)
    if "server" in case:
        seconds = str(case.get("seconds", _TRACED_SECONDS))
        with contextlib.ExitStack() as stack:
            cgroup = stack.enter_context(_served(case, here, environment))
            if "after" in case:
                stack.callback(_run, ["sh", "-c", case["after"]], here, environment, check=False)
            _run([*_LOCAL, *views, "-d", seconds, "--cgroup", str(cgroup)], here, environment)
    else:
        # The program's own exit code is passed on: it says nothing here.
        # In mounts of its own: those that a program makes are a finding.
        command = ["unshare", "-m", *_LOCAL, *views, "--until-empty", "--", *_command(case)]
        _run(command, here, environment, check=False)
    found: Mapping[str, Any] = json.loads((here / "result.json").read_text())["status"]
    return found


def _environment(here: Path, place: Path) -> dict[str, str]:
    with socket.socket() as one, socket.socket() as other:
        ports = []
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
            ports.append(str(each.getsockname()[1]))
    servers = ":".join(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))))
    own = {"HERE": str(here), "PLACE": str(place), "PORT": ports[0], "OTHER_PORT": ports[1]}
    return {**os.environ, **own, "PATH": f"{os.environ['PATH']}:/usr/sbin:{servers}"}


def _run(
    words: Sequence[str],
    here: Path,
    environment: Mapping[str, str],
    seconds: int = _MOST_SECONDS,
    *,
    check: bool = True,
) -> None:
    """Run what ends by itself; what it printed is told only if it failed."""
    log = here / "run.log"
    with log.open("ab") as out:
        process = subprocess.Popen(words, cwd=here, env=environment, stdout=out, stderr=out, start_new_session=True)
        try:
            failed = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if failed and check:
        raise RuntimeError(f"{' '.join(words)[:200]} ended with {failed}:\n{log.read_text(errors='replace')[-2000:]}")


def _command(case: Case) -> list[str]:
    """Return the program."""
    if "sh" in case:
        return ["sh", "-c", case["sh"]]
    body = "\n ".join(case["python"].strip().splitlines())
    program = (
        f"{_IMPORTS}\n{case.get('before', '').strip()}\nend = time.time() + 3\nwhile time.time() < end:\n {body}\n"
    )
    return ["/usr/bin/python3", "-c", program]


@contextlib.contextmanager
def _served(case: Case, here: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield the cgroup of a server that answers and is being driven."""
    with _cgroups(here.name, case) as folders, (here / "server.log").open("ab") as log, contextlib.ExitStack() as stack:
        inside, outside = stack.enter_context(_networks(case, here, environment))
        joined = "".join(f"echo $$ >{folder}/cgroup.procs; " for folder in folders)
        words = [*inside, "sh", "-c", f"{joined}exec {case['server']}"]
        server = subprocess.Popen(
            words, cwd=here, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        stack.callback(_end, server, folders[0])
        if "ready" in case:
            _wait_until([*outside, "sh", "-c", case["ready"]], here, environment, server)
        if "load" in case:
            driver = subprocess.Popen(
                [*outside, "sh", "-c", case["load"]], cwd=here, env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            stack.callback(driver.wait)
            stack.callback(_kill, driver.pid)
        time.sleep(1)
        yield folders[0]


def _wait_until(
    ready: Sequence[str], here: Path, environment: Mapping[str, str], server: subprocess.Popen[bytes]
) -> None:
    ends = time.monotonic() + _READY_SECONDS
    with (here / "ready.log").open("ab") as log:
        asks: dict[str, Any] = {"cwd": here, "env": environment, "stdout": log, "stderr": log, "timeout": 10}
        while subprocess.run(ready, check=False, **asks).returncode:
            if time.monotonic() > ends or server.poll() is not None:
                said = (here / "server.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the server is not ready: {said}")
            time.sleep(0.2)


@contextlib.contextmanager
def _networks(case: Case, here: Path, environment: Mapping[str, str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield how to run a command in the network of the server, and in that of what drives it."""
    if "network" not in case:
        yield [], []
        return
    with contextlib.ExitStack() as stack:
        holders = [subprocess.Popen(["unshare", "-n", "sleep", "600"]) for _ in range(2)]
        for each in holders:
            stack.callback(each.wait)
            stack.callback(each.kill)
        time.sleep(0.5)
        inside, outside = (["nsenter", "-t", str(each.pid), "-n"] for each in holders)
        link = ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", str(holders[1].pid)]
        _run([*inside, *link], here, environment)
        for way, address in ((inside, _SERVER_ADDRESS), (outside, _CLIENT_ADDRESS)):
            up = f"ip addr add {address}/24 dev eth0; ip link set lo up; ip link set eth0 up"
            _run([*way, "sh", "-ec", up], here, environment)
        if "line" in case:
            _run([*outside, "sh", "-ec", case["line"]], here, environment)
        yield inside, outside


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _end(server: subprocess.Popen[bytes], cgroup: Path) -> None:
    """End the server, and whatever of it is left in its cgroup."""
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(5)
    (cgroup / "cgroup.kill").write_text("1")
    server.wait(5)
    ends = time.monotonic() + 5
    while "populated 1" in (cgroup / "cgroup.events").read_text() and time.monotonic() < ends:
        time.sleep(0.05)


@contextlib.contextmanager
def _cgroups(name: str, case: Case) -> Iterator[list[Path]]:
    """Yield a new cgroup of version 2 first; on hybrid machines also those of version 1 that hold the limits."""
    hybrid = (_CGROUPS / "unified").is_dir()
    root = _CGROUPS / "unified" if hybrid else _CGROUPS
    folders = [root / f"findings-{name}"]
    if hybrid:
        folders += [_CGROUPS / each / f"findings-{name}" for each in ("cpu", "memory", "pids")]
    for folder in folders:
        folder.mkdir()
    try:
        for file, text in _limits(case, hybrid=hybrid).items():
            controller = file.split(".")[0]
            (next(each for each in folders if not hybrid or each.parent.name == controller) / file).write_text(text)
        yield folders
    finally:
        for folder in folders:
            folder.rmdir()


def _limits(case: Case, *, hybrid: bool) -> dict[str, str]:
    """Return the files of the limits, by version."""
    limits = {}
    if cpu := case.get("limit_millicores"):
        quota_us = str(cpu * _PERIOD_US // 1000)
        limits |= {"cpu.cfs_quota_us": quota_us} if hybrid else {"cpu.max": f"{quota_us} {_PERIOD_US}"}
    if pids := case.get("limit_pids"):
        limits |= {"pids.max": str(pids)}
    if memory := case.get("limit_mib"):
        limits |= {"memory.limit_in_bytes" if hybrid else "memory.max": str(memory << 20)}
    return limits
