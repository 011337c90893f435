"""The CA and its leaves, and the Secrets that they are kept in."""

import asyncio
import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from kubestrace_operator.kube.errors import ConflictError
from kubestrace_operator.pki import certificates, credentials
from kubestrace_operator.pki.credentials import CredentialsError, Names

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = Names("ca", "operator", "agent")


class FakeStore:
    """Secrets in a dict."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, str]] = {}
        self.kinds: dict[str, str] = {}
        self.writes: list[str] = []

    async def secret(self, name: str) -> Mapping[str, str] | None:
        """Return a Secret's data."""
        await asyncio.sleep(0)
        return self.secrets.get(name)

    async def create_secret(self, name: str, kind: str, data: Mapping[str, str]) -> None:
        """Create one, as the API server does: of two, one wins."""
        await asyncio.sleep(0)
        if name in self.secrets:
            raise ConflictError(name)
        self.secrets[name], self.kinds[name] = dict(data), kind
        self.writes.append(name)

    async def replace_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Change one."""
        self.secrets[name] = dict(data)
        self.writes.append(name)


def load(pem: bytes) -> x509.Certificate:
    """Read a certificate."""
    return x509.load_pem_x509_certificate(pem)


def test_the_operators_leaf_has_the_pinned_identity() -> None:
    """Its URI is what the agents demand; it is a client's certificate, of this CA."""
    ca = certificates.new_ca(NOW)
    leaf = load(certificates.operator_leaf(ca, NOW).certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    leaf.verify_directly_issued_by(load(ca.certificate))
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://kubestrace.io/operator"]
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_agents_leaf_is_for_their_common_name() -> None:
    """A server's certificate, and no identity that would open another agent."""
    leaf = load(certificates.agent_leaf(certificates.new_ca(NOW), NOW).certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert names.get_values_for_type(x509.DNSName) == ["kubestrace-agent"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == []
    assert list(uses) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_leaves_are_renewed_after_two_thirds_of_their_life() -> None:
    """In good time, so that an operator that is away for days does no harm."""
    ca = certificates.new_ca(NOW)
    leaf = certificates.agent_leaf(ca, NOW)

    assert not certificates.renewal_due(leaf, ca, NOW + timedelta(days=19, hours=23))
    assert certificates.renewal_due(leaf, ca, NOW + timedelta(days=20))


@pytest.mark.parametrize("hours", [-14, 14])
def test_nodes_whose_clock_is_hours_off_take_new_certificates(hours: int) -> None:
    """One in a zone's local time, where UTC was meant."""
    ca = certificates.new_ca(NOW)
    by_their_clock = NOW + timedelta(hours=hours)

    for pair in (ca, certificates.agent_leaf(ca, NOW), certificates.operator_leaf(ca, NOW)):
        made = load(pair.certificate)
        assert made.not_valid_before_utc <= by_their_clock < made.not_valid_after_utc


def test_leaves_of_another_ca_are_renewed() -> None:
    """So are those that cannot be read, and a key that belongs to something else."""
    ca, other = certificates.new_ca(NOW), certificates.new_ca(NOW)
    leaf = certificates.agent_leaf(ca, NOW)

    assert certificates.renewal_due(leaf, other, NOW)
    assert certificates.renewal_due(certificates.Pair(b"", b""), ca, NOW)
    assert certificates.renewal_due(certificates.Pair(leaf.certificate, other.key), ca, NOW)


async def test_everything_is_made_once() -> None:
    """The first start makes three Secrets; the second changes nothing and gets the same."""
    store = FakeStore()

    first = await credentials.self_signed(store, NAMES, NOW)
    second = await credentials.self_signed(store, NAMES, NOW + timedelta(days=1))

    assert first == second
    assert store.writes == ["ca", "operator", "agent"]
    assert store.kinds == {"ca": "Opaque", "operator": "kubernetes.io/tls", "agent": "kubernetes.io/tls"}
    assert store.secrets["agent"].keys() == {"tls.crt", "tls.key", "ca.crt"}
    assert base64.b64decode(store.secrets["agent"]["ca.crt"]) == first.ca


async def test_leaves_are_renewed_with_the_same_ca() -> None:
    """The CA stays: a new one would cut off every agent until it has read it."""
    store = FakeStore()
    first = await credentials.self_signed(store, NAMES, NOW)

    later = await credentials.self_signed(store, NAMES, NOW + timedelta(days=25))

    assert later.ca == first.ca
    assert later.certificate != first.certificate
    assert store.writes == ["ca", "operator", "agent", "operator", "agent"]


async def test_two_operators_agree_on_one_ca() -> None:
    """Both start at once: one creates, the other reads what it made."""
    store = FakeStore()

    one, other = await asyncio.gather(*(credentials.self_signed(store, NAMES, NOW) for _ in range(2)))

    assert one.ca == other.ca
    assert store.writes.count("ca") == 1
    assert store.writes.count("agent") == 1


@pytest.mark.parametrize("broken", [{}, {"tls.crt": "bm8=", "tls.key": "bm8="}, {"tls.crt": "%"}])
async def test_a_ca_that_cannot_be_used_is_not_replaced(broken: dict[str, str]) -> None:
    """It may be somebody's: the error names the Secret and says what to do."""
    store = FakeStore()
    store.secrets["ca"] = broken

    with pytest.raises(CredentialsError, match="'ca'"):
        await credentials.self_signed(store, NAMES, NOW)

    assert store.writes == []


async def test_a_ca_near_its_end_is_told() -> None:
    """A leaf must not outlive it."""
    store = FakeStore()
    await credentials.self_signed(store, NAMES, NOW)

    with pytest.raises(CredentialsError, match="Delete it"):
        await credentials.self_signed(store, NAMES, NOW + timedelta(days=3640))


async def test_certificates_that_others_make() -> None:
    """They are read as they are; what is missing is named."""
    store = FakeStore()
    with pytest.raises(CredentialsError, match="no Secret 'operator' yet"):
        await credentials.given(store, "operator")
    store.secrets["operator"] = {"tls.crt": "YQ==", "tls.key": "Yg=="}
    with pytest.raises(CredentialsError, match=r"has no ca\.crt"):
        await credentials.given(store, "operator")
    store.secrets["operator"]["ca.crt"] = "Yw=="

    assert await credentials.given(store, "operator") == (b"c", b"a", b"b")
