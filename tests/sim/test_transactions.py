"""Transactions while slaves die, links break and clocks leap; and stories of watched keys."""

import pytest

from distrodb.resp.reply import OK, ErrorReply, Reply
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation
from tests.sim.transactions import TransactionChaos


# Each shape of a cluster once.
@pytest.mark.parametrize("seed", range(7))
def test_transactions_are_atomic_and_isolated_whatever_goes_wrong(seed: int) -> None:
    chaos = TransactionChaos(seed)
    chaos.run(15.0)
    assert sum(client.ran for client in chaos.clients) > 5


class Client:
    """A connection to a slave, asked one burst at a time."""

    def __init__(self, cluster: Simulation, node: str):
        self._cluster = cluster
        self._connection = Connection(cluster.slaves[node], cluster.random_for_clients)

    def ask(self, *lines: str) -> list[Reply]:
        replies: list[Reply] = []
        commands = [[word.encode() for word in line.split()] for line in lines]
        self._connection.ask_all(commands, lambda _, reply: replies.append(reply))
        self._cluster.run_until(lambda: len(replies) == len(lines), 20.0)
        return replies


def started(seed: int = 3) -> tuple[Simulation, str]:
    """A cluster of one partition, and its leader."""
    cluster = Simulation(seed, partitions=1)
    assert cluster.ask("SET", "a", "1") == OK
    cluster.run(3.0)  # the leader is the partition's owner
    leader = cluster.leader("a")
    assert leader is not None
    return cluster, leader


def change_of_leader(cluster: Simulation, first: str) -> None:
    """Another slave leads, and then the owner again, in a term of its own."""
    cluster.isolate(first)
    cluster.run_until(lambda: cluster.leader("a") not in (first, None))
    cluster.heal()
    cluster.run_until(lambda: cluster.leader("a") == first)


def test_a_watch_outlives_its_lead() -> None:
    cluster, first = started()
    client = Client(cluster, first)
    assert client.ask("WATCH a", "GET a") == [OK, b"1"]
    change_of_leader(cluster, first)
    assert client.ask("MULTI", "SET a 2", "EXEC")[-1] == [OK]
    assert client.ask("WATCH a", "MULTI", "SET a 3", "EXEC")[-1] == [OK]


@pytest.mark.parametrize("change", ["SET a 1", "EXPIRE a 100", "DEL a", "FLUSHALL", "EVAL"])
@pytest.mark.parametrize("is_before", [True, False])
def test_the_next_leader_knows_what_has_changed(change: str, is_before: bool) -> None:
    cluster, first = started()
    client = Client(cluster, first)
    assert client.ask("WATCH a", "GET a") == [OK, b"1"]
    line = change if change != "EVAL" else "EVAL redis.call('SET','a',1) 0"
    if is_before:
        assert not isinstance(Client(cluster, first).ask(line)[0], ErrorReply)
    change_of_leader(cluster, first)
    if not is_before:
        assert not isinstance(Client(cluster, first).ask(line)[0], ErrorReply)
    assert client.ask("MULTI", "SET a 2", "EXEC")[-1] is None
    assert client.ask("WATCH a", "MULTI", "SET a 2", "EXEC")[-1] == [OK]


def test_an_old_leader_runs_no_transaction() -> None:
    cluster, first = started()
    client = Client(cluster, first)
    client.ask("WATCH a")
    cluster.isolate(first)
    client._connection.ask_all([(b"MULTI",), (b"SET", b"a", b"old"), (b"EXEC",)], lambda *_: None)
    cluster.run_until(lambda: cluster.leader("a") not in (first, None))
    assert cluster.ask("SET", "a", "new") == OK
    cluster.heal()
    cluster.run(10.0)
    assert cluster.ask("GET", "a") == b"new"


def test_what_is_in_one_batch_with_it_counts() -> None:
    """Two that watch the same key send their EXECs at the same moment, behind a write to another
    key: one of them runs."""
    cluster, first = started()
    clients = [Client(cluster, first) for _ in range(3)]
    for client in clients[1:]:
        client.ask("WATCH a")
    replies: list[Reply] = []

    def answered(number: int, reply: Reply) -> None:
        if number == 2:
            replies.append(reply)

    clients[0]._connection.ask([b"SET", b"b", b"1"], lambda _: None)
    for client in clients[1:]:
        client._connection.ask_all([(b"MULTI",), (b"INCR", b"a"), (b"EXEC",)], answered)
    cluster.run_until(lambda: len(replies) == 2)
    assert sorted(replies, key=repr) == [None, [2]] and cluster.ask("GET", "a") == b"2"


def test_a_key_that_expires_has_changed() -> None:
    cluster, first = started()
    client = Client(cluster, first)
    assert client.ask("PEXPIRE a 500", "WATCH a") == [1, OK]
    cluster.run(0.2)
    assert client.ask("MULTI", "GET a", "EXEC", "WATCH a")[2] == [b"1"]
    cluster.run(0.6)
    assert client.ask("MULTI", "SET a 2", "EXEC")[2] is None
    assert client.ask("WATCH a", "MULTI", "SET a 2", "EXEC")[3] == [OK]


def test_a_transaction_that_meets_an_expired_key_reads_it_once() -> None:
    """One moment for all of its reads, and that is in the log before it is seen."""
    cluster, first = started()
    client = Client(cluster, first)
    client.ask("PEXPIRE a 500", "SET b x")
    cluster.run(0.49)
    for _ in range(30):
        found = client.ask("MULTI", "GET a", "EXISTS a", "TTL a", "EXEC")[-1]
        assert not isinstance(found, ErrorReply)
        assert found[:2] in ([b"1", 1], [None, 0])
        cluster.run(0.002)
    assert found == [None, 0, -2]
