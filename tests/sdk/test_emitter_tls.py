"""TLS: a certificate is checked against the authorities of the machine, and a fault of it is told with its cure."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sdk.scripted_gateway import GONE, QUICK, emitter, made, scripted
from tests.support import require
from tests.waits import until_plain

pytestmark = [pytest.mark.servers, pytest.mark.fixed_clock]  # the emitter's thread waits with deadlines


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        *(require("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-days", "3650", "-subj", "/CN=gateway.example", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(cert)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def test_a_trusted_gateway_gets_the_events(
    certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with scripted(certificate=certificate) as gateway, emitter(gateway.url, tmp_path, QUICK) as fw:
        fw.send(made(1))
        fw.flush(60)
        fw.send(made(2))
        fw.flush(60)
        assert gateway.ids == ["e-1", "e-2"]


def test_a_gateway_that_nobody_vouches_for_gets_nothing(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    with scripted(certificate=certificate) as gateway:
        with emitter(gateway.url, tmp_path / "unknown", GONE) as fw:
            fw.send(made(1))
            until_plain(lambda: "its certificate is not trusted: self-signed" in fw.status().trouble, "the trouble")
            assert "SSL_CERT_FILE" in fw.status().trouble
        with emitter(gateway.url.replace("https", "http"), tmp_path / "plain", GONE) as fw:
            fw.send(made(1))
            until_plain(lambda: fw.status().trouble, "the trouble")
        assert gateway.ids == []


def test_tls_towards_a_port_without_it_is_told(tmp_path: Path) -> None:
    with scripted() as gateway, emitter(gateway.url.replace("http", "https"), tmp_path, GONE) as fw:
        fw.send(made(1))
        until_plain(lambda: "there is no TLS on this port" in fw.status().trouble, "the trouble")
