"""The table of arguments against the kernel's own prototypes, as its tracepoints describe them."""

import platform
import re
import subprocess
from collections.abc import Iterator

import pytest

from kubestrace_agent.syscalls import arguments, names
from kubestrace_agent.syscalls.arguments import Kind

# In a mount namespace of its own: nothing of the machine is changed.
_READ = "mount -t tracefs none /mnt && cd /mnt/events/syscalls && grep -H '^.field:' sys_enter_*/format"
_FIELD = re.compile(r"sys_enter_(\w+)/format:\tfield:(.*?) ?(\w+);")
# The kernel's function has another name than the call. sys_umount is umount2: what is called umount has one argument.
_CALLED = {
    "newstat": "stat",
    "newlstat": "lstat",
    "newfstat": "fstat",
    "sendfile64": "sendfile",
    "umount": "umount2",
}
# Their last arguments are left out: a half of an offset stands before them.
_LEFT_OUT = {"prctl", "preadv", "pwritev", "preadv2", "pwritev2"}
# Strings that name a file, by the name of the parameter; others name an attribute, a module or a key.
_PATH = re.compile(
    r"(path|file)name|path|oldname|newname|u_name|specialfile|special|new_root|put_old|(from|to)_pathname"
)
_DESCRIPTOR = re.compile(r"\w*fd|fildes|fd_?(in|out)|(in|out)_fd")
_PLAIN = {Kind.NUMBER, Kind.SIZE, Kind.OFFSET, Kind.FLAGS, Kind.MODE, Kind.POINTER}
_BY_TYPE = {"umode_t": {Kind.MODE}, "size_t": {Kind.SIZE}, "unsigned long": {*_PLAIN, Kind.HIDDEN, Kind.LOCK}}

_STRUCTURES = {
    "sockaddr": {Kind.ADDRESS, Kind.WRITTEN_ADDRESS},
    "msghdr *": {Kind.MESSAGE, Kind.WRITTEN_MESSAGE},
    "pollfd *": {Kind.POLLED},
    "fd_set *": {Kind.SETS, Kind.SET},
}


def fitting(kind: str, parameter: str) -> set[Kind]:
    """What may describe a parameter of this type and name."""
    for structure, kinds in _STRUCTURES.items():
        if structure in kind:
            return kinds
    if kind in {"const char *", "char *"}:
        return {Kind.PATH} if _PATH.fullmatch(parameter) else {Kind.PATH, Kind.HIDDEN}
    if kind.endswith("*"):
        return {Kind.HIDDEN, Kind.POINTER}
    if _DESCRIPTOR.fullmatch(parameter):
        return {Kind.FILE, Kind.EPOLL if parameter == "epfd" else Kind.DIRECTORY}
    return _BY_TYPE.get(kind, _PLAIN)


@pytest.fixture(scope="module")
def prototypes() -> dict[str, list[tuple[str, str]]]:
    """Call -> type and name of its parameters."""
    run = subprocess.run(["unshare", "-m", "sh", "-c", _READ], capture_output=True, text=True, check=False, timeout=200)
    found: dict[str, list[tuple[str, str]]] = {}
    for name, kind, parameter in _FIELD.findall(run.stdout):
        if not parameter.startswith(("__", "common_")):
            found.setdefault(_CALLED.get(name, name), []).append((kind.strip(), parameter))
    if not found:
        pytest.skip(f"this kernel does not describe its calls: {run.stderr.strip()}")
    return found


def described(prototypes: dict[str, list[tuple[str, str]]]) -> Iterator[tuple[str, tuple[Kind, ...]]]:
    """Calls of this machine that the kernel describes too."""
    for name in sorted(set(names(platform.machine()).values()) & prototypes.keys()):
        kinds = arguments.kinds(name, platform.machine())
        if kinds:
            yield name, kinds


def test_each_argument_is_what_the_kernel_takes(prototypes: dict[str, list[tuple[str, str]]]) -> None:
    """As many of them, in their order: a path is a path, a descriptor a descriptor."""
    wrong = []
    for name, kinds in described(prototypes):
        parameters = prototypes[name]
        fits = all(kind in fitting(*parameter) for kind, parameter in zip(kinds, parameters, strict=False))
        if not fits or (len(kinds) != len(parameters) and name not in _LEFT_OUT):
            wrong.append((name, "".join(kinds), parameters))

    assert wrong == []


def test_every_call_that_takes_a_path_is_described(prototypes: dict[str, list[tuple[str, str]]]) -> None:
    """So that a failure names its file."""
    known = dict(described(prototypes))
    with_path = {
        name
        for name in set(names(platform.machine()).values()) & prototypes.keys()
        if any(fitting(*parameter) == {Kind.PATH} for parameter in prototypes[name])
    }

    assert len(with_path) > 50
    assert with_path - known.keys() == set()
