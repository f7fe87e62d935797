"""One redis-server of each kind for all tests of a worker."""

from collections.abc import Iterator

import pytest

from tests.oracle.compare import summary
from tests.oracle.redis_server import RedisServer, redis_server


@pytest.fixture(scope="session")
def node() -> Iterator[RedisServer]:
    """A node of a Redis Cluster that has all slots."""
    with redis_server(is_cluster=True) as server:
        yield server


@pytest.fixture(scope="session")
def single() -> Iterator[RedisServer]:
    """A single server with 16 databases."""
    with redis_server(is_cluster=False) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def counted() -> Iterator[None]:
    """With -s: what was compared."""
    yield
    print("\n" + summary())
