"""A container runs under the profile that was made of its program, and what is outside of the profile is denied."""

import errno
import json
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from local_runs import kubestrace

from kubestrace_operator.seccomp.runtime_calls import RUNTIME_CALLS

SOURCE = Path(__file__).parent / "seccomp_probe.c"
Profile = dict[str, Any]

pytestmark = pytest.mark.skipif(not shutil.which("runc"), reason="runc is not installed")


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a container's files: the program alone."""
    folder = tmp_path_factory.mktemp("rootfs")
    folder.chmod(0o755)
    for name in ("proc", "dev", "sys", "tmp"):
        (folder / name).mkdir()
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-static"]
    subprocess.run(["gcc", *flags, "-o", str(folder / "probe"), str(SOURCE)], check=True, timeout=200)
    return folder


@pytest.fixture(scope="module")
def made_profile(rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Profile]:
    """Trace the program and make its profile; it does no more than it does without arguments."""
    result = tmp_path_factory.mktemp("profile") / "run.json"
    traced = kubestrace("local", "-o", "json", "--to", str(result), "--", str(rootfs / "probe"))
    assert traced.stdout == "read 0\n", traced.stderr

    def make(*words: str) -> Profile:
        done = kubestrace("seccomp", str(result), *words)
        assert done.returncode == 0, done.stderr
        assert "1 of 1 container start traced from the first call" in done.stderr
        profile: Profile = json.loads(done.stdout)
        return profile

    return make


@pytest.fixture
def run_container(rootfs: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the program in a container of runc."""

    def run(profile: Profile | None, *words: str, **process: Any) -> subprocess.CompletedProcess[str]:
        bundle = tmp_path / secrets.token_hex(4)
        bundle.mkdir()
        subprocess.run(["runc", "spec", "--bundle", str(bundle)], check=True, timeout=200)
        config = json.loads((bundle / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": ["/probe", *words], **process}
        config["root"] = {"path": str(rootfs), "readonly": False}
        if profile is not None:
            config["linux"]["seccomp"] = profile
        (bundle / "config.json").write_text(json.dumps(config))
        name = f"kubestrace-test-{bundle.name}"
        command = ["runc", "run", "--bundle", str(bundle), name]
        try:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200, check=False
            )
        finally:
            subprocess.run(["runc", "delete", "--force", name], capture_output=True, timeout=200, check=False)
            if (made := rootfs / "tmp" / "made").exists():
                made.rmdir()

    return run


@pytest.mark.parametrize("no_new_privileges", [False, True])
@pytest.mark.parametrize("user", [{"uid": 0, "gid": 0}, {"uid": 1000, "gid": 1000, "additionalGids": [5]}])
def test_a_container_runs_under_the_profile_of_its_program(
    made_profile: Callable[..., Profile],
    run_container: Callable[..., subprocess.CompletedProcess[str]],
    no_new_privileges: bool,
    user: dict[str, Any],
) -> None:
    """With what runc needs between loading the filter and the program: that is more without no_new_privs."""
    done = run_container(made_profile(), noNewPrivileges=no_new_privileges, user=user)

    assert (done.returncode, done.stdout) == (0, "read 0\n"), done.stderr


def test_a_call_outside_of_it_is_denied(
    made_profile: Callable[..., Profile], run_container: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """With EPERM, and clone3 with ENOSYS; without the profile both are made."""
    profile = made_profile()

    assert "mkdir" not in RUNTIME_CALLS
    assert run_container(None, "mkdir").stdout == "mkdir 0\n"
    assert run_container(None, "clone3").stdout == f"clone3 {errno.EINVAL}\n"
    assert run_container(profile, "mkdir").stdout == f"mkdir {errno.EPERM}\n"
    assert run_container(profile, "clone3").stdout == f"clone3 {errno.ENOSYS}\n"


def test_a_profile_that_logs_denies_nothing(
    made_profile: Callable[..., Profile],
    run_container: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """To try it before it is enforced."""
    profile = made_profile("--default-action", "log")

    assert run_container(profile, "mkdir").stdout == "mkdir 0\n"
    assert run_container(profile, "clone3").stdout == f"clone3 {errno.EINVAL}\n"


def test_without_what_the_runtime_needs_no_container_starts(
    made_profile: Callable[..., Profile], run_container: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The group is there for a reason."""
    profile = made_profile()
    profile["syscalls"] = [each for each in profile["syscalls"] if "runtime" not in each["comment"]]

    assert run_container(profile).returncode != 0


def test_a_call_that_never_returned_is_in_the_profile(tmp_path: Path) -> None:
    """It is in no row of the table, and the program needs it all the same."""
    result = tmp_path / "run.json"
    traced = kubestrace("local", "-d", "1", "-o", "json", "--to", str(result), "--", "sleep", "4")
    assert traced.returncode == 0, traced.stderr
    summary = json.loads(result.read_text())["status"]["summary"]
    assert "clock_nanosleep" not in {row["name"] for row in summary["syscalls"]}

    profile = json.loads(kubestrace("seccomp", str(result)).stdout)

    assert "clock_nanosleep" in profile["syscalls"][0]["names"]
