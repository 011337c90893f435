"""Starts a COMMAND so that it can be traced from its very first call: its execve.

Like strace, the path is looked up and everything is prepared beforehand. The child then waits in user space, on a
byte of shared memory, with no system call in flight: whatever is counted in its cgroup from then on is COMMAND's own.

Also like strace, COMMAND inherits signal dispositions: a SIGINT that we inherited as ignored (nohup, `sh -c '... &'`)
stays ignored for COMMAND and for its process while it waits.
"""

import ctypes
import errno
import gc
import os
import signal
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from kubestrace_cli.local.gates import Gate
from kubestrace_cli.local.signals import Inherited

# As a shell, env(1) and strace exit.
NOT_FOUND = 127
NOT_EXECUTABLE = 126

# Passed on to COMMAND when another process sends them to us.
PASSED_ON = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2})

_READY_SECONDS = 10.0


class CommandError(Exception):
    """COMMAND could not be started; `exit_code` is what a shell would exit with."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def find(name: str, search_path: str | None = None) -> str:
    """Return the file that `name` stands for, as execvp(3) would find it.

    It is a text, as a Path drops the "./" of "./x.sh": a script's $0 is what is executed, letter by letter.
    Raises CommandError: 127 when there is none, 126 when what is there cannot be executed.
    """
    folders = os.get_exec_path() if search_path is None else search_path.split(os.pathsep)
    candidates = [name] if "/" in name else [f"{folder or '.'}/{name}" for folder in folders]
    refused = None
    for candidate in candidates if name else []:
        problem = _problem(candidate)
        if problem is None:
            return candidate
        if problem not in {errno.ENOENT, errno.ENOTDIR}:
            refused = refused or (candidate, problem)
    if refused:
        raise CommandError(f"cannot execute {refused[0]}: {os.strerror(refused[1])}", NOT_EXECUTABLE)
    where = "" if "/" in name else " in the folders of PATH"
    raise CommandError(f"cannot find {name!r}{where}", NOT_FOUND)


def _problem(candidate: str) -> int | None:
    """Return why this file cannot be executed, as an errno."""
    try:
        status = os.stat(candidate)  # noqa: PTH116 (a Path drops a slash at the end, which only a folder may have)
    except OSError as error:
        return error.errno
    if not stat.S_ISREG(status.st_mode):
        return errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EACCES
    return None if os.access(candidate, os.X_OK) else errno.EACCES


class Child:
    """COMMAND's process: it waits at the gate until `release`, then becomes COMMAND."""

    def __init__(self, path: str, arguments: Sequence[str], inherited: Inherited | None = None) -> None:
        """Fork the child. `arguments` holds COMMAND's own name first, as argv does; `inherited`: else as we are."""
        self._path = path
        self._gate = Gate()
        self._exit_code: int | None = None
        # Unix time at which its end was noticed; 0: it runs.
        self.end_unix_ns = 0
        execve = _Execve(path, arguments)
        # Signals that come while the child is made wait until it is ready to take them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _be_the_child(self._gate, execve, inherited or Inherited(before, ignores_sigchld=False))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            self.pidfd = os.pidfd_open(self.pid)
            self._await_ready()
        except BaseException:
            self.kill()
            raise

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self._gate.is_ready:
            if self.ended() or time.monotonic() > deadline:
                raise CommandError("the process for COMMAND did not start", NOT_EXECUTABLE)
            time.sleep(0.0005)

    def release(self) -> None:
        """Open the gate: the next system call of the child is COMMAND's execve."""
        self._gate.open()

    def ended(self) -> bool:
        """Tell whether COMMAND has ended, and take its exit code if so; never waits."""
        if self._exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._end(status)
        return self._exit_code is not None

    def wait(self) -> int:
        """Wait for the end and return COMMAND's exit code, 128 + N when signal N killed it."""
        if self._exit_code is not None:
            return self._exit_code
        return self._end(os.waitpid(self.pid, 0)[1])

    def _end(self, status: int) -> int:
        self._exit_code = _exit_code(status)
        self.end_unix_ns = time.time_ns()
        self._gate.done()
        return self._exit_code

    def raise_if_not_executed(self) -> None:
        """Raise CommandError when COMMAND never began: its execve failed, or its process waited too long for us."""
        if self._gate.expired:
            raise CommandError(
                f"{self._path} was not started: tracing did not begin in time; try again when the machine is less busy",
                NOT_EXECUTABLE,
            )
        if number := self._gate.refused:
            raise CommandError(
                f"cannot execute {self._path}: {os.strerror(number)}",
                NOT_FOUND if number == errno.ENOENT else NOT_EXECUTABLE,
            )

    def send(self, number: int) -> None:
        """Send COMMAND a signal; one that has ended gets none."""
        if not self.ended():
            # Until we take its exit code, nobody else gets this number.
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the child at once and reap it."""
        self.send(signal.SIGKILL)
        self.wait()


def _exit_code(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


class _Execve:
    """execve(2) with everything converted beforehand, so that calling it allocates nothing and locks nothing."""

    def __init__(self, path: str, arguments: Sequence[str]) -> None:
        self._path = ctypes.c_char_p(os.fsencode(path))
        self._arguments = _vector([os.fsencode(word) for word in arguments])
        self._environment = _vector(_environment())
        # PyDLL: the interpreter's lock is kept, so no futex call can come before the execve.
        self._function = ctypes.PyDLL(None, use_errno=True).execve

    def __call__(self) -> int:
        """Become COMMAND, or return the errno."""
        self._function(self._path, self._arguments, self._environment)
        return ctypes.get_errno()


def _environment() -> list[bytes]:
    """Return our environment as it was given to us: Python may have added LC_CTYPE to its own (PEP 538)."""
    return Path("/proc/self/environ").read_bytes().split(b"\0")[:-1]


def _vector(words: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(words) + 1))(*words, None)


def _be_the_child(gate: Gate, execve: _Execve, inherited: Inherited) -> NoReturn:
    """Wait at the gate without a system call, then execute COMMAND."""
    try:
        # What Python has changed for itself; handlers of its own end with the execve, and here at once.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        for number in PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        if inherited.ignores_sigchld:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, inherited.mask)
        gc.disable()
        gate.ready()
        if gate.wait():
            gate.refuse(execve())
    finally:
        os._exit(NOT_EXECUTABLE)
