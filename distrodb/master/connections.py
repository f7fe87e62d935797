"""One slave at a time: single connections, tried once and briefly waited for.

A process is one person: who it is (login.py) is said once, for all of its connections.
"""

import socket
from argparse import Namespace

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.retry import Retry

from distrodb.config.address import Address, parse
from distrodb.errors import DistrodbError
from distrodb.login import NOBODY, Login, given
from distrodb.master.quoting import shown

# Asking for the map or a sign of life costs a live slave next to nothing.
PROBE_S_MAX = 0.7

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
