"""Compiles and loads the programs with bcc, hands their file descriptors to the agent, and exits.

A child process of programs.py (`python -m kubestrace_agent.views.compiling FD SIZES PARTS [FOLDER KEY]`): LLVM's 60 MB
and more stay out of the agent. SIZES are constants of the sources as a JSON object, PARTS parts of views
(Source.part), with commas. FD is a unix socket: one JSON message, {"programs": {name: position}, "maps": ...,
"problems": {program: why}} with the descriptors attached, or {"reason": ..., "message": ...}. What was compiled is then
kept in FOLDER under KEY, where both are given and the kernel took all of it.
"""

import array
import contextlib
import ctypes
import errno
import json
import os
import platform
import re
import socket
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kubestrace_agent.containers import procfs
from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader import casts, kept, rebuild
from kubestrace_agent.kernel.loader.btf import Btf, BtfError
from kubestrace_agent.kernel.loader.sources import Source
from kubestrace_agent.kernel.maps.headers import PACKAGE

_INCLUDE = re.compile(r'^#include "([^"]+\.bpf\.c)"\n', re.MULTILINE)
_PATTERN = re.compile(r'^BPF_ARRAY_OF_MAPS\((\w+), "(\w+)"', re.MULTILINE)
_ONCE = re.compile(r"^#pragma once\n", re.MULTILINE)
# Kernel numbers and bits that are part of the ABI of each architecture; offsets come from BTF (field -> name).
_NUMBERS = {
    "x86_64": {
        "COMPAT_BIT": 2, "X32_BIT": 0x40000000, "COMPAT_EXIT_GROUP": 252, "NATIVE_EXIT": 60, "NATIVE_EXIT_GROUP": 231,
        "NATIVE_SIGRETURN": 15, "NATIVE_CLONE": 56, "NATIVE_FORK": 57, "NATIVE_VFORK": 58,
    },
    "aarch64": {
        "COMPAT_BIT": 1 << 22, "COMPAT_EXIT_GROUP": 248, "NATIVE_EXIT": 93, "NATIVE_EXIT_GROUP": 94,
        "NATIVE_SIGRETURN": 139, "NATIVE_CLONE": 220, "NATIVE_FORK": 220, "NATIVE_VFORK": 220,
    },
}  # fmt: skip
_FIELDS = {
    "x86_64": {"COMPAT_OFFSET": "task_struct.thread_info.status", "NR_OFFSET": "pt_regs.orig_ax"},
    "aarch64": {"COMPAT_OFFSET": "task_struct.thread_info.flags", "NR_OFFSET": "pt_regs.syscallno"},
}
_TASK_FIELDS = {
    "TID_OFFSET": "task_struct.pid",
    "PID_OFFSET": "task_struct.tgid",
    "SIGNAL_OFFSET": "task_struct.signal",
    "LIVE_OFFSET": "signal_struct.live",
    "STORAGE_OFFSET": "task_struct.bpf_storage",
    "CGROUPS_OFFSET": "task_struct.cgroups",
    "DFL_CGRP_OFFSET": "css_set.dfl_cgrp",
    "KN_OFFSET": "cgroup.kn",
    "ID_OFFSET": "kernfs_node.id",
}
# Fields that came with a feature.
_FEATURES = {"STORAGE_OFFSET": "task storage for tracing programs (Linux has it since 5.13)"}
# linux/nsfs.h: USER_NS_INIT_INO
_FIRST_USER_NAMESPACE = 0xEFFFFFFD
TOO_MANY_FILES = "too many open files. Raise their limit (ulimit -n 1024, LimitNOFILE= of a systemd service)."


