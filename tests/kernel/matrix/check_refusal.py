"""On a kernel that lacks what the programs need: run by `guest` only, as kernels that trace would fail it."""

import platform

import pytest

from kubestrace_agent.kernel.counters.tracer import UnsupportedKernelError
from kubestrace_agent.views import loading


def test_what_the_kernel_lacks_is_said() -> None:
    """No bare error of the verifier: a reason for programs, and a sentence that names kernel and feature."""
    with pytest.raises(UnsupportedKernelError) as refused:
        loading.load()

    print(f"\nrefused {refused.value.reason}: {refused.value}")
    assert refused.value.reason == "UnsupportedKernel"
    assert platform.release() in str(refused.value)
    assert "task storage" in str(refused.value)
