"""One slave at a time: addresses, and plain connections, tried once and briefly waited for."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from distrodb.config.address import parse
from distrodb.errors import DistrodbError

# Asking for the map or a sign of life costs a live slave next to nothing.
PROBE_S_MAX = 0.7

Address = tuple[str, int]


def parse_address(text: str) -> Address:
    """ "host:port", an IPv6 host in brackets or bare."""
    try:
        address = parse(text)
    except ValueError:
        raise DistrodbError(
            f"{printable(text)} is no address; give HOST:PORT, as 127.0.0.1:55551"
        ) from None
    return address.host, address.port


def host_port(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def printable(text: str) -> str:
    return ascii(text)[1:-1] if not text.isprintable() else text


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def slave_at(address: Address, reply_s_max: float = PROBE_S_MAX) -> Iterator[redis.Redis]:
    """A connection of its own to one slave; one try, no pool that outlives it."""
    slave = redis.Redis(
        *address,
        socket_connect_timeout=PROBE_S_MAX,
        socket_timeout=reply_s_max,
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
    )
    try:
        yield slave
    finally:
        with suppress(RedisError, OSError):
            slave.close()


def answers(address: Address) -> bool:
    """Whether the process answers: a paused one still accepts connections."""
    try:
        with slave_at(address) as slave:
            return bool(slave.ping())
    except ResponseError:
        return True
    except (RedisError, OSError):
        return False


def is_port_open(address: Address) -> bool:
    try:
        with socket.create_connection(address, timeout=PROBE_S_MAX):
            return True
    except OSError:
        return False


def tell(address: Address, command: tuple[str, ...]) -> redis.Connection | None:
    """Send without waiting for a reply (there is none). None: it was gone already."""
    connection = redis.Connection(
        host=address[0],
        port=address[1],
        socket_connect_timeout=PROBE_S_MAX,
        socket_timeout=PROBE_S_MAX,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        connection.connect()
        connection.send_command(*command)
    except (RedisError, OSError):
        return None
    return connection
