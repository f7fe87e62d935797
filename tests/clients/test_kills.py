"""Each client that docs/clients.md names, at its work while ten leaders are killed.

All run at once on one cluster.  What a client's own retries do not cover reaches its program as an
error; the number is printed (`-s`), and 0 is expected.  Nothing that was acknowledged may be lost,
whatever went wrong; through a gateway, which does each write once, counters are exact.
"""

import pytest

from distrodb import LocalCluster
from tests.clients.clients import Client, need_node

pytestmark = pytest.mark.timeout(600)  # the ten kills are set-up, to the first test
KILLS = 10
ON_CLUSTER = [
    "redis-py-cluster",
    "redis-py-cluster-asyncio",
    "redis-cli-cluster",
    "ioredis-cluster",
    "node-redis-cluster",
    "glide-cluster",
]
ON_GATEWAY = [
    "redis-py-gateway",
    "redis-py-gateway-asyncio",
    "redis-cli-gateway",
    "ioredis-gateway",
    "node-redis-gateway",
    "glide-gateway",
]


def leader_to_kill(cluster: LocalCluster, spared: str) -> str:
    """Who leads most, but not the one whose gateway is used."""
    status = cluster.status(spared)
    assert status is not None
    leaders = [partition["leader"] for partition in status["partitions"]]
    return max((node for node in cluster.nodes if node != spared), key=leaders.count)


@pytest.fixture(scope="module")
def books():
    need_node()
    with LocalCluster(nodes=3) as cluster:
        spared = cluster.nodes[0]
        direct = list(cluster.addresses.values())  # the spared one first
        gateway = cluster.gateway_address(spared)
        clients = [Client(kind, direct) for kind in ON_CLUSTER]
        clients += [Client(kind, [gateway]) for kind in ON_GATEWAY]
        try:
            checker = cluster.client(decode_responses=True)
            _progress(cluster, checker, clients)
            for _ in range(KILLS):
                node = leader_to_kill(cluster, spared)
                cluster.kill(node)
                _progress(cluster, checker, clients)
                cluster.start(node)
                cluster.wait_ready()
            told = {client.kind: client.finish() for client in clients}
            for kind, book in told.items():
                book["value"] = int(checker.get(book["register"]) or 0)
                book["count"] = int(checker.get(book["counter"]) or 0)
                print(f"\n{kind}: {book['counted']} counted, errors {book['errors']}", end="")
            yield told
        finally:
            for client in clients:
                client.kill()


def _progress(cluster, checker, clients):
    """Each of them has done something more."""

    def counts():
        return [int(checker.get(f"{client.kind}:counter") or 0) for client in clients]

    before = counts()
    cluster.wait_until(
        lambda: all(now > then + 5 for now, then in zip(counts(), before, strict=True)),
        "all clients go on",
        60.0,
    )


@pytest.mark.parametrize("kind", [*ON_CLUSTER, *ON_GATEWAY])
def test_nothing_acknowledged_is_lost(books, kind):
    book = books[kind]
    assert book["acknowledged"] <= book["value"] <= book["tried"]
    assert book["went_back"] == 0
    assert book["count"] >= book["counted"] > KILLS


@pytest.mark.parametrize("kind", ON_GATEWAY)
def test_what_goes_through_a_gateway_is_done_once(books, kind):
    book = books[kind]
    assert book["count"] == book["counted"] and book["value"] == book["acknowledged"]


# What these say of a command that was under way when a connection broke, or of a connection to a
# slave that has just died: they send nothing again, so that nothing is done twice.
GIVEN_UP = {
    "node-redis-cluster": ("Error: ",),
    "glide-cluster": ("ConnectionError: ",),
    "redis-cli-cluster": ("RuntimeError: Could not connect", "RuntimeError: Error: "),
}


@pytest.mark.parametrize("kind", [*ON_CLUSTER, *ON_GATEWAY])
def test_its_own_retries_cover_all(books, kind):
    known = GIVEN_UP.get(kind, ())
    errors = books[kind]["errors"]
    assert [text for text in errors if not text.startswith(known or "\0")] == []
    assert sum(errors.values()) <= 2 * KILLS  # of one command at a time: few of each kill
