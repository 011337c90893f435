"""Which certificates this operator uses, and where they are kept: Secrets of its own namespace.

Self-signed: the CA is made once (create only: of two operators that start at once one wins and the other reads what it
made), the leaves are made and renewed by the operator. Otherwise somebody else (cert-manager, a person) makes them all.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from kubestrace_operator.agents.client import Certificates
from kubestrace_operator.kube.errors import ConflictError
from kubestrace_operator.pki import certificates
from kubestrace_operator.pki.certificates import Pair

_log = logging.getLogger(__name__)
_ATTEMPTS = 5

CERTIFICATE, KEY, CA = "tls.crt", "tls.key", "ca.crt"


class CredentialsError(Exception):
    """No usable certificates; the message names the Secret and says what to do."""


class Store(Protocol):
    """Secrets of the operator's namespace."""

    async def secret(self, name: str) -> Mapping[str, str] | None:
        """Return a Secret's data, base64 as the API has it; None when there is none."""

    async def create_secret(self, name: str, kind: str, data: Mapping[str, str]) -> None:
        """Create a Secret. Raises ConflictError when there is one."""

    async def replace_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Change an existing Secret's data."""


@dataclass(frozen=True)
class Names:
    """The Secrets' names."""

    ca: str
    operator: str
    agent: str


async def self_signed(store: Store, names: Names, now: datetime | None = None) -> Certificates:
    """Return the operator's certificates, after making what is missing or due."""
    now = now or datetime.now(UTC)
    ca = await _ca(store, names.ca, now)
    operator = await _leaf(store, names.operator, ca, now)
    await _leaf(store, names.agent, ca, now, agent=True)
    return Certificates(ca.certificate, operator.certificate, operator.key)


async def given(store: Store, name: str) -> Certificates:
    """Return the operator's certificates out of a Secret that somebody else makes."""
    data = await _read(store, name)
    if data is None:
        raise CredentialsError(f"there is no Secret {name!r} yet: cert-manager or you must make it")
    missing = [key for key in (CA, CERTIFICATE, KEY) if not data.get(key)]
    if missing:
        raise CredentialsError(f"the Secret {name!r} has no {', '.join(missing)}")
    return Certificates(data[CA], data[CERTIFICATE], data[KEY])


async def _ca(store: Store, name: str, now: datetime) -> Pair:
    for _ in range(_ATTEMPTS):
        data = await _read(store, name)
        if data is not None:
            return _usable_ca(name, data, now)
        made = certificates.new_ca(now)
        try:
            await store.create_secret(name, "Opaque", _encoded({CERTIFICATE: made.certificate, KEY: made.key}))
        except ConflictError:
            await asyncio.sleep(0.1)
        else:
            _log.info("made a certificate authority: Secret %s", name)
            return made
    raise CredentialsError(f"the Secret {name!r} was created and deleted repeatedly by someone else")


def _usable_ca(name: str, data: Mapping[str, bytes], now: datetime) -> Pair:
    ca = Pair(data.get(CERTIFICATE, b""), data.get(KEY, b""))
    try:
        certificates.check_ca(ca, now)
    except certificates.CertificateError as error:
        raise CredentialsError(
            f"the Secret {name!r} holds no usable certificate authority: {error}. Delete it and restart the operator"
            " and the agents: a new one is made"
        ) from error
    return ca


async def _leaf(store: Store, name: str, ca: Pair, now: datetime, *, agent: bool = False) -> Pair:
    data = await _read(store, name)
    known = Pair(data.get(CERTIFICATE, b""), data.get(KEY, b"")) if data is not None else None
    same_ca = data is not None and data.get(CA) == ca.certificate
    if known is not None and same_ca and not certificates.renewal_due(known, ca, now):
        return known
    made = (certificates.agent_leaf if agent else certificates.operator_leaf)(ca, now)
    encoded = _encoded({CERTIFICATE: made.certificate, KEY: made.key, CA: ca.certificate})
    if known is None:
        try:
            await store.create_secret(name, "kubernetes.io/tls", encoded)
        except ConflictError:
            return await _leaf(store, name, ca, now, agent=agent)
    else:
        await store.replace_secret(name, encoded)
    _log.info("%s the certificate in Secret %s", "made" if known is None else "renewed", name)
    return made


async def _read(store: Store, name: str) -> dict[str, bytes] | None:
    data = await store.secret(name)
    if data is None:
        return None
    try:
        return {key: base64.b64decode(value, validate=True) for key, value in data.items()}
    except (binascii.Error, ValueError) as error:
        raise CredentialsError(f"the Secret {name!r} is not base64: {error}") from error


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}
