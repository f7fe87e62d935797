"""The certificates of a slave: read when it starts, and again when it is told to.

Contexts are made anew as a whole, from what the files hold then, before the old ones go; so a
renewal that went wrong (a key that does not fit, half a file) leaves everything as it was, and one
that went right counts for each handshake from then on, the authority included.

There is no resumption of sessions: it would pass by a certificate that is not taken any more.
"""

import asyncio
import signal
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from distrodb.clock import wall_ms
from distrodb.config import SlaveConfig, TlsConfig, problem
from distrodb.errors import ConfigError
from distrodb.slave.logging_limit import LimitedLog

log = LimitedLog("distrodb")

WARN_DAYS = 30  # before its certificate ends a slave says so in its log, each day
DAY_S = 86400.0
_OTHER_HOST = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


@dataclass(frozen=True, slots=True)
class _Contexts:
    clients: ssl.SSLContext | None
    http: ssl.SSLContext | None
    peers: ssl.SSLContext | None  # for those that dial us
    dial: ssl.SSLContext | None
    ends_at: float  # seconds since the epoch: when our certificate does


class Tls:
    def __init__(self, config: SlaveConfig):
        """Raises ``ConfigError`` for files that are of no use."""
        self._config, self._tls = config, config.tls
        self._contexts = self._made() if self._tls.is_on else _Contexts(None, None, None, None, 0.0)

    def read_again(self) -> None:
        """The same; then the old ones stay."""
        if self._tls.is_on:
            self._contexts = self._made()

    def check(self) -> None:
        """Whether ``read_again`` would do.  Raises ``ConfigError``."""
        if self._tls.is_on:
            self._made()

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read the files again after each SIGHUP, and tell of a certificate's end in time."""
        if self._tls.is_on:
            loop.add_signal_handler(signal.SIGHUP, self._told_to)
            self._look(loop)

    def _told_to(self) -> None:
        try:
            self.read_again()
        except ConfigError as problem:
            log.say("certificates_not_read", problem=problem)
            return
        log.say("certificates_read")
        self._warn()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._warn()
        loop.call_later(DAY_S, self._look, loop)

    def _warn(self) -> None:
        if warning := self.warning(wall_ms() / 1000):
            log.say("certificate_ends", what=warning)

    @property
    def is_on(self) -> bool:
        return self._tls.is_on

    @property
    def clients(self) -> ssl.SSLContext | None:
        """None: they come without."""
        return self._contexts.clients

    @property
    def http(self) -> ssl.SSLContext | None:
        return self._contexts.http

    @property
    def peers(self) -> ssl.SSLContext | None:
        return self._contexts.peers

    @property
    def dial(self) -> ssl.SSLContext | None:
        return self._contexts.dial

    @property
    def ends_at(self) -> float:
        """Seconds since the epoch: when the slave's certificate does."""
        return self._contexts.ends_at

    def warning(self, wall_s: float) -> str:
        """What is to be said of the certificate's end, if anything."""
        left_s = self.ends_at - wall_s
        if not self._tls.is_on or left_s > WARN_DAYS * DAY_S:
            return ""
        when = "has ended" if left_s <= 0 else f"ends in {left_s / DAY_S:.1f} days"
        return (
            f"the certificate {self._tls.certificate} {when}: put a new one there (distrodb certs"
            " makes them) and send this process SIGHUP"
        )

    # -- contexts --------------------------------------------------------------------------------

    def _made(self) -> _Contexts:
        tls = self._tls
        contexts = _Contexts(
            clients=self._server_of(tls.clients),
            http=self._server_of(tls.of_http),
            peers=self._server(True) if tls.peers else None,
            dial=self._dialler() if tls.peers else None,
            ends_at=self._end(tls),
        )
        self._check_own_host(contexts)
        return contexts

    def _check_own_host(self, contexts: _Contexts) -> None:
        """Whether those that dial us would take our certificate for ours.  Without this a slave
        that only dials is taken in and leads, and clients cannot connect to it."""
        if contexts.dial is None or contexts.peers is None:
            return
        host = self._config.me.peer.host
        if wrong := host_mismatch(contexts.dial, contexts.peers, host):
            what = f"{self._tls.certificate}: others find this slave at {host}, and {wrong}"
            raise self._problem("certificate", what)

    def _server_of(self, choice: str) -> ssl.SSLContext | None:
        return None if choice == "off" else self._server(choice == "certificate")

    def _server(self, wants_certificate: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
        self._load(context)
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            self._trust(context)
        return context

    def _dialler(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which looks at the name, too
        self._load(context)
        self._trust(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # An encrypted key would make OpenSSL ask at a terminal.
            context.load_cert_chain(self._tls.certificate, self._tls.key, password=_no_password)
        except (OSError, ValueError) as error:
            what = f"{self._tls.certificate} and {self._tls.key}: {reason(error)}"
            raise self._problem("certificate", what) from None

    def _trust(self, context: ssl.SSLContext) -> None:
        try:
            context.load_verify_locations(self._tls.ca)
        except (OSError, ValueError) as error:
            raise self._problem("ca", f"{self._tls.ca}: {reason(error)}") from None

    def _end(self, tls: TlsConfig) -> float:
        from cryptography import x509  # a slave without TLS does without

        try:
            found = x509.load_pem_x509_certificates(tls.certificate.read_bytes())
            return min(each.not_valid_after_utc.astimezone(UTC).timestamp() for each in found)
        except (OSError, ValueError) as error:
            raise self._problem("certificate", f"{tls.certificate}: {reason(error)}") from None

    def _problem(self, name: str, what: str) -> ConfigError:
        remedy = "make them with distrodb certs (docs/security.md)"
        return problem(self._config.file, f"tls.{name}", what, remedy)


def host_mismatch(dial: ssl.SSLContext, serve: ssl.SSLContext, host: str) -> str:
    """OpenSSL's own words if who dials ``host`` finds another one's certificate there; else empty,
    also if there is something else that it does not take, as a certificate that has ended."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = dial.wrap_bio(to_client, to_server, server_hostname=host)
    server = serve.wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server, client):  # the server's certificate is in its first answer
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return error.verify_message.rstrip(".") if error.verify_code in _OTHER_HOST else ""
    return ""


def user_of(certificate: Mapping[str, Any] | None) -> bytes | None:
    """The common name in a client's certificate, as ``getpeercert`` tells of it, if there is one
    and no more."""
    names = [
        value
        for row in (certificate or {}).get("subject", ())
        for kind, value in row
        if kind == "commonName"
    ]
    return names[0].encode() if len(names) == 1 and names[0] else None


def present(context: ssl.SSLContext | None) -> ssl.SSLContext:
    """Of one that was there when the slave began to listen."""
    if context is None:
        raise RuntimeError("there is no TLS here")
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted; give it without a password, for this user alone")


def reason(error: Exception) -> str:
    """OpenSSL's words are for its own developers: its reason is the part that helps."""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    text = {
        "KEY_VALUES_MISMATCH": "the key is that of another certificate",
        "NO_START_LINE": "it is no PEM file",
        "WRONG_VERSION_NUMBER": "what comes is no TLS",
        "HTTP_REQUEST": "what comes is plain HTTP",
    }.get(str(reason), str(reason or error))
    return " ".join(text.split()) or type(error).__name__
