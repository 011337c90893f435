"""Compiled programs, kept in a folder between starts: what is in it is checked before it is used.

A file is named by everything that its programs depend on: our sources, the sizes and parts asked for, the kernel. In
it stands which compiler made them. Its contents become code of the kernel: nobody but its owner may be able to write
them.
"""

import base64
import contextlib
import errno
import hashlib
import itertools
import json
import os
import platform
import stat
import tempfile
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from kubestrace_agent.kernel.maps.headers import PACKAGE

# Changes with what a file holds.
_FORMAT = b"kubestrace programs 2\n"
_DIGEST_BYTES = 32
# All programs take 0.14 MB. What the agent's volume holds (the chart's daemonset.yaml) is more than all files together.
_MOST_BYTES = 4 << 20
_MOST_FOLDER_BYTES = 8 << 20
# Of each kernel, version and set of views one; the oldest go.
_MOST_FILES = 16
# What a start that was ended left of its writing; none takes so long.
_LEFT_AFTER_SECONDS = 600
_SUFFIX = ".programs"
_PASSING_PREFIX = ".passing-"
_BTF = Path("/sys/kernel/btf/vmlinux")
_PRIVATE = 0o700


# Where local mode keeps programs, and the agent where it is not told otherwise.
DEFAULT_FOLDER = Path("/var/cache/kubestrace/programs")
# In the place of a folder: compile at each start.
NOWHERE = "none"


class KeptError(Exception):
    """A folder or file cannot be used; the message says which, why, and what to do."""


@dataclass(frozen=True)
class KeptMap:
    """A map as it is to be created."""

    name: str
    # type, key_size, value_size, max_entries, map_flags of the kernel's union bpf_attr.
    shape: tuple[int, int, int, int, int]
    # Of a map of maps: the one whose shape all of them have.
    inner: str = ""


@dataclass(frozen=True)
class KeptProgram:
    """A program as it is to be loaded."""

    name: str
    # Type of the program, type of its attachment, and the BTF ID of what it is attached to.
    kind: tuple[int, int, int]
    code: bytes
    # Position of an instruction -> the map whose file descriptor it has.
    maps: Mapping[int, str]


@dataclass(frozen=True)
class Kept:
    """Everything that the kernel is to be given."""

    licence: str
    programs: list[KeptProgram]
    # In an order in which the inner maps come before those that need them.
    maps: list[KeptMap]
    # Those that the agent uses.
    used_maps: list[str]
    problems: dict[str, str]
    # Files of the compiler: path -> size and time of change in nanoseconds.
    compiler: dict[str, tuple[int, int]] = field(default_factory=dict)

    def packed(self, name: str) -> bytes:
        """Return it as the file of that name holds it."""
        document = asdict(self)
        for program in document["programs"]:
            program["code"] = _text(program["code"])
        contents = zlib.compress(json.dumps(document).encode(), 1)
        return _FORMAT + _digest(name, contents) + contents

    @classmethod
    def unpacked(cls, name: str, data: bytes) -> Self:
        """Read what the file of that name holds. Raises KeptError."""
        digest, contents = data[len(_FORMAT) :][:_DIGEST_BYTES], data[len(_FORMAT) + _DIGEST_BYTES :]
        if not data.startswith(_FORMAT) or _digest(name, contents) != digest:
            raise KeptError("it is damaged, cut short, of another version, or had another name")
        document = json.loads(zlib.decompress(contents))
        document["programs"] = [_program(each) for each in document["programs"]]
        document["maps"] = [KeptMap(**each | {"shape": tuple(each["shape"])}) for each in document["maps"]]
        document["compiler"] = {path: tuple(known) for path, known in document["compiler"].items()}
        return cls(**document)


def folder_named(name: str) -> Path | None:
    """Return the folder that a setting names: the usual one without a name, None for "none"."""
    # The compiler's process has another working folder.
    return None if name == NOWHERE else Path(name or DEFAULT_FOLDER).absolute()


def _digest(name: str, contents: bytes) -> bytes:
    """Of the name too: programs for another kernel are not taken for those of this one."""
    return hashlib.sha256(name.encode() + b"\n" + contents).digest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _program(each: Mapping[str, Any]) -> KeptProgram:
    maps = {int(at): name for at, name in each["maps"].items()}
    return KeptProgram(each["name"], tuple(each["kind"]), base64.b64decode(each["code"]), maps)


