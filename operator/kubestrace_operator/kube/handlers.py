"""The operator's life as a process and its events: the only user of kopf.

kopf starts and ends the operator (signals, order, exit) and posts Kubernetes events in the background. It watches
nothing: for each listed object kopf holds a worker for seconds and keeps the whole body, so thousands of finished
sessions would hold up the new one. Sessions are watched by `Cluster.sessions`, which asks for a short row of each.
"""

import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import kopf

from kubestrace_operator.kube.api_client import Login
from kubestrace_operator.kube.session_rows import SessionRow

GROUP, VERSION, KIND = "kubestrace.io", "v1alpha1", "TraceSession"
# Tokens of service accounts are replaced before they end; kopf asks again after this.
_LOGIN_LIFE = timedelta(minutes=10)
# Of an event that could not be posted; then it is dropped.
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, *[2.0] * 30)


class Context(kopf.Memo):
    """What the handlers work with."""

    def __init__(
        self,
        login: Callable[[], Awaitable[Login]],
        start: Callable[[], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        """`start` begins to serve sessions and returns; `close` lets go of them."""
        super().__init__(login=login, start=start, close=close)


async def run(context: Context) -> None:
    """Serve until a signal comes."""
    await kopf.operator(clusterwide=True, standalone=True, memo=context)


def post(row: SessionRow, kind: str, reason: str, message: str) -> None:
    """Post an event about a session; only what `Context.start` has begun may call this."""
    reference = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": row.name, "namespace": row.namespace, "uid": row.uid},
    }
    # kopf reads no more of a body than this.
    kopf.event(cast("kopf.Body", reference), type=kind, reason=reason, message=message)


@kopf.on.startup()
async def start(settings: kopf.OperatorSettings, memo: Context, **_: Any) -> None:
    """Configure kopf, and begin to serve sessions in the context from which events can be posted."""
    configure(settings)
    await memo.start()


def configure(settings: kopf.OperatorSettings) -> None:
    """Set what kopf leaves open or sets for others."""
    # Nothing is watched by kopf, so it needs no rights on CRDs and namespaces.
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = _BACKOFF_SECONDS
    settings.posting.default_backoffs = _BACKOFF_SECONDS
    settings.posting.reporting_component = "kubestrace-operator"
    settings.posting.event_name_prefix = "kubestrace-"
    # A worker serves one session and is kept for a while: a burst of sessions must not wait for free ones.
    settings.posting.worker_limit = 100
    settings.posting.idle_timeout = 0.2
    settings.process.ultimate_exiting_timeout = 10


class _Connection(kopf.ConnectionInfo):
    """The API server's certificate is checked, but as other clients do it, see api_client.ApiServer.connect."""

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
        insecure=not login.verify,
        expiration=datetime.now(UTC) + _LOGIN_LIFE if login.token else None,
    )


@kopf.on.cleanup()
async def clean_up(memo: Context, **_: Any) -> None:
    """Let go of the sessions when the operator is told to end."""
    await memo.close()
