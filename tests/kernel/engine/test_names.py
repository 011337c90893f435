"""What calls name, as it is read in the kernel: long paths, addresses and their lengths, files without a folder."""

import time
from pathlib import Path

import pytest
from engine_runs import Runs

from kubestrace_agent.syscalls import errno_name, name
from kubestrace_agent.views.call_arguments import described
from kubestrace_agent.views.errors.collector import Failures
from kubestrace_agent.views.slow_calls.values import Floors
from kubestrace_protos.v1.views.errors_limits import MAX_SAMPLES


@pytest.fixture
def told(runs: Runs, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Run names.c; (call, errno) -> the arguments of those that were told."""

    def tell(word: str) -> dict[tuple[str, str], list[str]]:
        cgroup = runs.cgroup()
        slot = runs.trace(cgroup)
        collector = Failures(MAX_SAMPLES, None)
        collector.begin(time.monotonic_ns(), 0)
        runs.tracer.enable("errors", slot, collector.wanted)
        runs.start(cgroup, "names", word, str(tmp_path)).finish()
        found: dict[tuple[str, str], list[str]] = {}
        for call in runs.tracer.read("errors")[slot].calls:
            found.setdefault((name(call.key), errno_name(-call.result)), []).append(described(call))
        return found

    return tell


def test_a_path_behind_a_descriptor_says_where_it_was_cut(told, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The 512 bytes of names are shared with what was read before: with the path of the call itself."""
    calls = told("deep")
    (short,) = (each for each in calls["openat", "ENOENT"] if "missing" in each)
    (long,) = calls["mkdirat", "ENOENT"]

    whole = "/".join([str(tmp_path), *(letter + "n" * 99 for letter in "ABCD")])
    assert short.partition("<")[2].startswith(whole[:256] + "...>")
    assert long.partition("<")[2].startswith(".../A" + "n" * 99 + "/B")


def test_of_a_long_path_beginning_and_end_are_told(told) -> None:  # type: ignore[no-untyped-def]
    """254 bytes have room; of 299 those in the middle are missing."""
    calls = told("long")

    assert calls["unlink", "ENOENT"] == ['"/nowhere' + "/" * 246 + '"']
    assert calls["rmdir", "ENOENT"] == ['"/nowhere' + "/" * 86 + "/.../" + "/" * 158 + '"']


def test_an_address_is_as_long_as_its_length_says(told) -> None:  # type: ignore[no-untyped-def]
    """Nothing that stands behind is shown; abstract names have an @; a path without a NUL has all its 108 bytes."""
    calls = told("unix")

    peers = {key: [each.split(", ")[1] for each in words] for key, words in calls.items() if key[0] == "connect"}
    assert sorted(peers["connect", "ENOENT"]) == ["unix:/run/no-such.sock", "unix:" + "P" * 107 + "Z"]
    assert peers["connect", "EINVAL"] == ["unix"]
    assert peers["connect", "ECONNREFUSED"] == ["unix:@abstract"]
    assert "stale" not in str(calls)
    (refused,) = calls["accept", "EINVAL"]
    assert refused.split(", ")[1].startswith("0x")


def test_what_the_kernel_wrote_of_an_address(runs: Runs, tmp_path: Path) -> None:
    """A name that had no room in the program's address is not told: other memory stands there."""
    cgroup = runs.cgroup()
    slot = runs.trace(cgroup)
    runs.tracer.enable("slow_calls", slot, Floors(10_000_000, 10_000_000))
    runs.start(cgroup, "names", "written", str(tmp_path)).finish()

    received = [call for call in runs.tracer.read("slow_calls")[slot] if name(call.key) == "recvfrom"]

    assert [described(call).split(", ")[4] for call in received] == ["unix", "127.0.0.2:47123"]


def test_each_peer_that_refuses_is_told(told) -> None:  # type: ignore[no-untyped-def]
    """Of three that refuse in turns all three; also where the address is a later argument."""
    calls = told("peers")

    refused = {each.split(", ")[1] for each in calls["connect", "ECONNREFUSED"]}
    assert refused >= {"127.0.0.1:1", "unix:@nobody-listens"}
    assert "[::1]:1" in refused or ("connect", "EADDRNOTAVAIL") in calls or ("socket", "EAFNOSUPPORT") in calls
    peers = {each.split(", ")[4] for each in calls["sendto", "EMSGSIZE"]}
    assert peers == {"223.255.255.255:1", "223.255.255.254:1"}


def test_files_without_a_folder_are_named(told, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """As /proc/PID/fd names them; a pidfd has no name of its own on newer kernels."""
    first = {key: words[0].split(", ")[0].partition("<")[2] for key, words in told("files").items()}

    assert first["ftruncate", "EINVAL"] == "/memfd:notes (deleted)>"
    assert first["read", "EINVAL"] == "anon_inode:[eventfd]>"
    assert first["flock", "EINVAL"] == "anon_inode:[eventpoll]>"
    assert first["lseek", "EINVAL"] == "anon_inode:[timerfd]>"
    assert first["getdents64", "ENOTDIR"] == "anon_inode:[signalfd]>"
    assert first["fchdir", "ENOTDIR"] in {"anon_inode:[pidfd]>", ""}
    assert first["pread64", "EINVAL"] == f"{tmp_path}/gone (deleted)>"
    assert first["dup2", "EBADF"] == "/>"
