"""``distrodb certs``: an authority of one's own, and what it signs: a certificate for each slave,
and for clients that are to show one.

The authority is made once and kept; whatever is asked for is made anew each time, so to run it
again is to renew.  A slave's certificate has the hosts of its row in its file, and says that it may
serve and dial; a client's says that it may dial.  Keys are on the curve P-256, and only their owner
may read them.

Caveat: who has ``ca.key`` can sign anybody in.  It is not needed to run; keep it elsewhere.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from distrodb import private
from distrodb.config import SlaveConfig
from distrodb.errors import ConfigError

CA_DAYS = 3650
DAYS = 365
DAYS_MAX = 3650
_EARLIER = datetime.timedelta(minutes=10)  # clocks of machines differ
_NAME_CHARACTERS_MAX = 64  # of a common name, by X.509

Key = ec.EllipticCurvePrivateKey
_SERVES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
_DIALS = [ExtendedKeyUsageOID.CLIENT_AUTH]


class Authority:
    """In a directory: ``ca.crt``, which everybody may know, and ``ca.key``."""

    def __init__(self, directory: Path, now_ms: int):
        """Made if it is not there; ``now_ms``: milliseconds since the epoch.  Raises
        ``ConfigError``."""
        self.directory = directory
        self._now = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificate, key = directory / "ca.crt", directory / "ca.key"
        self.is_new = not certificate.exists() and not key.exists()
        if self.is_new:
            self._make(certificate, key)
        try:
            self._certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
            loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            said = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise ConfigError(
                f"{directory}: its ca.crt and ca.key cannot be read ({said});"
                " bring both back, or make another authority in an empty directory"
            ) from None
        if not isinstance(loaded, Key) or loaded.public_key() != self._certificate.public_key():
            raise ConfigError(f"{directory}: ca.key is not the key of ca.crt; bring its own back")
        self._key = loaded

    def _make(self, certificate: Path, key: Path) -> None:
        own = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "distrodb authority")])
        identifier = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
        uses = _key_usage(signs_certificates=True)
        made = (
            self._builder(name, name, own, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(uses, critical=True)
            .add_extension(identifier, critical=False)
            .sign(own, hashes.SHA256())
        )
        _write_key(key, own)
        private.write(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)

    def _builder(
        self, name: x509.Name, issuer: x509.Name, key: Key, days: int
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _EARLIER)
            .not_valid_after(self._now + datetime.timedelta(days=days))
        )

    def sign(
        self,
        name: str,
        hosts: Sequence[str],
        days: int,
        is_slave: bool,
        folder: Path | None = None,
    ) -> tuple[Path, Path]:
        """A new key and its certificate, in the place of those that are there; their files, in
        ``folder`` or beside the authority's."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        usage = x509.ExtendedKeyUsage(_SERVES if is_slave else _DIALS)
        builder = (
            self._builder(subject, self._certificate.subject, key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(identifier, critical=False)
        )
        if hosts:
            alternatives = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(alternatives, critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        folder = folder or self.directory
        files = folder / f"{name}.crt", folder / f"{name}.key"
        # A slave that reads them in between finds a key that does not fit, and keeps the old ones.
        _write_key(files[1], key)
        private.write(files[0], made.public_bytes(serialization.Encoding.PEM), 0o644)
        return files


def hosts_of(config: SlaveConfig) -> list[str]:
    """Where others find a slave, and where its own machine does."""
    me = config.me
    places = [me.client, me.peer, *me.listens.values(), *filter(None, [me.gateway, me.http])]
    found = [at.host for at in places if not at.is_wildcard]
    return list(dict.fromkeys([*found, "localhost", "127.0.0.1", "::1"]))


def check_name(name: str, option: str = "--client") -> str:
    """Of a client or a slave: also of its files.  Raises ``ConfigError``."""
    is_plain = name.isascii() and all(c.isalnum() or c in "-_." for c in name)
    if not is_plain or not 0 < len(name) <= _NAME_CHARACTERS_MAX or name in ("ca", ".", ".."):
        raise ConfigError(f"{option} {name!r:.80}: use letters, digits, - _ and .; not ca")
    return name


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host.encode("idna").decode())


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
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


def _write_key(file: Path, key: Key) -> None:
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    private.write(file, data)
