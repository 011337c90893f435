"""The agent's certificate, its key and the CA, read from files that change while the agent runs.

Kubernetes swaps a mounted Secret in one step (the symlink ..data), but a file at a time may change elsewhere: a
set counts only once the key fits the certificate, and until then the last good set stays in use. Used by server.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)
_NAMES = ("tls.crt", "tls.key", "ca.crt")


class CertificateError(Exception):
    """The files are missing or do not fit together."""


@dataclass(frozen=True)
class KeyPair:
    """PEM: what the agent shows, and the CA that its clients must come from."""

    certificate: bytes
    key: bytes
    authority: bytes


class Certificates:
    """The files of one folder: tls.crt, tls.key, ca.crt."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[object, ...] = ()

    def load(self) -> KeyPair:
        """Read and check the files. Raises CertificateError."""
        seen = self._fingerprint()
        folder = self._current()
        certificate, key, authority = (folder / name for name in _NAMES)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(certificate, key)
            context.load_verify_locations(authority)
            pair = KeyPair(certificate.read_bytes(), key.read_bytes(), authority.read_bytes())
        except (OSError, ssl.SSLError) as error:
            raise CertificateError(f"{', '.join(_NAMES)} in {self._folder} cannot be used: {error}") from error
        self._seen = seen
        return pair

    def changed(self) -> KeyPair | None:
        """Read the files again if they are not those that were read last; None while there is nothing new to use."""
        if self._fingerprint() == self._seen:
            return None
        try:
            pair = self.load()
        except CertificateError as error:
            _log.warning("keeping the certificate in use: %s", error)
            return None
        _log.info("read a new certificate from %s", self._folder)
        return pair

    def _current(self) -> Path:
        # All three from one version of the Secret, even if it is swapped between two reads.
        data = self._folder / "..data"
        return data.resolve() if data.exists() else self._folder

    def _fingerprint(self) -> tuple[object, ...]:
        found: list[object] = []
        for name in _NAMES:
            try:
                stat = (self._folder / name).stat()
            except OSError:
                found.append(None)
            else:
                found.append((stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(found)
