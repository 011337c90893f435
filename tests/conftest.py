"""What every kind of test shares: signals act as in a shell's foreground, and a skipped test can fail the run."""

import os
import signal
from collections.abc import Generator

import pytest

# Python itself ignores these two.
_PYTHONS_OWN = {signal.SIGPIPE, signal.SIGXFSZ}


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Give tests the default signal dispositions, whatever the shell ignores (nohup, a job in the background).

    A handler that does nothing keeps this process alive as before, and a program that a test starts gets the default.
    """
    for number in signal.valid_signals() - _PYTHONS_OWN:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _survive)


def _survive(_number: int, _frame: object) -> None:
    pass


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what is no text (a name may hold any byte) in captured output: pytest-xdist cannot send it."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn skips into a failed run when KUBESTRACE_NO_SKIPS is set, as scripts/test does."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("KUBESTRACE_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
