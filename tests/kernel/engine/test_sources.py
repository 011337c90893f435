"""Each file of the programs stands alone: what it uses it includes."""

import json
import subprocess
import sys

import pytest

from kubestrace_agent.kernel.loader.btf import Btf
from kubestrace_agent.kernel.maps import row_sizes
from kubestrace_agent.views.registry import all_sources

# Compiles the text of one source as the probe does it, with all constants; in a process of its own, as LLVM is large.
COMPILE = """
import json, platform, sys
from kubestrace_agent.kernel.loader import probe
from kubestrace_agent.views.registry import all_sources
file, sizes = sys.argv[1], json.loads(sys.argv[2])
all_parts = [source.part for source in all_sources()]
definitions, chosen, problems = probe._definitions(all_sources(), platform.machine(), sizes, all_parts)
(one,) = [source for source in chosen if source.file == file]
text = probe.text_of([one])
# Without any function the compiler leaves out what describes the maps.
probe.text_of = lambda _: text + "\\nint on_nothing(struct bpf_raw_tracepoint_args *ctx) { return 0; }\\n"
probe._compile(definitions, [one])
print(text.count("BPF_LICENSE"))
"""
SIZES = {"MAX_SLOTS": 3, "MAX_ROWS": 1024, "SLOT_ROWS": 640}


def _used_here() -> list[str]:
    """Return the files that this kernel has a use for; the matrix has kernels that use the others."""
    btf = Btf.of_kernel()
    return [source.file for source in all_sources() if source.useful(btf)]


@pytest.mark.parametrize("file", _used_here())
def test_a_source_compiles_alone(file: str) -> None:
    """With no more than what its includes bring, among them the licence that the kernel is told."""
    sizes = json.dumps(SIZES | row_sizes.of_machine().definitions())

    done = subprocess.run(
        [sys.executable, "-c", COMPILE, file, sizes], capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "1\n"
