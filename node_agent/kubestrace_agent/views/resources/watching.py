"""Readings of cgroups, the last of them as soon as the last process has ended: the runtime then removes the cgroup.

All sessions that trace a container share what is read. One thread waits for the ends of all containers; it lives as
long as there is any.
"""

from __future__ import annotations

import os
import select
import threading
import time
import weakref
from typing import TYPE_CHECKING

from kubestrace_agent.views.resources.files import CgroupFiles, GoneError

if TYPE_CHECKING:
    from pathlib import Path

    from kubestrace_agent.views.resources.values import Reading

# A reading that is as new as that is good for all who ask.
_FRESH_NS = 20_000_000
# The thread looks that often whether it is still needed.
_POLL_MILLISECONDS = 500


class WatchedCgroup:
    """One cgroup, read by any thread."""

    def __init__(self, cgroup: Path) -> None:
        self._files = CgroupFiles(cgroup)
        self._lock = threading.Lock()
        self._last: Reading | None = None
        self._gone = False

    def read(self, *, fresh: bool = False) -> Reading | None:
        """Read the numbers; those that were read last where the cgroup is gone, None where there were none."""
        with self._lock:
            last = self._last
            if last is not None and not fresh and time.monotonic_ns() - last.time_ns < _FRESH_NS:
                return last
            try:
                self._last = self._files.read(fresh=fresh)
            except GoneError:
                self._gone = True
            return self._last

    @property
    def ended_unread(self) -> bool:
        """Whether it was removed, and nothing was read between its last process's end and that."""
        return self._gone and not (self._last and self._last.after_end)


class EndWatcher:
    """Reads cgroups when their last process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cgroups: weakref.WeakValueDictionary[tuple[str, int], WatchedCgroup] = weakref.WeakValueDictionary()
        self._waiting: dict[int, weakref.ref[WatchedCgroup]] = {}
        self._poll = select.epoll()
        self._thread: threading.Thread | None = None

    def watched(self, cgroup: Path) -> WatchedCgroup | None:
        """Watch a cgroup until nobody holds what this returns; None where it is gone already."""
        with self._lock:
            try:
                key = str(cgroup), cgroup.stat().st_ino
                found = self._cgroups.get(key)
                if found is None:
                    found = self._cgroups[key] = WatchedCgroup(cgroup)
                    self._watch(cgroup, found)
            except OSError:
                return None
            return found

    def _watch(self, cgroup: Path, watched: WatchedCgroup) -> None:
        file = os.open(cgroup / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        try:
            # The kernel reports a change only to who has read the file.
            os.read(file, 4096)
            self._poll.register(file, select.EPOLLPRI)
        except OSError:  # it has just gone, or the kernel does not report: it is read with the counts all the same
            os.close(file)
            return
        self._waiting[file] = weakref.ref(watched)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cgroup-ends", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            for file, _ in self._poll.poll(_POLL_MILLISECONDS / 1000):
                self._changed(file)
            with self._lock:
                for file in [each for each, watched in self._waiting.items() if watched() is None]:
                    self._forget(file)
                if not self._waiting:
                    self._thread = None
                    return

    def _changed(self, file: int) -> None:
        """Read a cgroup that has got its first process or lost its last; one that is gone is not looked at again."""
        watched = self._waiting[file]()
        gone = watched is None
        if watched is not None:
            watched.read(fresh=True)
            try:
                os.pread(file, 4096, 0)
            except OSError:
                gone = True
        if gone:
            with self._lock:
                self._forget(file)

    def _forget(self, file: int) -> None:
        del self._waiting[file]
        self._poll.unregister(file)
        os.close(file)


WATCHER = EndWatcher()
