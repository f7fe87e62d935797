"""One slave at a time: single connections, tried once and briefly waited for.

A process is one person: who it is (login.py) is said once, for all of its connections.
"""

import socket
from argparse import Namespace

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from distrodb.config.address import Address, parse
from distrodb.errors import DistrodbError
from distrodb.login import NOBODY, REMEDY, Login, given
from distrodb.master.quoting import shown

# Asking for the map or a sign of life costs a live slave next to nothing.
PROBE_S_MAX = 0.7
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")  # OpenSSL's words
_CERTIFICATE = (
    "it ends the connection: it may take only who shows a certificate (--cert, --key), as peer"
    " ports do; is this the client port?"
)

_own: list[Login] = [NOBODY]


def log_in_as(login: Login) -> None:
    """From now on."""
    _own[0] = login


def log_in(options: Namespace) -> None:
    """As these arguments say, or the environment.  Raises ``ConfigError``."""
    log_in_as(given(options))


def own_login() -> Login:
    return _own[0]


def parse_address(text: str) -> Address:
    """As `config.address.parse` does; its error is a line for people."""
    try:
        return parse(text)
    except ValueError as error:
        raise DistrodbError(
            f"{shown(text)} is no address ({error}); give HOST:PORT, as 127.0.0.1:55551"
        ) from None


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def slave_at(address: Address, reply_s_max: float = PROBE_S_MAX, database: int = 0) -> redis.Redis:
    """A client of one slave, which tries once and never again by itself."""
    return redis.Redis(
        address.host,
        address.port,
        database,
        socket_connect_timeout=PROBE_S_MAX,
        socket_timeout=reply_s_max,
        retry=Retry(NoBackoff(), 0),
        **_own[0].options,
    )


def why_refused(error: RedisError) -> str:
    """Of one that answers, and wants to know who asks, or does not do this for him."""
    text, login = one_line(error), _own[0]
    who = login.user or "default"
    if isinstance(error, NoPermissionError):
        if login.password is None:
            return f"without a login it does not tell this ({text}); {REMEDY}"
        return (
            f"the user {who} may not ask for this ({text}); take a user who may, or give it the"
            " right (ACL SETUSER; docs/security.md)"
        )
    if login.password is None:
        return f"it asks for a password; {REMEDY}"
    if "without any password" in text:
        return "the user default needs no password there; leave it out, or name a user (--user)"
    if "invalid username-password" in text:
        return f"it does not know the user {who} with this password, or the user is off (WRONGPASS)"
    return text


def why_silent(address: Address, error: BaseException) -> str:
    """What TLS has to do with it that ``slave_at`` did not get through; empty: nothing."""
    import ssl  # takes its time, and most calls do without

    if isinstance(error, (TimeoutError, RedisTimeoutError)):
        return ""  # nobody is there, as far as can be known: no second wait
    links: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in links:
        links.append(at)
        at = at.__cause__ or at.__context__
    for each in links:
        if isinstance(each, ssl.SSLCertVerificationError):
            why = each.verify_message.rstrip(".")
            return f"its certificate is not taken ({why}); is --ca that of this cluster?"
        if isinstance(each, ssl.SSLError) and each.reason in _NO_TLS:
            return "it does not speak TLS; leave out --tls, --ca and DISTRODB_CA"
        if isinstance(each, ssl.SSLError) and "CERTIFICATE_REQUIRED" in (each.reason or ""):
            return _CERTIFICATE
        if isinstance(each, InvalidResponse):
            return "what it answers is not Redis' protocol; is this the client port?"
    login = _own[0]
    if login.has_tls and login.certificate is None and any(map(_was_ended, links)):
        return _CERTIFICATE  # the alert that says so may be lost
    if not login.has_tls and _speaks_tls(address):
        return "it speaks TLS; name its authority with --ca FILE or DISTRODB_CA"
    return ""


def _was_ended(error: BaseException) -> bool:
    """By the other side."""
    import ssl

    is_reset = isinstance(error, (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError))
    return is_reset or "closed by server" in str(error)


def _speaks_tls(address: Address) -> bool:
    """Whatever its certificate: nothing is said to it."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        there = (address.host, address.port)
        with (
            socket.create_connection(there, timeout=PROBE_S_MAX) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except OSError:
        return False


def answers(address: Address) -> bool:
    """Whether the process answers: a paused one still accepts connections."""
    try:
        with slave_at(address) as slave:
            return bool(slave.ping())
    except (ResponseError, AuthenticationError):
        return True
    except (RedisError, OSError):
        return False


def is_port_open(address: Address) -> bool:
    try:
        with socket.create_connection((address.host, address.port), timeout=PROBE_S_MAX):
            return True
    except OSError:
        return False
