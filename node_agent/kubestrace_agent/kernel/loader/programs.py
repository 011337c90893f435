"""The loaded programs and maps: asked from the probe's child process, attached and detached here."""

import errno
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader import kept, rebuild
from kubestrace_agent.kernel.loader.probe import TOO_MANY_FILES
from kubestrace_agent.kernel.loader.sources import PODS, POLLS, Source, places
from kubestrace_agent.kernel.maps import layout
from kubestrace_agent.kernel.maps.maps import Maps

_log = logging.getLogger(__name__)

# Seconds on a machine, a minute on an emulated one, and minutes there beside other work.
_LOAD_TIMEOUT_SECONDS = 400
_MESSAGE_BYTES = 1 << 16
# What all slots are told of one reading.
_SKIPPED_NS = 5_000_000
# As many as the kernel hands over at once (SCM_MAX_FD, Linux include/net/scm.h).
_MAX_FDS = 253

# Counting first at the exit: a call that both hooks see is then one that began after both were there.
_COUNTING = ("on_sys_exit", "on_sys_enter", "on_sys_exit_again", "on_sys_enter_again")
_BESIDE = tuple(POLLS.chain)
FOLLOWING = ("on_sched_process_fork", "on_sched_process_exit")
WATCHING = tuple(PODS.hooks)
_ITERATOR = "bpf_iter__task"
# The process or the machine lacks something for now; any other error is this kernel's answer for good.
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR)


