"""Films over TLS: certificates are asked for and looked at, and a peer that only opens a connection is sent away."""

from __future__ import annotations

import datetime as dt
import gc
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography", reason="certificates are made with the extra 'share'")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydicom import dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE, build_context

from carina.archive import Study, create_study
from carina.pacs.node import Node
from carina.settings import PacsPeer, PacsSettings, Settings

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with create_study(tmp_path / "service", "service") as made:
        made.accounts.add_organisation("ZZZ District")
        yield made
    gc.collect()


@pytest.fixture
def make_certificate(tmp_path: Path) -> Callable[[str], Path]:
    """Factory of certificates for 127.0.0.1 that sign themselves, with their keys in one PEM file."""

    def make(name: str) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
        builder = builder.not_valid_after(now + dt.timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = builder.add_extension(where, critical=False).sign(key, hashes.SHA256())
        path = tmp_path / f"{name}.pem"
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pem = key.private_bytes(serialization.Encoding.PEM, *form)
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + pem)
        return path

    return make


def _settings(**changes: Any) -> Settings:
    peers = (PacsPeer(ae_title="SENDER", host="127.0.0.1", port=104),)
    return Settings(pacs=PacsSettings(port=0, peers=peers, acse_seconds=1.0, **changes))


def _association(port: int, context: ssl.SSLContext | None) -> Any:
    entity = AE(ae_title="SENDER")
    entity.acse_timeout = entity.connection_timeout = 5
    more: Any = {} if context is None else {"tls_args": (context, "127.0.0.1")}
    contexts = [build_context(DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian)]
    return entity.associate("127.0.0.1", port, contexts=contexts, ae_title="CARINA", **more)


def test_a_film_comes_over_tls_from_a_peer_with_a_known_certificate(
    study: Study, make_certificate: Callable[[str], Path], phantoms: list[Path]
) -> None:
    own, peer = make_certificate("node"), make_certificate("peer")
    context = ssl.create_default_context(cafile=str(own))
    context.load_cert_chain(peer)
    with Node(study, _settings(certificate=own, key=own, authorities=peer), worker=False) as node:
        association = _association(node.port, context)
        assert association.send_c_store(dcmread(phantoms[0])).Status == 0x0000
        association.release()
    assert len(study.desk.waiting()) == 1


@pytest.mark.parametrize("speaks", ["TLS", "plain"])
def test_a_peer_without_a_certificate_gets_no_association(
    study: Study, make_certificate: Callable[[str], Path], speaks: str
) -> None:
    own, peer = make_certificate("node"), make_certificate("peer")
    context = ssl.create_default_context(cafile=str(own)) if speaks == "TLS" else None
    with Node(study, _settings(certificate=own, key=own, authorities=peer), worker=False) as node:
        assert not _association(node.port, context).is_established


def test_a_connection_that_never_shakes_hands_is_closed(study: Study, make_certificate: Callable[[str], Path]) -> None:
    own = make_certificate("node")
    with (
        Node(study, _settings(certificate=own, key=own), worker=False) as node,
        socket.create_connection(("127.0.0.1", node.port), timeout=20) as silent,
    ):
        start = time.monotonic()
        with suppress(ConnectionResetError):
            assert silent.recv(1) == b""
        assert time.monotonic() - start < 10