class ProbeError(Exception):
    """Why the programs cannot be loaded: reason and message as UnsupportedKernelError has them."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _definitions(
    of: Iterable[Source], machine: str, sizes: dict[str, int], parts: Collection[str]
) -> tuple[dict[str, int], list[Source], dict[str, str]]:
    """What the command line gives to the sources, those that this kernel can have, and why programs are missing."""
    if machine not in _NUMBERS:
        raise ProbeError("UnsupportedArchitecture", f"kubestrace traces x86_64 and aarch64 nodes, this is {machine}.")
    try:
        btf = Btf.of_kernel()
    except (OSError, BtfError) as error:
        raise ProbeError(
            "NoBTF",
            f"The kernel's type information (/sys/kernel/btf/vmlinux) cannot be used: {error}. "
            "It needs a kernel built with CONFIG_DEBUG_INFO_BTF, as those of current distributions are.",
        ) from error
    found = _NUMBERS[machine] | _offsets(btf, _FIELDS[machine] | _TASK_FIELDS) | casts.definitions(btf) | sizes
    chosen: list[Source] = []
    problems: dict[str, str] = {}
    lacking: dict[str, str] = {}
    for source in (each for each in of if each.useful(btf)):
        if source.part and source.part not in parts:
            problems |= dict.fromkeys(source.programs, f"{source.what}: not asked for at the start.")
            continue  # nor must its constants be there: other sources look for them
        try:
            found |= source.definitions(machine, btf)
        except BtfError as error:
            lacking[source.file] = str(error)
        why = lacking.get(source.file) or lacking.get(source.uses)
        if why is None:
            chosen.append(source)
        else:
            lacking[source.file] = why
            problems |= dict.fromkeys(source.programs, f"{source.what} cannot be collected: {why}.")
    return found, chosen, problems


def _offsets(btf: Btf, fields: dict[str, str]) -> dict[str, int]:
    """Where the kernel keeps what the programs read; what it lacks is named by what it means."""
    found = {}
    for name, path in fields.items():
        try:
            found[name] = btf.offset(path)
        except BtfError as error:
            lacks = _FEATURES.get(name, "a field that the programs read")
            raise ProbeError(
                "UnsupportedKernel", f"Kernel {platform.release()} lacks {lacks}: {error}. A newer kernel is needed."
            ) from error
    return found


@contextlib.contextmanager
def _standard_error_kept() -> Iterator[Any]:
    """Libbcc and LLVM write their complaints to file descriptor 2: keep them for the message."""
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _last_words(file: Any) -> str:
    file.seek(0)
    lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    # LLVM's, each in a line, of loops that it did not unroll: never why something was refused.
    lines = [line for line in lines if not line.startswith("warning: ")]
    return " | ".join(lines[-4:])[:600]


def _denied(what: str, words: str) -> ProbeError:
    """Loading failed: say why in our words, as bcc has one sentence for every EPERM."""
    # First: nothing of the following could be opened.
    if os.strerror(errno.EMFILE) in words:
        return ProbeError("ProbeFailed", f"{what} was refused: {TOO_MANY_FILES}")
    lockdown = Path("/sys/kernel/security/lockdown")
    with contextlib.suppress(OSError):
        if "[confidentiality]" in lockdown.read_text():
            return ProbeError(
                "LockedDown", "The kernel is locked down (confidentiality), which forbids tracing by BPF."
            )
    if _in_user_namespace():
        return ProbeError(
            "MissingCapabilities",
            f"{what} was refused: this process is in a user namespace, where the capabilities BPF and PERFMON count "
            "for nothing. Run it outside of that (not in a rootless container, not by unshare -U).",
        )
    if not _capable():
        return ProbeError(
            "MissingCapabilities", f"{what} was refused: the agent needs the capabilities BPF and PERFMON (or root)."
        )
    return ProbeError("UnsupportedKernel", f"{what} was refused by kernel {platform.release()}: {words}")


def _in_user_namespace() -> bool:
    return Path("/proc/self/ns/user").stat().st_ino != _FIRST_USER_NAMESPACE


def _capable() -> bool:
    """Whether this process has CAP_BPF and CAP_PERFMON (39, 38) or CAP_SYS_ADMIN (21), whatever its user id."""
    effective = int(procfs.fields(Path("/proc/self/status").read_bytes())[b"CapEff"], 16)
    return effective >> 21 & 1 == 1 or effective >> 38 & 3 == 3


def text_of(chosen: Iterable[Source]) -> str:
    """The text of some sources and of those that they include, each once: bcc rewrites the main file alone."""
    done: set[str] = set()

    def expanded(file: str) -> str:
        if file in done:
            return ""
        done.add(file)
        text = _ONCE.sub("", (PACKAGE / file).read_text(encoding="utf-8"))
        return _INCLUDE.sub(lambda found: expanded(found[1]), text)

    return "\n".join(expanded(source.file) for source in chosen)


def _compile(definitions: dict[str, int], chosen: list[Source]) -> Any:
    # Before the import: bcc reads it when it compiles, and no folder of the node must be trusted.
    os.environ["BCC_KERNEL_SOURCE"] = str(PACKAGE / "kernel/bpf/headers")
    try:
        import bcc  # noqa: PLC0415 - only this process pays for LLVM
    except (ImportError, OSError) as error:
        raise ProbeError(
            "NoBcc", f"bcc cannot be loaded: {error}. Install the distribution's python3-bpfcc."
        ) from error
    # A newer compiler than that of the tests takes these for errors.
    strict = ("-Werror=int-conversion", "-Werror=incompatible-pointer-types", "-Werror=implicit-function-declaration")
    flags = [*(f"-D{name}={value}" for name, value in definitions.items()), f"-I{PACKAGE}", *strict]
    with _standard_error_kept() as complaints:
        try:
            return bcc.BPF(text=text_of(chosen), cflags=flags)
        except Exception as error:  # bcc raises plain Exception
            raise _denied("Compiling the programs or making their maps", _last_words(complaints)) from error


def _give_types(program: Any, chosen: list[Source], definitions: dict[str, int]) -> None:
    """Have the programs call the kernel's function that gives an address a type: in bcc's memory, where they wait."""
    from bcc.libbcc import lib  # noqa: PLC0415 - only this process pays for LLVM

    if "CAST_FUNCTION" not in definitions:
        return
    for name in (name.encode() for source in chosen for name in source.programs):
        at, size = lib.bpf_function_start(program.module, name), lib.bpf_function_size(program.module, name)
        ctypes.memmove(at, casts.called(ctypes.string_at(at, size), definitions["CAST_FUNCTION"]), size)


def _load(program: Any, chosen: list[Source]) -> tuple[dict[str, int], dict[str, str]]:
    """File descriptors of the programs, and why optional ones are missing."""
    loaded, problems = {}, {}
    for source in chosen:
        for name in source.programs:
            load = _load_iterator if name in source.iterators else _load_hook
            with _standard_error_kept() as complaints:
                try:
                    loaded[name] = load(program, name)
                except Exception as error:  # bcc raises plain Exception
                    problem = _denied(f"The program {name}", _last_words(complaints) or str(error))
                    if name in source.needed:
                        raise problem from error
                    problems[name] = str(problem)
    return loaded, problems


def _load_hook(program: Any, name: str) -> int:
    fd: int = program.load_func(name, program.RAW_TRACEPOINT).fd
    return fd


def _load_iterator(program: Any, name: str) -> int:
    """By libbcc's own function: bcc's Python knows the kind by the function's name, and so one iterator of each."""
    from bcc.libbcc import lib  # noqa: PLC0415 - as above

    module, words = program.module, name.encode()
    code, size = ctypes.c_void_p(lib.bpf_function_start(module, words)), lib.bpf_function_size(module, words)
    kind, licence = program.TRACING, lib.bpf_module_license(module)
    name_of_kind = f"bpf_iter__{_over(name)}".encode()
    fd: int = lib.bcc_prog_load(kind, name_of_kind, code, size, ctypes.c_char_p(licence), 0, 0, None, 0)
    if fd < 0:
        raise OSError(-fd, f"the iterator {name} was refused: {os.strerror(-fd)}")
    return fd