class UnsupportedKernelError(Exception):
    """This node cannot trace. `reason` is CamelCase; the message says what was tried, why it failed, what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class WalkFailures:
    """Iterators that could not be run, for lack of files or memory: how often, and why at last."""

    count: int = 0
    why: str = ""


class Programs:
    """What the kernel holds for us. Links are the file descriptors whose closing detaches."""

    def __init__(self, maps: Maps, programs: dict[str, int], problems: dict[str, str], of: tuple[Source, ...]) -> None:
        self.maps = maps
        # Why a program that is not needed by all could not be loaded.
        self.problems = problems
        # Since the programs were loaded.
        self.walk_failures = WalkFailures()
        self._programs = programs
        self._sources = of
        self._tracepoints = {name: tracepoint for source in of for name, tracepoint in source.hooks.items()}
        self._tails = {name: array for source in of for name, array in source.tails.items()}
        self._events = {name: layout.chain(event) for source in of for name, event in source.chain.items()}
        self._places = places(of)
        self._links: dict[str, int] = {}
        # Those that others call: the programs of the chain whose place is on, and those in arrays of their own.
        self._called: set[str] = set()
        # Program -> when it was asked how often it was not run, and the answer.
        self._skipped: dict[str, tuple[int, int]] = {}
        self._config = maps.view("config", "I")

    @classmethod
    def load(
        cls,
        sizes: Mapping[str, int],
        of: tuple[Source, ...],
        probe: tuple[str, ...],
        *,
        parts: Iterable[str] | None = None,
        folder: kept.Folder | None = None,
    ) -> Self:
        """Take what is kept in a folder, or start the probe and take what it made. Raises UnsupportedKernelError.

        `sizes` are constants of the sources `of`, `parts` those of views (None: all). `probe` are Python's
        arguments that run probe.main with the same sources.
        """
        wanted = sorted({source.part for source in of} if parts is None else parts)
        keep = _key(folder, sizes, wanted)
        if folder is not None and keep and (known := _known(folder, keep)):
            programs, maps = known[1]
            _log.info("programs that an earlier start compiled are loaded from %s", folder.path)
            return cls(Maps(maps), programs, known[0].problems, of)
        place = [str(folder.path), keep] if folder is not None and keep else []
        message, fds = _ask_probe(probe, json.dumps(dict(sizes)), ",".join(wanted), *place)
        answer = json.loads(message)
        if "reason" in answer:
            raise UnsupportedKernelError(answer["reason"], answer["message"])
        _log.info("programs are compiled and loaded")
        for fd in fds:
            os.set_inheritable(fd, False)
        of_programs, of_maps = fds[: len(answer["programs"])], fds[len(answer["programs"]) :]
        return cls(
            Maps(dict(zip(answer["maps"], of_maps, strict=True))),
            dict(zip(answer["programs"], of_programs, strict=True)),
            answer["problems"],
            of,
        )

    @property
    def fds(self) -> Mapping[str, int]:
        """The loaded programs by name; their file descriptors stay ours."""
        return self._programs

    @property
    def parts(self) -> dict[int, str]:
        """The part of each loaded program by its file descriptor; "": the counting's own."""
        part_of = {name: source.part for source in self._sources for name in source.programs}
        return {fd: part_of.get(name, "") for name, fd in list(self._programs.items())}

    @property
    def attached(self) -> bool:
        """Whether any hook is attached."""
        return bool(self._links)

    @property
    def active(self) -> frozenset[str]:
        """The programs that the kernel runs now, attached or called by others."""
        return frozenset({*self._links, *self._called})

    @property
    def counting(self) -> tuple[str, ...]:
        """The hooks that count, in the order in which they are to be attached."""
        return tuple(hook for hook in _COUNTING if hook in self._programs)

    @property
    def beside(self) -> tuple[str, ...]:
        """What the counting calls for all, where the kernel took it."""
        return tuple(name for name in _BESIDE if name in self._programs)

    @property
    def twice(self) -> bool:
        """Whether a second pair of programs counts what the first one misses."""
        return _COUNTING[-1] in self._programs

    def attach(self, hooks: tuple[str, ...]) -> None:
        """Attaches to raw tracepoints, or has the counting call them: all, or none and UnsupportedKernelError."""
        new = tuple(hook for hook in hooks if hook not in self._links and hook not in self._called)
        try:
            for hook in new:
                self.need(hook)
                if hook in self._tracepoints:
                    self._links[hook] = self._open(hook)
                else:
                    self._call(hook)
        except BaseException:
            self.detach(new)
            raise

    def choose(self, hook: str, calls: Iterable[int]) -> None:
        """Have a program of the chain called for some system calls only, by their places in the tables of all calls.

        For good, and before it is attached. Idempotent.
        """
        bit = 1 << self._places[hook]
        with self.maps.view("call_places", "Q") as places:
            for at in calls:
                places[at] |= bit
        self._config[layout.CONFIG.at("choosy")] |= bit

    def detach(self, hooks: tuple[str, ...]) -> None:
        """Detaches, the last attached first."""
        for hook in reversed(hooks):
            link = self._links.pop(hook, None)
            if link is not None:
                os.close(link)
            elif hook in self._called:
                self._called.remove(hook)
                if hook in self._events:
                    self._config[self._mask_at(hook)] &= ~(1 << self._places[hook])
                else:
                    bpf_syscall.delete(self.maps.fd(self._tails[hook]), bpf_syscall.key_u32(0))

    def move_behind(self, hooks: tuple[str, ...], tracepoint: str) -> None:
        """Have the other programs at a tracepoint run after these; what happens meanwhile, in microseconds, they miss.

        Raises UnsupportedKernelError.
        """
        links = list(self._links)
        last = max(links.index(hook) for hook in hooks)
        early = tuple(hook for hook in links[:last] if hook not in hooks and self._tracepoints.get(hook) == tracepoint)
        self.detach(early)
        self.attach(early)

    def _mask_at(self, hook: str) -> int:
        return layout.CONFIG.at("chains") + self._events[hook]

    def _call(self, hook: str) -> None:
        """Puts a program where others call it. In the chain it stays when it is detached, and its bit says who runs."""
        array, at = ("view_programs", self._places[hook]) if hook in self._events else (self._tails[hook], 0)
        try:
            bpf_syscall.update(self.maps.fd(array), bpf_syscall.key_u32(at), bpf_syscall.key_u32(self._programs[hook]))
        except OSError as error:
            raise UnsupportedKernelError(
                "UnsupportedKernel", f"The program {hook} cannot follow the counting: {error}"
            ) from error
        if hook in self._events:
            self._config[self._mask_at(hook)] |= 1 << at
        self._called.add(hook)

    def skipped(self, program: str) -> int:
        """How often the kernel did not run a program, as it was being run on that CPU already.

        Asked for one slot after the other, it is one answer for all.
        """
        now_ns = time.monotonic_ns()
        at_ns, known = self._skipped.get(program, (0, 0))
        if now_ns - at_ns > _SKIPPED_NS:
            known = bpf_syscall.recursion_misses(self._programs[program])
            self._skipped[program] = now_ns, known
        return known

    def need(self, program: str) -> None:
        """Raises UnsupportedKernelError where this kernel did not take a program."""
        if program not in self._programs:
            raise UnsupportedKernelError("UnsupportedKernel", self.problems[program])

    def problem_of(self, part: str) -> str:
        """Why a part of a view cannot be had; empty: it can."""
        programs = (name for source in self._sources if source.part == part for name in source.programs)
        return next((self.problems[name] for name in programs if name not in self._programs), "")

    def _open(self, hook: str) -> int:
        try:
            return bpf_syscall.raw_tracepoint_open(self._tracepoints[hook], self._programs[hook])
        except OSError as error:
            why = TOO_MANY_FILES if error.errno == errno.EMFILE else error
            raise UnsupportedKernelError(
                "UnsupportedKernel", f"The tracepoint {self._tracepoints[hook]} cannot be attached to: {why}"
            ) from error

    def tasks_in_calls(self) -> bytes:
        """The iterator's records (layout.IN_FLIGHT) for all tasks; nothing where the kernel has no iterators."""
        # Without it only the calls in flight are unknown: the counts are as exact as before.
        return self.walk(_ITERATOR) or b""

    def walk(self, iterator: str) -> bytes | None:
        """What an iterator over all tasks says; None where the kernel does not take it or cannot run it now."""
        if iterator not in self._programs:
            return None
        try:
            return self._iterate(iterator)
        except OSError as error:
            if self._fails_for_now(error):
                return None
            self.problems[iterator] = f"The iterator over tasks cannot be run: {error}"
            os.close(self._programs.pop(iterator))
            return None

    def need_walk(self, iterator: str, said: bytes | None) -> None:
        """Raises where a walk said nothing: UnsupportedKernelError, and OSError where it may work later."""
        if said is None:
            self.need(iterator)
            raise OSError(errno.EAGAIN, "the iterator over tasks cannot be run now, for lack of files or memory")

    def iterate(self, name: str, *, tid: int = 0, most: int) -> bytes:
        """What an iterator says, of one task where the kernel can tell it apart; nothing where it cannot be run."""
        try:
            return self._iterate(name, tid, most)
        except OSError as error:
            self._fails_for_now(error)
            return b""

    def _fails_for_now(self, error: OSError) -> bool:
        """Tell whether the next run may succeed, and count it then: what this one would have said is missing."""
        if error.errno not in _PASSING:
            return False
        why = TOO_MANY_FILES if error.errno == errno.EMFILE else os.strerror(error.errno or 0)
        self.walk_failures = WalkFailures(self.walk_failures.count + 1, why)
        return True

    def _iterate(self, name: str, tid: int = 0, most: int = bpf_syscall.MOST_BYTES) -> bytes:
        link = bpf_syscall.iterator_link(self._programs[name], tid)
        try:
            return bpf_syscall.iterate(link, most)
        finally:
            os.close(link)

    def close(self) -> None:
        """Detach and close all."""
        self.detach((*self._called, *self._links))
        for fd in self._programs.values():
            os.close(fd)
        self._programs.clear()
        self._config.release()
        self.maps.close()


