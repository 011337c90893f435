"""The Secrets by which operator and agents know each other: made to expire, and looked for where agents read them."""

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from rig import SYSTEM

from kubestrace_operator.pki import certificates
from kubestrace_operator.pki.certificates import LEAF_LIFE, Pair

_AGENT, _CA = "kubestrace-agent-tls", "kubestrace-ca"
LEAVES = (_AGENT, "kubestrace-operator-tls")


def expire_agents() -> None:
    """Replace the agents' certificate by one that ended a day ago."""
    ca = _data(_CA)
    made = certificates.agent_leaf(
        Pair(ca["tls.crt"], ca["tls.key"]), datetime.now(UTC) - LEAF_LIFE - timedelta(days=1)
    )
    data = {"tls.crt": made.certificate, "tls.key": made.key, "ca.crt": ca["tls.crt"]}
    encoded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    SYSTEM.kubectl("patch", "secret", _AGENT, "--type=merge", "-p", json.dumps({"data": encoded}))


def are_renewed() -> bool:
    """Tell whether the agents' certificate is valid now."""
    certificate = x509.load_pem_x509_certificate(_data(_AGENT)["tls.crt"])
    return certificate.not_valid_after_utc > datetime.now(UTC)


def are_mounted(agents: Iterable[int]) -> bool:
    """Tell whether all agents, by their PIDs, see the certificate that the Secret has now."""
    current = _data(_AGENT)["tls.crt"]
    return all(Path(f"/proc/{pid}/root/etc/kubestrace/tls/tls.crt").read_bytes() == current for pid in agents)


def _data(name: str) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in SYSTEM.get("secret", name)["data"].items()}
