"""Certificates for operator and agents: a CA of our own, and short leaves that it signs. Knows no cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_NAME = "kubestrace CA"
CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=30)
# A leaf is renewed after this share of its life: what is left is time for an operator that is away.
RENEW_AFTER = 2 / 3
# The clock of a node may be hours behind: set late after a boot, or by the hours of a time zone.
BACKDATED = timedelta(days=1)
OPERATOR_URI = "spiffe://kubestrace.io/operator"


class CertificateError(ValueError):
    """A certificate or key that cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


def new_ca(now: datetime) -> Pair:
    """Return a new certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(CA_NAME)
    builder = (
        _builder(name, key.public_key(), now, now + CA_LIFE)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return Pair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def operator_leaf(ca: Pair, now: datetime) -> Pair:
    """Return the operator's client certificate: the agents demand exactly this URI."""
    names = [x509.UniformResourceIdentifier(OPERATOR_URI)]
    return _leaf(ca, now, "kubestrace-operator", names, ExtendedKeyUsageOID.CLIENT_AUTH)


def agent_leaf(ca: Pair, now: datetime) -> Pair:
    """Return the server certificate that all agents share."""
    return _leaf(ca, now, "kubestrace-agent", [x509.DNSName("kubestrace-agent")], ExtendedKeyUsageOID.SERVER_AUTH)


def renewal_due(pair: Pair, ca: Pair, now: datetime) -> bool:
    """Tell whether a leaf needs to be made anew: most of its life is over, it is not of this CA, or cannot be read."""
    try:
        certificate = _certificate(pair.certificate)
        certificate.verify_directly_issued_by(_certificate(ca.certificate))
        _matching_key(pair)
    except (CertificateError, InvalidSignature, ValueError, TypeError):
        return True
    made, end = certificate.not_valid_before_utc + BACKDATED, certificate.not_valid_after_utc
    return now >= made + RENEW_AFTER * (end - made)


def check_ca(ca: Pair, now: datetime) -> None:
    """Raise CertificateError unless this CA can sign and outlives a leaf made now."""
    certificate = _certificate(ca.certificate)
    _matching_key(ca)
    if certificate.not_valid_after_utc < now + LEAF_LIFE:
        raise CertificateError(f"the CA certificate ends at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")


def _leaf(
    ca: Pair, now: datetime, common_name: str, names: Sequence[x509.GeneralName], use: x509.ObjectIdentifier
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(ca.certificate)
    builder = (
        _builder(_name(common_name), key.public_key(), now, now + LEAF_LIFE)
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_authority_id(authority), critical=False)
    )
    return Pair(_pem(builder.sign(_matching_key(ca), hashes.SHA256())), _key_pem(key))


def _builder(
    subject: x509.Name, public_key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start.astimezone(UTC) - BACKDATED)
        .not_valid_after(end.astimezone(UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _authority_id(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    subject_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_id)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise CertificateError(f"not a PEM certificate: {error}") from error


def _matching_key(pair: Pair) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pair.key, password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"not a PEM key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError("the key is not an elliptic curve key")
    if key.public_key() != _certificate(pair.certificate).public_key():
        raise CertificateError("the key does not belong to the certificate")
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
