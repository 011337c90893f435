"""Programs that were kept are those that were compiled: the kernel has the same, and they count the same."""

import ctypes
import logging
import os
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from engine_runs import SMALL

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.counters.tracer import Tracer
from kubestrace_agent.kernel.loader import programs as loader
from kubestrace_agent.kernel.loader.kept import Folder
from kubestrace_agent.kernel.loader.programs import Programs
from kubestrace_agent.views import loading
from kubestrace_agent.views.registry import all_sources


def tag(fd: int) -> bytes:
    """A program's tag: the kernel's hash of its instructions (struct bpf_prog_info, Linux include/uapi/linux/bpf.h)."""
    info, size = ctypes.create_string_buffer(256), ctypes.c_uint32(256)
    assert ctypes.CDLL("libbpf.so.1").bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)) == 0
    return info.raw[8:16]


def maps_of(fd: int) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the maps that a program uses, as the kernel found them in it; its tag leaves them out."""
    libbpf, numbers = ctypes.CDLL("libbpf.so.1"), (ctypes.c_uint32 * 64)()
    # struct bpf_prog_info: nr_map_ids at 52, map_ids at 56; struct bpf_map_info: name at 24.
    info, size = ctypes.create_string_buffer(256), ctypes.c_uint32(256)
    struct.pack_into("=IQ", info, 52, len(numbers), ctypes.addressof(numbers))
    assert libbpf.bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)) == 0
    found = []
    for number in numbers[: struct.unpack_from("=I", info, 52)[0]]:
        own = libbpf.bpf_map_get_fd_by_id(number)
        assert own >= 0
        described, length = ctypes.create_string_buffer(256), ctypes.c_uint32(256)
        assert libbpf.bpf_obj_get_info_by_fd(own, described, ctypes.byref(length)) == 0
        found.append((described.raw[24:40].rstrip(b"\0").decode(), bpf_syscall.map_info(own)))
        os.close(own)
    return found


def shapes(loaded: Programs) -> dict[str, tuple[int, ...]]:
    """The shapes of all maps."""
    names = loaded.maps._fds
    return {name: bpf_syscall.map_info(fd) for name, fd in names.items()}


def test_the_kernel_has_the_same_programs_and_maps(tracer: Tracer, kept_tracer: Tracer) -> None:
    """Each instruction of them; what could not be had is said in the same words."""
    compiled, kept = tracer._programs, kept_tracer._programs

    assert {name: tag(fd) for name, fd in kept.fds.items()} == {name: tag(fd) for name, fd in compiled.fds.items()}
    used = {name: maps_of(fd) for name, fd in kept.fds.items()}
    assert used == {name: maps_of(fd) for name, fd in compiled.fds.items()}
    assert "tasks" in {name for name, _ in used["on_sys_exit"]}
    assert shapes(kept) == shapes(compiled)
    assert kept.problems == compiled.problems


def test_what_is_damaged_is_compiled_anew(
    kept_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged once and replaced; the next start finds it whole."""
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    (kept,) = kept_folder.iterdir()
    (own / kept.name).write_bytes(kept.read_bytes()[:-7])

    with caplog.at_level(logging.WARNING):
        loading.load(folder=own).close()

    assert [record.getMessage() for record in caplog.records if "compiled anew" in record.getMessage()]
    monkeypatch.setattr(loader, "_ask_probe", None)
    loading.load(folder=own).close()


def test_what_the_kernel_refuses_is_compiled_anew(kept_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As that of another kernel would be: nothing of it is left."""
    place = Folder(kept_folder)
    (path,) = kept_folder.iterdir()
    kept = place.read(path.stem)
    assert kept
    damaged = kept.programs[0].code[:-8] + bytes(8)
    place.write(path.stem, type(kept)(**vars(kept) | {"programs": [type(kept.programs[0])(
        kept.programs[0].name, kept.programs[0].kind, damaged, kept.programs[0].maps
    )]}))  # fmt: skip

    with caplog.at_level(logging.WARNING):
        loading.load(folder=kept_folder).close()

    assert "BPF_PROG_LOAD" in caplog.text
    assert place.read(path.stem) == kept


def test_two_starts_at_once(tmp_path: Path) -> None:
    """Both compile, both keep: one file is there, and it is whole."""
    tmp_path.chmod(0o700)
    failed: list[BaseException] = []

    def start() -> None:
        try:
            Programs.load(SMALL, all_sources(), loading.PROBE, parts=[], folder=Folder(tmp_path)).close()
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
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=700", "none", tmp_path], check=True, timeout=200)
    try:
        loaded = Programs.load(SMALL, all_sources(), loading.PROBE, parts=[], folder=Folder(tmp_path))
        assert {"on_sys_enter", "on_sys_exit"} <= loaded.fds.keys()
        loaded.close()
        assert list(tmp_path.iterdir()) == []
        assert "the next start compiles anew" in caplog.text
        assert "No space left on device" in caplog.text
    finally:
        subprocess.run(["umount", tmp_path], check=True, timeout=200)
