"""An authority that vouches for servers, also for those it should not."""

from __future__ import annotations

import datetime
import ssl
import warnings
from ipaddress import ip_address
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["HOST", "Authority"]

HOST = "127.0.0.1"
UTC = datetime.timezone.utc
_PEM = serialization.Encoding.PEM


class Authority:
    """Whoever trusts ``file`` trusts what it has signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.file)

    def context(self, host: str = HOST, *, since: int = 2020, until: int = 2090) -> ssl.SSLContext:
        """A server's, with a certificate for ``host`` that is good from one year to another."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf = self._ca.issue_cert(
            host,
            not_before=datetime.datetime(since, 1, 1, tzinfo=UTC),
            not_after=datetime.datetime(until, 1, 1, tzinfo=UTC),
        )
        leaf.configure_cert(context)
        return context

    def self_signed(self) -> ssl.SSLContext:
        """With a certificate that nobody but itself vouches for."""
        return self._handmade("self", names=True, is_signed=False)

    def nameless(self) -> ssl.SSLContext:
        """With a certificate that says whose it is only where nobody looks any more."""
        return self._handmade("nameless", names=False, is_signed=True)

    def outdated(self) -> ssl.SSLContext:
        """That speaks nothing younger than TLS 1.1."""
        context = self.context()
        with warnings.catch_warnings():  # ssl knows that one should not
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        return context

    def demanding(self) -> ssl.SSLContext:
        """That wants to see the client's certificate."""
        context = self.context()
        context.verify_mode = ssl.CERT_REQUIRED
        self._ca.configure_trust(context)
        return context

    def _handmade(self, name: str, *, names: bool, is_signed: bool) -> ssl.SSLContext:
        own_key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
        issuer, key = subject, own_key
        if is_signed:
            loaded = serialization.load_pem_private_key(self._ca.private_key_pem.bytes(), None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            issuer = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes()).subject
            key = loaded
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(own_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime.datetime(2090, 1, 1, tzinfo=UTC))
        )
        if names:
            alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))])
            builder = builder.add_extension(alternative, critical=False)
        certificate = builder.sign(key, hashes.SHA256())
        file = self._folder / f"{name}.pem"
        file.write_bytes(
            own_key.private_bytes(
                _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(_PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context
