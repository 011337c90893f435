"""What processes have mapped: when the kernel is asked again, and when what it said is still true."""

import os
import subprocess
import sys

import pytest

from kubestrace_agent.containers import procfs
from kubestrace_agent.containers.held_files import HeldFile
from kubestrace_agent.kernel.maps.headers import header
from kubestrace_agent.symbols.frames import CodeMapping, UserFrame
from kubestrace_agent.views import user_stacks_kernel
from kubestrace_agent.views.user_stacks_kernel import Code

_HEADER = header("kernel/bpf/stacks.h")
_MAPPING = _HEADER.struct("code_mapping").fields("start", "end", "offset_pages", "path")
PID = 7
FIRST, SECOND = UserFrame(0x1010), UserFrame(0x5010)


class Node:
    """One process of a node: its mappings, the shape of its memory, and how often the kernel was asked."""

    def __init__(self) -> None:
        self.mapped = [(0x1000, 0x2000)]
        self.shape: tuple[str, ...] | None = ("10", "2", "3")
        self.asked = 0
        self.now = 100.0
        self.maps = self

    def need(self, _program: str) -> None:
        """Have it."""

    def view(self, _name: str, _form: str) -> memoryview:
        """Take the question."""
        return memoryview(bytearray(_HEADER.struct("stack_question").size))

    def iterate(self, _program: str, *, tid: int, most: int) -> bytes:
        """Tell the mappings."""
        assert tid == PID
        self.asked += 1
        return b"".join(_MAPPING.pack(start, end, 0, b"/app") for start, end in self.mapped)[:most]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    """Make a node."""
    made = Node()
    monkeypatch.setattr(HeldFile, "value", lambda _: made.shape)
    monkeypatch.setattr(user_stacks_kernel, "in_hosts_pid_namespace", lambda: True)
    monkeypatch.setattr(user_stacks_kernel.time, "monotonic", lambda: made.now)
    return made


@pytest.fixture
def code(node: Node) -> Code:
    """Make what asks it."""
    made = Code(node, 4096)  # type: ignore[arg-type]
    made.prepare()
    return made


def test_a_process_whose_memory_is_as_it_was_is_not_asked_again(node: Node, code: Code) -> None:
    """Its stacks lead to the same code."""
    first = code.mappings(PID, [FIRST])
    node.now += 10

    assert code.mappings(PID, [FIRST]) == first == (CodeMapping(0x1000, 0x2000, 0, b"/app"),)
    assert node.asked == 1


@pytest.mark.parametrize("shape", [("11", "2", "3"), ("10", "9", "3"), ("10", "2", "4"), None])
def test_a_process_whose_memory_has_changed_is_asked(node: Node, code: Code, shape: tuple[str, ...] | None) -> None:
    """It has loaded or freed something, has become another program, or is gone; at least nobody knows better."""
    code.mappings(PID, [FIRST])
    node.now += 10
    node.mapped, node.shape = [(0x1000, 0x1800)], shape

    assert [each.end for each in code.mappings(PID, [FIRST])] == [0x1800]


def test_a_process_whose_stack_leads_elsewhere_is_asked(node: Node, code: Code) -> None:
    """Code that it has made executable changes no size."""
    code.mappings(PID, [FIRST])
    node.now += 10
    code.mappings(PID, [FIRST])
    node.mapped.append((0x5000, 0x6000))

    assert len(code.mappings(PID, [FIRST, SECOND])) == 2


def test_stacks_that_are_read_together_ask_once(node: Node, code: Code) -> None:
    """Also where they lead to no code at all."""
    for _ in range(3):
        code.mappings(PID, [FIRST, SECOND])

    assert node.asked == 1


def test_a_process_that_proc_does_not_show_is_always_asked(
    node: Node, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a PID namespace of our own another process has its number."""
    monkeypatch.setattr(user_stacks_kernel, "in_hosts_pid_namespace", lambda: False)
    code.prepare()
    for _ in range(3):
        code.mappings(PID, [FIRST])
        node.now += 10

    assert node.asked == 3


def test_the_shape_of_memory_is_that_of_the_process() -> None:
    """Another program has another one, and a process that is gone has none."""
    own = _shape_of(os.getpid()).value()
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as other:
        file = _shape_of(other.pid)
        others = file.value()
        other.communicate(b"\n", timeout=30)

    assert own is not None
    assert others is not None
    assert own != others
    assert file.value() is None


def _shape_of(pid: int) -> HeldFile[tuple[str, str, str]]:
    return HeldFile(f"/proc/{pid}/statm", procfs.memory_shape)
