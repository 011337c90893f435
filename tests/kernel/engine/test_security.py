"""What few programs have a reason to do, against a program that does it, and against a container runtime."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine_runs import Run, Runs, cgroup_root
from view_messages import security

from kubestrace_agent.views.security.collector import Seen
from kubestrace_protos.v1 import agent_pb2
from kubestrace_protos.v1.views import security_pb2


class Watched:
    """A program in a container with the view, collected as a session does."""

    def __init__(self, runs: Runs, *arguments: str, patterns: frozenset[str] = frozenset()) -> None:
        self.runs = runs
        cgroup = runs.cgroup()
        self.run: Run = runs.start(cgroup, "provocations", *arguments)
        while self.run.states() != ["S"]:
            time.sleep(0.01)
        self.slot = runs.trace(cgroup)
        self.collector = Seen(patterns)
        self.collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("security", self.slot, self.collector.wanted)
        self.read()

    def read(self) -> None:
        """Take what there is."""
        told = self.runs.tracer.read("security").get(self.slot)
        self.collector.take(told, self.runs.tracer.lost("security", self.slot), 0)

    def finish(self) -> security_pb2.SecurityResult:
        """Have it done, and give what was reported; nothing is lost."""
        assert self.run.say() == b"done"
        self.read()
        report = agent_pb2.ContainerReport()
        self.collector.write(report)
        assert not report.trust.losses
        return security(report)


def matches(result: security_pb2.SecurityResult, kind: str) -> dict[tuple[str, str, str], int]:
    """Give how often, by call, object and errno."""
    found: dict[tuple[str, str, str], int] = {}
    for each in result.matches:
        if each.kind == kind:
            key = (each.syscall, each.object, each.errno)
            found[key] = found.get(key, 0) + each.count
    return found


def executed(result: security_pb2.SecurityResult) -> set[tuple[str, str, str]]:
    """Give executions of interest: the program, its place, its signs."""
    return {(each.program, each.place, " ".join(each.signs)) for each in result.execs}


@contextmanager
def overlay(below: Path) -> Iterator[Path]:
    """Give a folder as containers have it: what the image has, and what was written since."""
    subprocess.run(["mount", "-t", "tmpfs", "layers", below], check=True, timeout=200)
    try:
        for name in ("lower", "upper", "work", "merged"):
            (below / name).mkdir()
        install(below / "lower" / "own")
        layers = f"lowerdir={below}/lower,upperdir={below}/upper,workdir={below}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", below / "merged"], check=True, timeout=200)
        yield below / "merged"
    finally:
        subprocess.run(["umount", "-l", below / "merged"], check=False, timeout=200)
        subprocess.run(["umount", "-l", below], check=True, timeout=200)


def install(program: Path) -> None:
    """Put a program there that everybody may execute."""
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)


@pytest.fixture
def public() -> Iterator[Path]:
    """Give a folder that other users reach: every run of pytest takes those of pytest away from them again."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_programs_from_memory_are_told(runs: Runs) -> None:
    """A memfd, and a file that was deleted; a shell from its file is not of interest."""
    found = Watched(runs, "memory", "deleted", "shell").finish()

    assert executed(found) == {
        ("memfd:payload", "memory", "memory"),
        (next(each.program for each in found.execs if each.place == "deleted"), "deleted", "memory"),
    }
    assert found.execs_seen == 3
    assert not any(each.runtime for each in found.execs)


def test_a_shell_on_a_socket_has_its_peer(runs: Runs) -> None:
    """Its first descriptor is connected."""
    (found,) = Watched(runs, "socket").finish().execs

    # Its parent has closed what listens.
    assert (found.program, found.shell, list(found.signs)) == ("dash", True, ["socket"])
    assert found.peer.startswith("127.0.0.1:")


def test_a_shell_on_a_terminal_and_one_of_a_server_are_told(runs: Runs) -> None:
    """By the shell's first descriptor, and its parent's sockets."""
    found = Watched(runs, "terminal", "server").finish()

    assert executed(found) == {("dash", "rootFileSystem", "terminal"), ("dash", "rootFileSystem", "listeningParent")}
    assert {each.parent for each in found.execs} == {"provocations"}


