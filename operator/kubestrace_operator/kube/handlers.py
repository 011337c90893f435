"""What kopf calls: the only user of kopf.

kopf watches the TraceSessions and posts events about them. Each event of the watch goes to `Sessions`, which runs the
sessions as tasks of its own. kopf's daemons would do that too, but they keep the last body of every object, finished
ones as well: measured 180 KiB for a full status, which is the operator's whole memory after a few hundred sessions.
So a session also begins with the very first event and does not wait for the finalizer to come back.

kopf itself puts nothing on the objects: without daemons and change handlers it needs no finalizer and no annotations.
"""

import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import kopf

from kubestrace_operator.kube.api_client import Login
from kubestrace_operator.sessions.controller import Body, Sessions

GROUP, VERSION, PLURAL = "kubestrace.io", "v1alpha1", "tracesessions"
# Tokens of service accounts are replaced before they end; kopf asks again after this.
_LOGIN_LIFE = timedelta(minutes=10)
# An API server that was away is found again within seconds: kopf's own waits grow to 21 s. The whole is two minutes;
# then the operator exits and its pod is restarted.
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, *[2.0] * 60)


class Context(kopf.Memo):
    """What the handlers work with."""

    def __init__(
        self, sessions: Sessions, login: Callable[[], Awaitable[Login]], problem: Callable[[], str | None]
    ) -> None:
        """`problem` says what is wrong with the operator, if anything."""
        super().__init__(sessions=sessions, login=login, problem=problem)


async def run(context: Context, *, namespaces: tuple[str, ...], liveness: str) -> None:
    """Serve until a signal comes. Without namespaces all of them are served. Liveness is "address:port"."""
    await kopf.operator(
        clusterwide=not namespaces,
        namespaces=namespaces,
        standalone=True,
        liveness_endpoint=f"http://{liveness}/healthz",
        memo=context,
    )


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Set what kopf leaves open or sets for others."""
    # The resource is there before kopf starts (main waits for it), so no rights on CRDs and namespaces are needed.
    settings.scanning.disabled = True
    settings.watching.server_timeout = 280
    settings.watching.client_timeout = 300
    settings.watching.connect_timeout = 10
    # Of objects of at most 64 KiB.
    settings.watching.chunk_size = 50
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = _BACKOFF_SECONDS
    settings.queueing.worker_limit = 100
    settings.execution.default_backoff = 2
    settings.posting.reporting_component = "kubestrace-operator"
    settings.posting.event_name_prefix = "kubestrace-"
    settings.posting.worker_limit = 10
    settings.process.ultimate_exiting_timeout = 10
    # Not ours, which sessions.py sets and takes away: kopf removes the one that it takes for its own.
    settings.persistence.finalizer = f"{GROUP}/kopf"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)


class _Connection(kopf.ConnectionInfo):
    """The API server's certificate is checked, but as other clients do it, see cluster.Cluster.connect."""

    def as_ssl_context(self) -> ssl.SSLContext:
        """Return the context without the strict flag."""
        context = super().as_ssl_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


@kopf.on.login()
async def log_in(memo: Context, **_: Any) -> kopf.ConnectionInfo:
    """Give kopf the credentials that the other client has."""
    login: Login = await memo.login()
    return _Connection(
        server=login.server,
        ca_path=login.ca_path,
        certificate_path=login.certificate_path,
        private_key_path=login.key_path,
        token=login.token,
        expiration=datetime.now(UTC) + _LOGIN_LIFE if login.token else None,
    )


@kopf.on.event(GROUP, VERSION, PLURAL)
async def see(event: kopf.RawEvent, memo: Context, **_: Any) -> None:
    """Pass on whatever happened to a session."""
    body: Body = event["object"]
    reference = {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "metadata": {name: body["metadata"][name] for name in ("name", "namespace", "uid")},
    }
    memo.sessions.see(event["type"], body, partial(_post, reference))


@kopf.on.probe(id="problem")
async def probe(memo: Context, **_: Any) -> None:
    """Answer the liveness probe."""
    problem = memo.problem()
    if problem:
        raise kopf.PermanentError(problem)


@kopf.on.cleanup()
async def clean_up(memo: Context, **_: Any) -> None:
    """Let go of the sessions when the operator is told to end."""
    await memo.sessions.close()


def _post(reference: dict[str, Any], kind: str, reason: str, message: str) -> None:
    # kopf reads no more of a body than this.
    kopf.event(cast("kopf.Body", reference), type=kind, reason=reason, message=message)
