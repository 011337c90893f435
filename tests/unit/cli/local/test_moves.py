"""Processes that leave COMMAND's cgroup are found and named."""

from pathlib import Path

import pytest

from kubestrace_cli.local.moves import Moves

OWN = "/user/kubestrace-1-abc"


class Machine:
    """A /proc, and who is in COMMAND's cgroup."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        self.inside: set[int] = set()
        self.run(10)
        self.moves = Moves(lambda: self.inside, OWN, 10, proc)

    def run(self, pid: int, cgroup: str = OWN, *, started: int = 100, parent: int = 0) -> None:
        """Let a process be there."""
        folder = self.proc / str(pid)
        (folder / "task" / str(pid)).mkdir(parents=True, exist_ok=True)
        (folder / "comm").write_text(f"p{pid}\n")
        (folder / "stat").write_text(f"{pid} (p) S 1 {'0 ' * 17} {started} 0\n")
        (folder / "cgroup").write_text(f"0::{cgroup}\n")
        (folder / "task" / str(pid) / "children").touch()
        if parent:
            with (self.proc / str(parent) / "task" / str(parent) / "children").open("a") as children:
                children.write(f"{pid} ")
        self.inside.discard(pid)
        if cgroup.startswith(OWN):
            self.inside.add(pid)

    def messages(self) -> list[str]:
        """Look, and return what gaps say."""
        self.moves.look()
        return [gap.message for gap in self.moves.gaps("n1")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Make one with process 10 in the cgroup."""
    return Machine(tmp_path)


def test_who_stays_or_ends_leaves_no_gap(machine: Machine) -> None:
    """Also in a cgroup below, and when another process gets the number of one that has ended."""
    machine.run(11)
    machine.run(12, OWN + "/below")
    assert machine.messages() == []

    machine.run(11, "/elsewhere", started=200)
    machine.inside.discard(12)
    (machine.proc / "12" / "stat").unlink()

    assert machine.messages() == []


def test_who_was_inside_and_is_elsewhere_is_named_once(machine: Machine) -> None:
    """With the cgroup to which it was moved first."""
    machine.run(11)
    assert machine.messages() == []

    machine.run(11, "/other")
    assert machine.messages() == ["p11 (11) was moved to the cgroup /other: not counted from then on"]
    machine.run(11, "/third")
    assert machine.messages() == ["p11 (11) was moved to the cgroup /other: not counted from then on"]


def test_a_child_that_was_never_seen_inside(machine: Machine) -> None:
    """It came and was moved between two looks."""
    machine.run(11, parent=10)
    machine.run(12, "/other", parent=11)

    assert machine.messages() == ["p12 (12) was moved to the cgroup /other: not counted from then on"]


def test_many_are_summed(machine: Machine) -> None:
    """The first few are named."""
    for pid in range(20, 28):
        machine.run(pid, "/other", parent=10)

    messages = machine.messages()

    assert len(messages) == 6
    assert messages[-1] == "3 more processes were moved to other cgroups: not counted from then on"


def test_the_first_process_is_no_ones_once_its_number_is_anothers(machine: Machine) -> None:
    """Children of a stranger are not COMMAND's."""
    machine.run(10, "/other", started=300)
    machine.run(11, "/other", parent=10)

    assert machine.messages() == []