@pytest.mark.parametrize(
    ("prepare", "rights"), [("chmod u+s {}", "setuid"), ("setcap cap_net_raw+ep {}", "capabilities")]
)
def test_programs_that_get_rights_from_their_file_are_told(runs: Runs, public: Path, prepare: str, rights: str) -> None:
    """What runs with the rights that it had is not."""
    granted = public / "granted"
    install(granted)
    subprocess.run(prepare.format(granted).split(), check=True, timeout=200)

    found = Watched(runs, "plain", "granted", str(granted)).finish()

    assert [(each.path, each.rights, list(each.signs)) for each in found.execs] == [(str(granted), rights, ["rights"])]


def test_programs_that_were_written_since_the_image_are_told(runs: Runs, public: Path) -> None:
    """Those of the layers below are the image's; one from another file system is of a volume."""
    (public / "layers").mkdir()
    with overlay(public / "layers") as merged:
        install(merged / "new")
        install(public / "layers" / "other")
        programs = [merged / "own", merged / "new", public / "layers" / "other"]
        found = Watched(runs, *(word for each in programs for word in ("granted", str(each)))).finish()

    assert executed(found) == {("new", "upperLayer", "notInImage"), ("other", "volume", "notInImage")}
    assert found.execs_seen == 3


def test_reads_of_secrets_are_told_by_the_file_that_was_opened(runs: Runs, tmp_path: Path) -> None:
    """Also by a relative path, a symbolic link and a second name that is made; its own environment is not."""
    (tmp_path / ".ssh").mkdir()
    for name in (".ssh/id_ed25519", ".ssh/known_hosts", "innocent"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "link").symlink_to(".ssh/id_ed25519")

    found = Watched(runs, "reads", str(tmp_path)).finish()

    told = matches(found, "sensitivePath")
    (environment,) = [key for key in told if key[1].startswith("/proc/")]
    assert told == {
        ("openat", "/etc/shadow", ""): 1,
        ("openat2", f"{tmp_path}/.ssh/id_ed25519", ""): 1,
        ("openat", f"{tmp_path}/.ssh/id_ed25519", ""): 1,
        ("link", f"{tmp_path}/.ssh/id_ed25519", ""): 1,
        ("openat", "/etc/gshadow-that-is-not-there", "ENOENT"): 1,
        ("openat", f"{tmp_path}/.ssh/known_hosts", ""): 1,
        environment: 1,
    }
    assert {each.named for each in found.matches if each.named} == {"id_ed25519", "../link", "./known_hosts"}


