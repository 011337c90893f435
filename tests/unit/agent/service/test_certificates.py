"""Certificates read from files that change."""

import logging
from pathlib import Path

import pytest
from authority import Authority

from kubestrace_agent.service.certificates import CertificateError, Certificates, KeyPair


@pytest.fixture
def ca() -> Authority:
    """Give an authority."""
    return Authority()


def test_a_mounted_secret_is_read(tmp_path: Path, ca: Authority) -> None:
    """Certificate, key and CA are those of the files."""
    leaf = ca.agent()
    ca.write(tmp_path, leaf)

    assert Certificates(tmp_path).load() == KeyPair(leaf.certificate, leaf.key, ca.certificate)


def test_unchanged_files_are_not_read_again(tmp_path: Path, ca: Authority) -> None:
    """Asking costs no more than looking at the files' times."""
    ca.write(tmp_path, ca.agent())
    certificates = Certificates(tmp_path)
    certificates.load()

    assert certificates.changed() is None


def test_a_swapped_secret_is_read_once(tmp_path: Path, ca: Authority) -> None:
    """A new version is given once, as a whole."""
    ca.write(tmp_path, ca.agent())
    certificates = Certificates(tmp_path)
    certificates.load()

    renewed = ca.agent()
    ca.write(tmp_path, renewed)

    assert certificates.changed() == KeyPair(renewed.certificate, renewed.key, ca.certificate)
    assert certificates.changed() is None


def test_a_half_written_pair_waits_for_its_other_half(tmp_path: Path, ca: Authority, caplog) -> None:
    """A certificate without its key is not used; once the key is there both are."""
    first, second = ca.agent(), ca.agent()
    for name, content in (("tls.crt", first.certificate), ("tls.key", first.key), ("ca.crt", ca.certificate)):
        (tmp_path / name).write_bytes(content)
    certificates = Certificates(tmp_path)
    certificates.load()

    (tmp_path / "tls.crt").write_bytes(second.certificate)
    with caplog.at_level(logging.WARNING):
        between = certificates.changed()
    (tmp_path / "tls.key").write_bytes(second.key)
    after = certificates.changed()

    assert between is None
    assert "keeping the certificate in use" in caplog.text
    assert after == KeyPair(second.certificate, second.key, ca.certificate)


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key", "ca.crt"])
def test_a_missing_file_is_an_error_that_names_the_folder(tmp_path: Path, ca: Authority, missing: str) -> None:
    """Each of the three is needed."""
    ca.write(tmp_path, ca.agent())
    (tmp_path / "..data" / missing).unlink()

    with pytest.raises(CertificateError, match=str(tmp_path)):
        Certificates(tmp_path).load()