def _key(folder: kept.Folder | None, sizes: Mapping[str, int], parts: Iterable[str]) -> str:
    """Return the name of these programs in a folder; nothing where none can be kept there, which is logged."""
    if folder is None:
        return ""
    try:
        folder.prepare()
        return kept.key(sizes, parts)
    except (kept.KeptError, OSError) as error:
        if not (isinstance(error, OSError) and error.errno in _PASSING):
            _log.warning("compiled programs are not kept, so that each start compiles them anew: %s", error)
        return ""


def _known(folder: kept.Folder, name: str) -> tuple[kept.Kept, tuple[dict[str, int], dict[str, int]]] | None:
    """Return what is kept, in the kernel; None: nothing, or it cannot be used, which is logged."""
    try:
        found = folder.read(name)
        return (found, rebuild.rebuilt(found)) if found else None
    except kept.KeptError as error:
        _log.warning("programs are compiled anew: %s", error)
    except OSError as error:
        # What hinders any program from being loaded hinders the probe as well, which says so.
        if error.errno not in (*_PASSING, errno.EPERM):
            _log.warning("programs are compiled anew: %s", error)
    return None


def _ask_probe(probe: tuple[str, ...], *arguments: str) -> tuple[bytes, list[int]]:
    """Runs the probe in a child process: what it says, and the file descriptors that it hands over."""
    ours, childs = socket.socketpair()
    with ours:
        ours.settimeout(_LOAD_TIMEOUT_SECONDS)
        with childs:
            child = subprocess.Popen(
                # -P: nothing is imported from the folder that we happen to run in.
                [sys.executable, "-P", *probe, str(childs.fileno()), *arguments],
                pass_fds=[childs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                # clang asks for the name of its folder, and ours may be gone.
                cwd="/",
            )
        try:
            message, fds, flags, _ = socket.recv_fds(ours, _MESSAGE_BYTES, _MAX_FDS)
        except TimeoutError:
            child.kill()
            child.communicate()
            raise UnsupportedKernelError(
                "ProbeTimeout", f"Compiling and loading the BPF programs took longer than {_LOAD_TIMEOUT_SECONDS} s."
            ) from None
        _, words = child.communicate()
    if flags & socket.MSG_CTRUNC:
        for fd in fds:
            os.close(fd)
        raise UnsupportedKernelError("ProbeFailed", f"The BPF programs were loaded, but {TOO_MANY_FILES}")
    if not message:
        raise UnsupportedKernelError(
            "ProbeFailed",
            f"The process that loads the BPF programs ended without a message (exit code {child.returncode}): "
            f"{words.decode(errors='replace').strip()[-400:]}",
        )
    if child.returncode:
        _log.warning("the next start compiles anew: %s", words.decode(errors="replace").strip()[-400:])
    return message, fds
