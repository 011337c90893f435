"""The licence of what runs in the kernel."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
AGENT = ROOT / "node_agent/kubestrace_agent"
SPDX = "/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */"


@pytest.mark.parametrize(
    "path", sorted([*AGENT.rglob("*.bpf.c"), *AGENT.rglob("*.h")]), ids=lambda path: str(path.relative_to(AGENT))
)
def test_each_file_says_its_licence(path: Path) -> None:
    """In its first line; the texts are in the tree."""
    assert path.read_text(encoding="utf-8").splitlines()[0] == SPDX


def test_the_texts_are_there() -> None:
    """Of each licence that a file names."""
    for name in re.findall(r"[A-Z]+-[\w.-]+", SPDX.partition(":")[2]):
        assert (ROOT / "LICENSES" / f"{name}.txt").read_text(encoding="utf-8")


def test_the_kernel_is_told_the_same() -> None:
    """In its own words (Linux include/linux/license.h)."""
    assert "\n#define BPF_LICENSE GPL v2\n" in (AGENT / "kernel/bpf/cgroup_filter.bpf.c").read_text(encoding="utf-8")
