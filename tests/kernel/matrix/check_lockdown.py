"""A kernel that is locked down while the tests run: by `guest` only and as the last, as there is no way back."""

from pathlib import Path

import pytest

from kubestrace_agent.kernel.counters.tracer import UnsupportedKernelError
from kubestrace_agent.views import loading


def test_a_locked_down_kernel_is_named() -> None:
    """Confidentiality forbids programs to read kernel memory: that is said, not the verifier's words."""
    Path("/sys/kernel/security/lockdown").write_text("confidentiality", encoding="ascii")

    with pytest.raises(UnsupportedKernelError, match=r"locked down \(confidentiality\)") as refused:
        loading.load()
    assert refused.value.reason == "LockedDown"
