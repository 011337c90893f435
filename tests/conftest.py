"""What every kind of test shares: a skipped test fails the run where everything is meant to run."""

import os

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn skips into a failed run when KUBESTRACE_NO_SKIPS is set, as scripts/test does."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("KUBESTRACE_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
