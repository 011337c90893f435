"""Giving freed memory back to the kernel."""

import ctypes


def give_back() -> None:
    """Give back what the C library holds free; nothing where it cannot (musl).

    glibc keeps what lies between pieces in use: after a burst of sessions, or with the buffers of hundreds of
    connections that have ended, that is a third of the operator's memory.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
