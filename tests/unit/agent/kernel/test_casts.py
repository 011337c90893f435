"""Calls that the compiler cannot make: by a helper that no kernel has, and then of a function of the kernel."""

import struct

import pytest

from kubestrace_agent.kernel import bpf_syscall
from kubestrace_agent.kernel.loader import casts
from kubestrace_agent.kernel.loader.btf import BtfError

CALL, MOVE, LOAD_64 = 0x85, 0xB7, 0x18
HELPER = 0x6B737472


def code(*instructions: tuple[int, int, int, int]) -> bytes:
    """Return instructions: code, registers, offset, immediate."""
    return b"".join(struct.pack("=BBhi", *each) for each in instructions)


class Types:
    """Type information of a kernel with the function, or of one before Linux 6.2."""

    def __init__(self, *, has: bool) -> None:
        self.has = has

    def function(self, name: str) -> int:
        """Find it."""
        if not self.has:
            raise BtfError(f"no function {name}")
        return 77

    def struct_id(self, _: str) -> int:
        """Find it."""
        return 5


def test_only_calls_of_the_helper_are_changed() -> None:
    """Not other helpers, calls of the program's own functions, or numbers that look like it."""
    others = (
        (CALL, 0, 0, 113),
        (CALL, 1 << 4, 0, HELPER),
        (MOVE, 1, 0, HELPER),
        (LOAD_64, 1, 0, HELPER),
        (0, 0, 0, HELPER),
    )

    assert casts.called(code((CALL, 0, 0, HELPER), *others), 77) == code((CALL, 2 << 4, 0, 77), *others)


@pytest.mark.parametrize(("has", "takes"), [(True, True), (True, False), (False, True)])
def test_a_kernel_that_lacks_it_or_refuses_it_reads_by_a_helper(
    monkeypatch: pytest.MonkeyPatch, *, has: bool, takes: bool
) -> None:
    """Then the sources have none of the constants."""
    tried: list[bytes] = []

    def load(_name: str, _kind: tuple[int, int, int], _licence: str, program: bytes) -> int:
        tried.append(program)
        if not takes:
            raise PermissionError
        return 123456

    closed: list[int] = []
    monkeypatch.setattr(bpf_syscall, "load_program", load)
    monkeypatch.setattr(casts.os, "close", closed.append)
    types = Types(has=has)

    found = casts.definitions(types)  # type: ignore[arg-type]

    assert found == ({"CAST_HELPER": HELPER, "CAST_FUNCTION": 77, "CAST_WORDS": 5} if has and takes else {})
    assert len(tried) == has
    assert closed == ([123456] if has and takes else [])
    assert not tried or code((CALL, 2 << 4, 0, 77)) in tried[0]
