"""An earlier result that a local trace is compared with, read from the file of --compare."""

import json
from pathlib import Path
from typing import Any

from kubestrace_cli.session_file.sessions import Session, SessionFileError
from kubestrace_operator.comparison import baseline
from kubestrace_operator.comparison.baseline import Baseline, Compared, Scope, Unusable

# The whole result of local mode is longer than what the API server takes, but not without bound.
_MOST_BYTES = 64 << 20
_HINT = "write one with kubestrace local -o json, or kubectl get tsess NAME -o json"


def compared(file: Path | None, session: Session) -> Compared | Unusable | None:
    """Return what a trace is compared with; None: nothing was asked for. Raises SessionFileError."""
    if file is None:
        return _not_here(session.compare_to) if session.compare_to else None
    found = baseline.read(file.name, _session(file))
    if not isinstance(found, Baseline):
        raise SessionFileError(file, f"cannot serve as a baseline. {found.message}")
    own = Scope(baseline.LOCAL, frozenset(session.views), frozenset(session.syscalls))
    return Compared(found, own)


def _not_here(name: str) -> Unusable:
    return Unusable(
        name,
        "BaselineNotFound",
        f"spec.compareTo names the session {name} of a cluster, which local mode does not read: nothing is compared. "
        f"Write it with kubectl get tsess {name} -o json > FILE, and give --compare FILE.",
    )


def _session(file: Path) -> Any:
    """Return the one TraceSession of a JSON file: itself, or the only item of a list."""
    document = _json(file)
    if isinstance(document, dict) and isinstance(document.get("items"), list):
        items = document["items"]
        if len(items) != 1:
            raise SessionFileError(file, f"holds a list of {len(items)} objects; {_HINT}: one session is compared with")
        document = items[0]
    if not isinstance(document, dict) or document.get("kind") != baseline.KIND:
        raise SessionFileError(file, f"holds no {baseline.KIND}; {_HINT}")
    return document


def _json(file: Path) -> Any:
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SessionFileError(file, f"cannot be read: {error.strerror}") from error
    if len(text) > _MOST_BYTES:
        raise SessionFileError(file, f"is larger than {_MOST_BYTES >> 20} MiB; {_HINT}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SessionFileError(file, f"is not JSON ({error}); {_HINT}") from error
