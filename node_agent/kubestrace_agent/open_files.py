"""How many files this process may have open. Used by main."""

from __future__ import annotations

import logging
import resource

_log = logging.getLogger(__name__)


def raise_limit() -> None:
    """Raise the soft limit to the hard one: runtimes often start containers with a soft limit of 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        _log.warning("at most %d files can be open, not the %d of the hard limit: %s", soft, hard, error)
