"""Each client that docs/clients.md names, at its work while four leaders are killed; ten in a soak.

All run at once on one cluster.  Every second leader is killed when all have settled and stays away
until the ring has closed its gap; the others as soon as the one before is back, while leads return
and clients connect to it.  What a client's own retries do not cover reaches its program as an
error; the number is printed (`-s`), and 0 is expected.  Nothing that was acknowledged may be lost,
whatever went wrong; through a gateway, which does each write once, counters are exact.
"""

import pytest

from distrodb import LocalCluster
from distrodb.errors import UnavailableError
from tests.clients.clients import Client, need_node

pytestmark = pytest.mark.timeout(600)  # the kills are set-up, to the first test
KILLS = [4, pytest.param(10, marks=pytest.mark.soak)]
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
# When a slave dies just as one of these connects to it, it waits until that slave is back: a client
# of node-redis looks for other leaders only once it has been connected (docs/clients.md).
WAIT_FOR_RETURN = ["node-redis-cluster"]


def leader_to_kill(cluster: LocalCluster, spared: str) -> str:
    """Who leads most, but not the one whose gateway is used."""
    status = cluster.status(spared)
    assert status is not None
    leaders = [partition["leader"] for partition in status["partitions"]]
    return max((node for node in cluster.nodes if node != spared), key=leaders.count)


@pytest.fixture(scope="module", params=KILLS)
def books(request):
    need_node()
    kills = request.param
    with LocalCluster(nodes=3) as cluster:
        spared = cluster.nodes[0]
        direct = list(cluster.addresses.values())  # the spared one first
        gateway = cluster.gateway_address(spared)
        clients = [Client(kind, direct) for kind in ON_CLUSTER]
        clients += [Client(kind, [gateway]) for kind in ON_GATEWAY]
        others = [client for client in clients if client.kind not in WAIT_FOR_RETURN]
        try:
            checker = cluster.client(decode_responses=True)
            for number in range(kills):
                is_settled = number % 2 == 0
                if is_settled:
                    cluster.wait_healed()
                    _progress(cluster, checker, clients)
                node = leader_to_kill(cluster, spared)
                cluster.kill(node)
                if is_settled:
                    _progress(cluster, checker, clients)
                    _wait_for_gap(cluster, spared, node)
                else:
                    _progress(cluster, checker, others)
                cluster.start(node)
                cluster.wait_ready()
            _progress(cluster, checker, clients)
            told = {client.kind: client.finish() for client in clients}
            for kind, book in told.items():
                book["kills"] = kills
                book["value"] = int(checker.get(book["register"]) or 0)
                book["count"] = int(checker.get(book["counter"]) or 0)
                print(f"\n{kind}: {book['counted']} counted, errors {book['errors']}", end="")
            yield told
        finally:
            for client in clients:
                client.kill()


def _progress(cluster, checker, clients):
    """Each of them has done something more."""

    def count(client):
        return int(checker.get(f"{client.kind}:counter") or 0)

    left = {client: count(client) for client in clients}

    def all_go_on():
        for client in list(left):
            if count(client) > left[client] + 5:
                del left[client]
        return not left

    try:
        cluster.wait_until(all_go_on, "all clients go on", 60.0)
    except UnavailableError as error:
        words = [client.last_words() for client in left]
        pytest.fail("\n".join([f"{error}; these do not:", *words]))


def _wait_for_gap(cluster, spared, dead):
    """Until the ring has closed the gap that a slave has left: clients see other owners, too."""

    def is_closed():
        status = cluster.status(spared)
        return status is not None and dead not in status["ring"]

    cluster.wait_until(is_closed, f"{dead} is out of the ring")


@pytest.mark.parametrize("kind", [*ON_CLUSTER, *ON_GATEWAY])
def test_nothing_acknowledged_is_lost(books, kind):
    book = books[kind]
    assert book["acknowledged"] <= book["value"] <= book["tried"]
    assert book["went_back"] == 0
    assert book["count"] >= book["counted"] > book["kills"]


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
# Errors of a kill at most, of one command at a time: what was under way, and what came next.  With
# node-redis also what waited when it found the next leader.
ERRORS_MAX = {"node-redis-cluster": 3}


@pytest.mark.parametrize("kind", [*ON_CLUSTER, *ON_GATEWAY])
def test_its_own_retries_cover_all(books, kind):
    known = GIVEN_UP.get(kind, ())
    errors = books[kind]["errors"]
    assert [text for text in errors if not text.startswith(known or "\0")] == []
    assert sum(errors.values()) <= ERRORS_MAX.get(kind, 2) * books[kind]["kills"]
