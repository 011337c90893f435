"""The session that spec.compareTo names, read from the API server as a session begins and, if need be, at its end."""

import asyncio
from typing import Any

from kubestrace_operator.api.spec import TraceSpec
from kubestrace_operator.comparison import baseline
from kubestrace_operator.comparison.baseline import Baseline, Compared, Unusable
from kubestrace_operator.kube.errors import ClusterError, NotFoundError
from kubestrace_operator.sessions.interfaces import ClusterCalls

# For the API server to answer: a session does not wait for its baseline.
_READ_SECONDS = 10.0


async def read(cluster: ClusterCalls, namespace: str, spec: TraceSpec) -> Compared | Unusable | None:
    """Return what the session is compared with; None where the spec names nothing. Never raises ClusterError."""
    name = spec.compare_to
    if not name:
        return None
    try:
        async with asyncio.timeout(_READ_SECONDS):
            document: Any = await cluster.session_named(namespace, name)
    except NotFoundError:
        return Unusable(
            name,
            "BaselineNotFound",
            f"There is no TraceSession {name} in the namespace {namespace}: nothing is compared. "
            "Look with kubectl get tsess, and name a finished session in compareTo.",
        )
    except (ClusterError, TimeoutError) as error:
        why = str(error) or "the API server did not answer"
        return Unusable(
            name,
            "BaselineNotRead",
            f"The baseline {name} could not be read: {why}. Nothing is compared. "
            "Apply a new session when the API server answers.",
        )
    found = baseline.read(name, document)
    return Compared(found, baseline.scope(spec)) if isinstance(found, Baseline) else found
