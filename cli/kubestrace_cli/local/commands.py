"""COMMAND, from the gate to its exit code, in a cgroup of its own."""

import contextlib
import os
import platform
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from kubestrace_agent.containers import procfs
from kubestrace_agent.symbols.roots import Held
from kubestrace_cli.local import launch, likely_files, scopes, targets
from kubestrace_cli.local.moves import Moves
from kubestrace_cli.local.signals import Received, Signals
from kubestrace_protos.v1 import agent_pb2

# What ends a trace of anything but COMMAND.
ENDING_SIGNALS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGTERM})


class Command:
    """A context: inside it COMMAND waits, runs and ends; after it its cgroup is gone."""

    def __init__(self, path: str, words: Sequence[str], root: Path, signals: Signals) -> None:
        """Make the cgroup and the waiting process. Raises ScopeError and CommandError."""
        self._words = words
        own = procfs.cgroup_path(targets.PROC, os.getpid()) or "/"
        self._scope = scopes.Scope(root, own, f"kubestrace-{os.getpid()}-{secrets.token_hex(3)}")
        # Whether it may have begun.
        self.released = False
        with contextlib.ExitStack() as undo:
            undo.callback(self._scope.remove)
            self.child = launch.Child(path, words, signals.inherited)
            undo.callback(self.child.kill)
            self._scope.add(self.child.pid)
            self.held = Held(self.child.pid, likely_files=likely_files.of(path))
            scope = procfs.cgroup_path(targets.PROC, self.child.pid) or "/"
            self.moves = Moves(self._scope.processes, scope, self.child.pid)
            undo.pop_all()

    @property
    def target(self) -> targets.Target:
        """Return what is to be traced."""
        return targets.command(self._words[0], self._scope.path, self.child.pid)

    def release(self) -> None:
        """Let COMMAND begin."""
        self.released = True
        self.held.released_ns = time.monotonic_ns()
        self.child.release()

    def pass_on(self, received: Received) -> bool:
        """Send COMMAND what was sent to us; what a terminal sent COMMAND has got already. False: it has ended."""
        if self.child.ended():
            return received.number not in ENDING_SIGNALS
        if not received.from_kernel:
            self.child.send(received.number)
        return True

    def gaps(self) -> list[agent_pb2.Gap]:
        """Return what is missing because processes were moved to other cgroups."""
        self.moves.look()
        return list(self.moves.gaps(platform.node()))

    def left(self) -> list[str]:
        """Return the processes that COMMAND has left behind, each with its number: "redis-server (4711)"."""
        return [targets.named(pid) for pid in self._scope.processes() if pid != self.child.pid]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if not self.released:
            self.child.kill()
        left = self._scope.remove()
        if left:
            print(
                f"kubestrace: {left} process{'es' * (left > 1)} that COMMAND started still run{'s' * (left == 1)}: no "
                f"longer traced, and moved to the cgroup {self._scope.parent}",
                file=sys.stderr,
            )