def test_patterns_of_ones_own_are_looked_for(runs: Runs, tmp_path: Path) -> None:
    """Beside the view's own; what is opened to be written is told as that."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / "innocent").write_text("x", encoding="utf-8")

    found = Watched(runs, "writes", str(tmp_path), patterns=frozenset({"*/innocent"})).finish()

    assert matches(found, "codeWrite") == {
        ("openat", f"{tmp_path}/.ssh/authorized_keys", ""): 1,
        ("rename", f"{tmp_path}/.bashrc", ""): 1,
    }
    told = {
        (each.syscall, each.object, each.access, each.pattern) for each in found.matches if each.kind == "sensitivePath"
    }
    assert told == {
        ("openat", f"{tmp_path}/innocent", "write", "*/innocent"),
        ("rename", f"{tmp_path}/innocent", "read", "*/innocent"),
    }


def test_calls_that_ask_the_kernel_for_much_are_told(runs: Runs) -> None:
    """By what they ask for; datagrams are no raw sockets, and forks no namespaces."""
    found = Watched(runs, "surface", "spaces", "trace", "traceme").finish()

    surface = matches(found, "kernelSurface")
    assert surface.pop(("bpf", "BPF_MAP_CREATE", "")) == 1
    assert [key[0] for key in surface] == ["init_module"]
    assert matches(found, "rawSocket") == {
        ("socket", "AF_INET SOCK_RAW", ""): 1,
        ("socket", "AF_PACKET SOCK_RAW", ""): 1,
    }
    assert matches(found, "namespace") == {
        ("unshare", "CLONE_NEWNS|CLONE_NEWUTS", ""): 1,
        ("mount", "/", ""): 1,
        ("mount", "/mnt", ""): 1,
        ("umount2", "", ""): 1,
    }
    assert matches(found, "tracing") == {
        ("process_vm_writev", "", ""): 1,
        ("ptrace", "PTRACE_ATTACH", ""): 1,
        ("ptrace", "PTRACE_DETACH", ""): 1,
        ("ptrace", "PTRACE_TRACEME", ""): 1,
    }


def test_peers_are_told_by_address_but_those_of_the_pod_itself(runs: Runs) -> None:
    """Also the socket of a container runtime, which is a path."""
    found = Watched(runs, "peers").finish()

    assert matches(found, "peer") == {("connect", "169.254.169.254:80", ""): 1}
    assert matches(found, "sensitivePath") == {("connect", "/nowhere/docker.sock", "ENOENT"): 1}


def test_many_files_leave_room_for_those_of_interest(runs: Runs, tmp_path: Path) -> None:
    """More files are asked for than a slot has rows, and a secret behind them is still told."""
    (tmp_path / "file-24000").touch()
    steps = [word for first in (0, 8000, 16_000) for word in ("many", str(tmp_path), str(first), "8000", "pause")]
    secret = frozenset({"*/file-24000"})
    watched = Watched(runs, *steps, "many", str(tmp_path), "24000", "1", patterns=secret)
    for _ in range(3):
        assert watched.run.say() == b"pause"
        watched.read()

    assert matches(watched.finish(), "sensitivePath") == {("openat", f"{tmp_path}/file-24000", ""): 1}


def test_a_storm_between_two_readings_is_a_loss(runs: Runs, tmp_path: Path) -> None:
    """What found no row, or is not told, may have been of interest."""
    watched = Watched(runs, "many", str(tmp_path), "0", "20000")
    assert watched.run.say() == b"done"
    watched.read()
    report = agent_pb2.ContainerReport()
    watched.collector.write(report)

    assert 20_000 - 16_384 <= report.trust.losses["security"] < 20_000
    assert not security(report).matches


# Waits for its input's end, unless it is told not to.
SHELL = (
    "#include <unistd.h>\nint main(int n, char **a) { char x; if (n < 2) write(1, a, 1), read(0, &x, 1); return 0; }"
)


def bundle(folder: Path, cgroup: Path) -> list[str]:
    """Make what runc needs for a container with nothing but a shell of ours; returns how it is called."""
    (folder / "rootfs/bin").mkdir(parents=True)
    (folder / "shell.c").write_text(SHELL, encoding="ascii")
    build = ["gcc", "-w", "-static", "-o", folder / "rootfs/bin/sh", folder / "shell.c"]
    subprocess.run(build, check=True, timeout=200)
    subprocess.run(["runc", "spec"], cwd=folder, check=True, timeout=200)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["process"] |= {"terminal": False, "args": ["/bin/sh"]}
    config["linux"]["cgroupsPath"] = f"/{cgroup.relative_to(cgroup_root())}/container"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return ["runc", "--root", str(folder / "state")]


@pytest.mark.skipif(not (shutil.which("runc") and shutil.which("script")), reason="runc or script is not installed")
def test_a_container_runtime_is_told_as_such_and_who_comes_from_outside(runs: Runs, tmp_path: Path) -> None:
    """All that runc does from the cgroup's creation on; a shell on a terminal as kubectl exec has it."""
    cgroup = runs.cgroup()
    runc = bundle(tmp_path, cgroup.path)
    slot = runs.trace(cgroup)
    seen = Seen()
    seen.begin(time.monotonic_ns(), 0)
    runs.tracer.enable("security", slot, seen.wanted)
    seen.take(runs.tracer.read("security").get(slot), 0, 0)
    name = cgroup.path.name

    with subprocess.Popen(
        [*runc, "run", name], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as container:
        assert container.stdout
        assert container.stdout.read(1)
        entering = ["script", "-qec", " ".join([*runc, "exec", "-t", name, "/bin/sh", "x"]), "/dev/null"]
        subprocess.run(entering, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=200)
        container.communicate(timeout=200)
    seen.take(runs.tracer.read("security").get(slot), 0, 0)
    report = agent_pb2.ContainerReport()
    seen.write(report)

    found = security(report)
    assert {"mount", "pivot_root", "unshare"} <= {each.syscall for each in found.matches}
    assert [each for each in found.matches if not each.runtime] == []
    assert [(each.program, list(each.signs), each.from_outside) for each in found.execs if not each.runtime] == [
        ("sh", ["terminal"], True)
    ]
