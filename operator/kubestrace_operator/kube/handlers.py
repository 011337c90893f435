"""The operator's life as a kopf operator: the only user of kopf.

kopf starts the operator, ends it in order on a signal, and lets go of what runs. It watches nothing and posts nothing:
for each listed object kopf holds a worker for seconds and keeps the whole body, so thousands of finished sessions would
hold up the new one, and its events can be posted from handlers of objects only. Sessions are watched by
`Cluster.sessions`, which asks for a short row of each, and their events go through events.py.
"""

import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf

from kubestrace_operator.kube.api_client import Login

# Tokens of service accounts are replaced before they end; kopf asks again after this.
_LOGIN_LIFE = timedelta(minutes=10)
# An API server that was away is found again within seconds: kopf's own waits grow to 21 s. The whole is two minutes;
# then the operator exits and its pod is restarted.
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, *[2.0] * 60)


class Context(kopf.Memo):
    """What the handlers work with."""

    def __init__(self, login: Callable[[], Awaitable[Login]], close: Callable[[], Awaitable[None]]) -> None:
        """`login` returns the present credentials; `close` lets go of everything that runs."""
        super().__init__(login=login, close=close)


async def run(context: Context) -> None:
    """Wait for a signal, then close."""
    await kopf.operator(clusterwide=True, standalone=True, memo=context)


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Set what kopf leaves open or sets for others."""
    # Nothing is watched by kopf, so no rights on CRDs and namespaces are needed.
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = _BACKOFF_SECONDS
    settings.posting.enabled = False
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
    """Let go of the sessions when the operator is asked to end."""
    await memo.close()
