"""As reads.c."""

import os
import sys
import time

ZERO = os.open("/dev/zero", os.O_RDONLY)


def often() -> bytes:
    """Read six of ten."""
    return os.read(ZERO, 1)


def sometimes() -> bytes:
    """Read three of ten."""
    return os.read(ZERO, 1)


def seldom() -> bytes:
    """Read one of ten."""
    return os.read(ZERO, 1)


for turn in range(int(sys.argv[1])):
    for _ in range(6):
        often()
    for _ in range(3):
        sometimes()
    seldom()
    if turn % 100 == 0:
        time.sleep(0.001)
time.sleep(1)