def _map_fds(program: Any, chosen: list[Source], definitions: dict[str, int]) -> dict[str, int]:
    """By libbcc's own function: bcc's Python knows no task storage."""
    from bcc.libbcc import lib  # noqa: PLC0415 - as above

    names = [name for source in chosen for name in source.maps]
    for source in chosen:
        names += [name for constant, maps in source.maps_with.items() if constant in definitions for name in maps]
    return {name: lib.bpf_table_fd(program.module, name.encode()) for name in names}


def _kept(program: Any, chosen: list[Source], loaded: Iterable[str], used: Collection[str], missing: Any) -> kept.Kept:
    """Take down what the kernel was given."""
    from bcc.libbcc import lib  # noqa: PLC0415 - as above

    lib.bpf_table_name.restype = ctypes.c_char_p
    numbers = range(lib.bpf_num_tables(program.module))
    fds = {
        lib.bpf_table_name(program.module, each).decode(): lib.bpf_table_fd_id(program.module, each) for each in numbers
    }
    inner = dict(_PATTERN.findall(text_of(chosen)))
    maps = [kept.KeptMap(name, bpf_syscall.map_info(fd), inner.get(name, "")) for name, fd in fds.items()]
    names = {fd: name for name, fd in fds.items()}
    iterators = {name for source in chosen for name in source.iterators}
    programs = [
        rebuild.program(name, _kind(program, name, iterators), program.dump_func(name), names) for name in loaded
    ]
    return kept.Kept(
        licence=lib.bpf_module_license(program.module).decode(),
        programs=programs,
        maps=sorted(maps, key=lambda each: bool(each.inner)),
        used_maps=list(used),
        problems=missing,
        compiler=kept.compiler_files(),
    )


def _kind(program: Any, name: str, iterators: Collection[str]) -> tuple[int, int, int]:
    if name not in iterators:
        return program.RAW_TRACEPOINT, 0, 0
    return program.TRACING, bpf_syscall.TRACE_ITER, bpf_syscall.iterator_target(_over(name))


def _over(name: str) -> str:
    """What an iterator is over: NAME__KIND says the kind, any other is over tasks."""
    return name.rpartition("__")[2] if "__" in name else "task"


def main(of: Sequence[Source]) -> None:
    """Load these sources, as the parent's arguments say; send, keep, exit."""
    fd, sizes, parts, *keep = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3].split(","), *sys.argv[4:]
    with socket.socket(fileno=fd) as parent:
        try:
            definitions, chosen, missing = _definitions(of, platform.machine(), sizes, parts)
            program = _compile(definitions, chosen)
            _give_types(program, chosen, definitions)
            programs, problems = _load(program, chosen)
            maps = _map_fds(program, chosen, definitions)
        except ProbeError as error:
            _refuse(parent, error)
            return
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            _refuse(parent, ProbeError("ProbeFailed", f"The programs cannot be loaded: {TOO_MANY_FILES}"))
            return
        names = {"programs": list(programs), "maps": list(maps), "problems": problems | missing}
        fds = array.array("i", [*programs.values(), *maps.values()])
        parent.sendmsg([json.dumps(names).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    if keep and not problems:
        try:
            kept.Folder(Path(keep[0])).write(keep[1], _kept(program, chosen, programs, maps, missing))
        except OSError as error:
            sys.exit(f"{keep[0]} cannot be written: {error}")


def _refuse(parent: socket.socket, error: ProbeError) -> None:
    parent.sendall(json.dumps({"reason": error.reason, "message": str(error)}).encode())
