"""Files that COMMAND is likely to have: it may end before anybody has seen which ones it has. Pure but for /proc.

What a stack is in is told by its file's build ID, so that a wrong one does no harm.
"""

import os
from pathlib import Path

_OWN_MAPPINGS = Path("/proc/self/maps")


def of(executable: str, mappings: Path = _OWN_MAPPINGS) -> list[bytes]:
    """Return the executable, and the libraries of this process: libc and the loader among them."""
    lines = mappings.read_bytes().splitlines()
    found = {line.split(maxsplit=5)[5] for line in lines if b" r-x" in line and b" /" in line}
    return [os.fsencode(Path(executable).resolve()), *sorted(found)]
