"""The maps that the probe made, by name: file descriptors, sizes, and memory that the programs share with us."""

import mmap
import os
from typing import Literal

from kubestrace_agent.kernel import bpf_syscall


class Maps:
    """Owner of the maps' file descriptors."""

    def __init__(self, fds: dict[str, int]) -> None:
        self._fds = fds
        self._entries = {name: bpf_syscall.map_info(fd)[3] for name, fd in fds.items()}
        self._shared: dict[str, mmap.mmap] = {}
        self.cpus = bpf_syscall.possible_cpus()

    def has(self, name: str) -> bool:
        """Whether this kernel took the programs that the map belongs to."""
        return name in self._fds

    def fd(self, name: str) -> int:
        """File descriptor of a map."""
        return self._fds[name]

    def entries(self, name: str) -> int:
        """How many entries a map may have."""
        return self._entries[name]

    def check_size(self, name: str, value_size: int) -> None:
        """Raises AssertionError when the compiler has laid out a value otherwise than headers.py."""
        found = bpf_syscall.map_info(self._fds[name])[2]
        if found != value_size:
            raise AssertionError(f"map {name}: values of {found} bytes, headers.py says {value_size}")

    def view(self, name: str, item: Literal["B", "H", "I", "Q", "q"]) -> memoryview:
        """An array map's memory: aligned items are read and written as the programs do, at once and whole."""
        if name not in self._shared:
            _, _, value_size, entries, _ = bpf_syscall.map_info(self._fds[name])
            self._shared[name] = mmap.mmap(self._fds[name], -(-value_size // 8) * 8 * entries)
        return memoryview(self._shared[name]).cast(item)

    def close(self) -> None:
        """Close all; views must be released before."""
        for shared in self._shared.values():
            shared.close()
        self._shared.clear()
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
