"""Programs that were kept are those that were compiled: the kernel has the same, and they count the same."""

import ctypes
import logging
import platform
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_runs import SMALL, Cgroup, Runs, agree, counted, told

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.kernel.loader import programs as loader
from kubestrace_agent.kernel.loader.kept import Folder
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.traces.delta import difference


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder in which all programs are kept."""
    path = tmp_path_factory.mktemp("kept")
    path.chmod(0o700)
    Tracer.load(folder=path).close()
    assert len(list(path.iterdir())) == 1
    return path


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is compiled."""

    def ask(*words: object) -> None:
        raise AssertionError(f"compiled: {words}")

    monkeypatch.setattr(loader, "_ask_probe", ask)


@pytest.fixture
def from_kept(folder: Path, no_compiler: None) -> Iterator[Tracer]:
    """Load what is kept."""
    tracer = Tracer.load(folder=folder)
    yield tracer
    tracer.close()


def tag(fd: int) -> bytes:
    """A program's tag: the kernel's hash of its instructions (struct bpf_prog_info, Linux include/uapi/linux/bpf.h)."""
    info, size = ctypes.create_string_buffer(256), ctypes.c_uint32(256)
    assert ctypes.CDLL("libbpf.so.1").bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)) == 0
    return info.raw[8:16]


def shapes(loaded: Programs) -> dict[str, tuple[int, ...]]:
    """The shapes of all maps."""
    names = loaded.maps._fds
    return {name: bpf_syscall.map_shape(fd)[0] for name, fd in names.items()}


def test_the_kernel_has_the_same_programs_and_maps(tracer: Tracer, from_kept: Tracer) -> None:
    """Each instruction of them; what could not be had is said in the same words."""
    compiled, kept = tracer._programs, from_kept._programs

    assert {name: tag(fd) for name, fd in kept.fds.items()} == {name: tag(fd) for name, fd in compiled.fds.items()}
    assert shapes(kept) == shapes(compiled)
    assert kept.problems == compiled.problems


def test_they_count_the_same(from_kept: Tracer, cgroup: Callable[..., Cgroup], program: Callable[[str], Path]) -> None:
    """Calls of threads and children, with all views on."""
    runs = Runs(from_kept, cgroup, program)
    try:
        place = cgroup()
        slot = runs.trace(place)
        for part in ("cpu_time", "block_io"):
            from_kept.enable(part, slot, True)
        output = runs.start(place, "everything", "2", "300", "2").finish()
        found = difference(None, runs.snapshot(slot), wanted=None, architecture=platform.machine())
        times = from_kept.read("cpu_time")[slot]
    finally:
        runs.end()

    agree(told(output), counted(found.syscalls), runs.may_lose(found))
    assert abs(times.missing_ns) <= 0.01 * times.thread_ns


def test_what_is_damaged_is_compiled_anew(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged once and replaced; the next start finds it whole."""
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    (kept,) = folder.iterdir()
    (own / kept.name).write_bytes(kept.read_bytes()[:-7])

    with caplog.at_level(logging.WARNING):
        Tracer.load(folder=own).close()

    assert [record.getMessage() for record in caplog.records if "compiled anew" in record.getMessage()]
    monkeypatch.setattr(loader, "_ask_probe", None)
    Tracer.load(folder=own).close()


def test_what_the_kernel_refuses_is_compiled_anew(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As that of another kernel would be: nothing of it is left."""
    place = Folder(folder)
    (path,) = folder.iterdir()
    kept = place.read(path.stem)
    assert kept
    damaged = kept.programs[0].code[:-8] + bytes(8)
    place.write(path.stem, type(kept)(**vars(kept) | {"programs": [type(kept.programs[0])(
        kept.programs[0].name, kept.programs[0].kind, damaged, kept.programs[0].maps
    )]}))  # fmt: skip

    with caplog.at_level(logging.WARNING):
        Tracer.load(folder=folder).close()

    assert "BPF_PROG_LOAD" in caplog.text
    assert place.read(path.stem) == kept


def test_two_starts_at_once(tmp_path: Path) -> None:
    """Both compile, both keep: one file is there, and it is whole."""
    tmp_path.chmod(0o700)
    failed: list[BaseException] = []

    def start() -> None:
        try:
            Programs.load(SMALL, parts=[], folder=Folder(tmp_path)).close()
        except BaseException as error:  # noqa: BLE001 - told by the test
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)

    assert failed == []
    (path,) = tmp_path.iterdir()
    assert Folder(tmp_path).read(path.stem)


def test_a_full_disk_keeps_nothing_and_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The programs are loaded all the same; why the next start is slow is logged."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=700", "none", tmp_path], check=True, timeout=60)
    try:
        loaded = Programs.load(SMALL, parts=[], folder=Folder(tmp_path))
        assert {"on_sys_enter", "on_sys_exit"} <= loaded.fds.keys()
        loaded.close()
        assert list(tmp_path.iterdir()) == []
        assert "the next start compiles anew" in caplog.text
        assert "No space left on device" in caplog.text
    finally:
        subprocess.run(["umount", tmp_path], check=True, timeout=60)
