"""A process that can open no further file, as one has that leaks them."""

import asyncio
import contextlib
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor


@contextlib.contextmanager
def no_open_files() -> Iterator[None]:
    """Let every attempt to open a file fail with EMFILE."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(RuntimeError):  # threads are started before, as their modules are loaded
        asyncio.get_running_loop().set_default_executor(_started())
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _started() -> ThreadPoolExecutor:
    executor = ThreadPoolExecutor(1)
    executor.submit(int).result(10)
    return executor
