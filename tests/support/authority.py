"""A certificate authority for tests: the operator's and the agents' certificates, and wrong ones."""

import datetime
from pathlib import Path
from typing import NamedTuple

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OPERATOR = "spiffe://kubestrace.io/operator"


class Leaf(NamedTuple):
    """PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs leaves."""

    def __init__(self, name: str = "test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._certificate = _build(self._name, self._name, self._key.public_key(), authority=True).sign(
            self._key, hashes.SHA256()
        )
        self.certificate = _pem(self._certificate)

    def leaf(
        self,
        name: str,
        *,
        dns: str = "",
        uri: str = "",
        hours: int = 1,
        begins: int = -24,
        usage: x509.ObjectIdentifier | None = None,
    ) -> Leaf:
        """Sign a certificate, valid from so many hours to so many from now; hours < 0: one that has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _build(_name(name), self._name, key.public_key(), authority=False, hours=(begins, hours))
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        names: list[x509.GeneralName] = [x509.DNSName(dns)] * bool(dns) + [x509.UniformResourceIdentifier(uri)] * bool(
            uri
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Leaf(_pem(builder.sign(self._key, hashes.SHA256())), pem)

    def agent(self) -> Leaf:
        """Sign an agent's server certificate."""
        return self.leaf("kubestrace-agent", dns="kubestrace-agent")

    def operator(self) -> Leaf:
        """Sign the operator's client certificate."""
        return self.leaf("kubestrace-operator", uri=OPERATOR)

    def write(self, folder: Path, leaf: Leaf) -> None:
        """Write a leaf as a mounted Secret looks: a versioned folder behind the symlink ..data, swapped in one step."""
        version = folder / f"..{x509.load_pem_x509_certificate(leaf.certificate).serial_number}"
        version.mkdir(parents=True)
        for name, content in (("tls.crt", leaf.certificate), ("tls.key", leaf.key), ("ca.crt", self.certificate)):
            (version / name).write_bytes(content)
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
        (folder / "..new").symlink_to(version.name)
        (folder / "..new").rename(folder / "..data")


def channel(port: int, authority: Authority, client: Leaf | None) -> grpc.aio.Channel:
    """Connect as a client would: by address, to the name that agents' certificates have."""
    credentials = grpc.ssl_channel_credentials(
        authority.certificate, client.key if client else None, client.certificate if client else None
    )
    return grpc.aio.secure_channel(
        f"127.0.0.1:{port}", credentials, options=[("grpc.ssl_target_name_override", "kubestrace-agent")]
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _build(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    authority: bool,
    hours: tuple[int, int] = (-24, 1),
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(hours=hours[0]))
        .not_valid_after(now + datetime.timedelta(hours=hours[1]))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