def key(sizes: Mapping[str, int], parts: Iterable[str]) -> str:
    """Return the name for all that programs depend on but for the compiler. Raises OSError."""
    digest = hashlib.sha256()
    uname = platform.uname()
    digest.update(json.dumps([uname.release, uname.version, uname.machine, dict(sizes), sorted(parts)]).encode())
    digest.update(hashlib.sha256(_BTF.read_bytes()).digest())
    for path in _sources():
        digest.update(str(path.relative_to(PACKAGE)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources() -> list[Path]:
    """Return the package's files, without what Python keeps beside them: that comes and goes, with its folders."""
    found: list[Path] = []
    for folder, below, names in os.walk(PACKAGE):
        below[:] = [each for each in below if each != "__pycache__"]
        found += [Path(folder, name) for name in names if name.endswith((".c", ".h", ".py"))]
    return sorted(found)


def compiler_files() -> dict[str, tuple[int, int]]:
    """Return the files of the compiler that this process has loaded."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    paths = {line.split(maxsplit=5)[5] for line in lines if line.count(" ") >= 5 and "/" in line}
    wanted = {path for path in paths if any(word in Path(path).name for word in ("libbcc", "libLLVM", "libclang"))}
    return {path: found for path in sorted(wanted) if (found := _state(path))}


def _state(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


class Folder:
    """The folder; only its owner, who is this process, may write it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder, or check the one that is there. Raises KeptError."""
        try:
            self.path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            found = self.path.lstat()
            if not stat.S_ISDIR(found.st_mode):
                raise KeptError(f"{self.path} is no folder, or a symbolic link: remove it")
            if found.st_uid != os.geteuid():
                raise KeptError(f"{self.path} belongs to user {found.st_uid}, not to {os.geteuid()}: remove it")
            if found.st_mode & 0o022:
                self._make_private()
            self._check_above()
        except OSError as error:
            raise KeptError(f"{self.path} cannot be used: {error}") from error

    def _make_private(self) -> None:
        """A volume of Kubernetes is everybody's at first: as long as nothing is in it, nobody has written there."""
        if not any(self.path.iterdir()):
            self.path.chmod(_PRIVATE)
            if not any(self.path.iterdir()):
                return
        raise KeptError(f"others than its owner may write {self.path}: remove it, or run chmod -R go-w on it")

    def _check_above(self) -> None:
        """Who may write a folder above could put another one in the place of ours."""
        for above in self.path.resolve().parents:
            found = above.stat()
            if found.st_uid not in (0, os.geteuid()) or (found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX):
                raise KeptError(f"others than root may write {above}, which {self.path} is in")

    def read(self, name: str) -> Kept | None:
        """Return what is kept under a name; None: nothing. Raises KeptError where that cannot be used."""
        path = self.path / f"{name}{_SUFFIX}"
        try:
            data = _read_own(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeptError(f"{path} cannot be read: {error}") from error
        try:
            kept = Kept.unpacked(name, data)
        except (KeptError, ValueError, KeyError, TypeError, zlib.error) as error:
            raise KeptError(f"{path} cannot be used: {error}") from error
        # Another compiler may be better, or may have mended a fault.
        return kept if all(_state(path) == known for path, known in kept.compiler.items()) else None

    def write(self, name: str, kept: Kept) -> None:
        """Keep under a name, in the place of what was there. Raises OSError."""
        data = kept.packed(name)
        if len(data) > _MOST_BYTES:
            raise OSError(errno.EFBIG, f"{len(data)} bytes are more than the {_MOST_BYTES} that are kept")
        fd, passing = tempfile.mkstemp(prefix=_PASSING_PREFIX, dir=self.path)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            Path(passing).rename(self.path / f"{name}{_SUFFIX}")
        except BaseException:
            Path(passing).unlink(missing_ok=True)
            raise
        self._prune()

    def _prune(self) -> None:
        """Remove the oldest files, and what ended starts have left; another start may do so at the same time."""
        left = _states(self.path.glob(f"{_PASSING_PREFIX}*"))
        gone = [path for path, found in left if time.time() - found.st_mtime > _LEFT_AFTER_SECONDS]
        files = sorted(_states(self.path.glob(f"*{_SUFFIX}")), key=lambda each: each[1].st_mtime_ns, reverse=True)
        sums = itertools.accumulate(found.st_size for _, found in files)
        gone += [
            path
            for number, ((path, _), bytes_so_far) in enumerate(zip(files, sums, strict=True))
            if number >= _MOST_FILES or bytes_so_far > _MOST_FOLDER_BYTES
        ]
        for path in gone:
            path.unlink(missing_ok=True)


def _states(paths: Iterable[Path]) -> list[tuple[Path, os.stat_result]]:
    found = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            found.append((path, path.lstat()))
    return found


def _read_own(path: Path) -> bytes:
    """Read a file that nobody else may have written. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError("others than its owner may have written it: remove it")
        if found.st_size > _MOST_BYTES:
            raise OSError(f"it has {found.st_size} bytes, more than {_MOST_BYTES}")
        return file.read(_MOST_BYTES)
