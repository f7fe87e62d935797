"""Real Redis clients: redis-py, redis-cli, redis-benchmark, and bytes by hand."""

import socket
import subprocess

import pytest
import redis
from redis.cluster import LoadBalancingStrategy

from distrodb import LocalCluster
from distrodb.clock import monotonic, sleep
from distrodb.ring.slots import slot_of

ROUND_ROBIN = LoadBalancingStrategy.ROUND_ROBIN_REPLICAS


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(nodes=3) as cluster:
        yield cluster


def redis_cli(cluster, *arguments: str, node: str = "node1") -> str:
    port = cluster.addresses[node].rpartition(":")[2]
    command = ["redis-cli", "-c", "-p", port, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(cluster, protocol):
    client = cluster.client(protocol=protocol, decode_responses=True)
    client.flushall(target_nodes="primaries")
    assert client.set("a", "1") and client.get("a") == "1" and client.get("none") is None
    assert client.incrby("a", 4) == 5 and client.append("a", "6") == 2 and client.strlen("a") == 2
    assert client.mset({"{t}x": "1", "{t}y": "2"}) and client.mget("{t}x", "{t}y") == ["1", "2"]
    assert client.exists("{t}x", "{t}y", "{t}z") == 2 and client.delete("{t}x", "{t}y") == 2
    assert client.setnx("a", "9") is False and client.type("a") == "string"
    for number in range(200):
        client.set(f"key{number}", number)
    assert client.dbsize(target_nodes="primaries") == 201
    assert sorted(client.scan_iter(match="key*", count=20)) == sorted(f"key{n}" for n in range(200))
    with client.pipeline() as pipeline:
        for number in range(200):
            pipeline.get(f"key{number}")
        assert pipeline.execute() == [str(number) for number in range(200)]


def test_redis_cli_through_a_kill(cluster):
    assert redis_cli(cluster, "set", "through", "1") == "OK"
    leader = redis_cli(cluster, "cluster", "myid", node="node1")
    assert len(leader) == 40
    cluster.kill("node1")
    cluster.wait_ready()
    assert redis_cli(cluster, "get", "through", node="node2") == "1"
    assert redis_cli(cluster, "set", "through", "2", node="node3") == "OK"
    cluster.start("node1")
    cluster.wait_ready()
    assert redis_cli(cluster, "get", "through", node="node1") == "2"


def test_cluster_tells_who_there_is(cluster):
    cluster.wait_healed()
    ids = {}
    for node in cluster.nodes:
        with cluster.connection(node) as slave:
            ids[node] = slave.execute_command("CLUSTER MYID").decode()
            assert len(slave.execute_command("CLUSTER MYSHARDID")) == 40
            assert slave.execute_command("CLUSTER REPLICAS", ids[node]) == {}
            assert slave.execute_command("CLUSTER COUNT-FAILURE-REPORTS", ids["node1"]) == 0
            with pytest.raises(redis.ResponseError, match="should send CLUSTER FAILOVER to a repl"):
                slave.execute_command("CLUSTER FAILOVER")
            shards = slave.execute_command("CLUSTER SHARDS")
            # A master is in one shard, with the slots of both its partitions.
            assert [len(shard[b"slots"]) for shard in shards] == [4, 4, 4]
            assert all(len(shard[b"nodes"]) == 1 for shard in shards)
    links = {}
    for node in cluster.nodes:
        with cluster.connection(node) as slave:
            found = slave.execute_command("CLUSTER LINKS")
            rows = [dict(zip(row[::2], row[1::2], strict=True)) for row in found]
            links[node] = {(row[b"node"].decode(), row[b"direction"]) for row in rows}
            assert all(row[b"create-time"] > 1_700_000_000_000 for row in rows)
    assert links["node2"] == {(ids["node1"], b"to"), (ids["node3"], b"from")}
    assert {len(set(ids.values())), *map(len, links.values())} == {3, 2}


def test_the_replicas_of_a_leader_of_all():
    """Slaves that lead nothing are replicas to clients, and can be read from."""
    with LocalCluster(nodes=3, partitions=1) as cluster:
        cluster.wait_healed()
        client = cluster.client(load_balancing_strategy=ROUND_ROBIN)
        leader = client.get_node_from_key("a")
        with client.get_redis_connection(leader) as slave:
            me = slave.execute_command("CLUSTER MYID")
            shard = slave.execute_command("CLUSTER MYSHARDID")
            replicas = slave.execute_command("CLUSTER REPLICAS", me)
            assert len(replicas) == 2 and {row["master_id"] for row in replicas.values()} == {
                me.decode()
            }
        for replica in client.get_replicas():
            with client.get_redis_connection(replica) as slave:
                assert slave.execute_command("CLUSTER MYSHARDID") == shard
                mine = slave.execute_command("CLUSTER MYID")
                with pytest.raises(redis.ResponseError, match="is not a master"):
                    slave.execute_command("CLUSTER REPLICAS", mine)
                with pytest.raises(redis.ResponseError, match="DISTRODB MOVE 0 node"):
                    slave.execute_command("CLUSTER FAILOVER")
        assert client.set("a", "1")
        cluster.wait_until(lambda: client.get("a") == b"1", "the replicas have it")


def test_redis_benchmark_runs(cluster):
    # It knows only the slaves that lead something when it starts, and ends when another one
    # comes to lead: an earlier test's node1, that has just come back, would.
    cluster.wait_healed()
    port = cluster.addresses["node1"].rpartition(":")[2]
    command = ["redis-benchmark", "--cluster", "-p", port, "-t", "set,get", "-n", "2000"]
    done = subprocess.run([*command, "-q"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.count("requests per second") == 2


class Bytes:
    """A connection by hand."""

    def __init__(self, cluster, node="node1"):
        host, _, port = cluster.addresses[node].rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)

    def ask(self, data: bytes, size: int) -> bytes:
        self._socket.sendall(data)
        return self.read(size)

    def read(self, size: int) -> bytes:
        received = b""
        while len(received) < size and (more := self._socket.recv(size - len(received))):
            received += more
        return received

    def read_all(self) -> bytes:
        return self.read(1 << 30)


def test_replies_keep_the_order_of_one_connection(cluster):
    connection = Bytes(cluster)
    assert connection.ask(b"PING\r\nECHO x\r\n", 14) == b"+PONG\r\n$1\r\nx\r\n"
    status = cluster.status()
    keys = [key for key in (f"o{n}" for n in range(300)) if _leader(status, key) == "node1"][:40]
    lines = b"SET %b 1\r\nGET %b\r\nINCR %b\r\nGET %b\r\n"
    data = b"".join(lines % ((key.encode(),) * 4) for key in keys)
    expected = b"+OK\r\n$1\r\n1\r\n:2\r\n$1\r\n2\r\n" * len(keys)
    assert connection.ask(data, len(expected)) == expected


def _leader(status: dict, key: str) -> str:
    slot = slot_of(key.encode())
    return next(p["leader"] for p in status["partitions"] if p["slots"][0] <= slot <= p["slots"][1])


def test_another_slaves_key_is_moved(cluster):
    status = cluster.status()
    key = next(key for key in (f"m{n}" for n in range(100)) if _leader(status, key) == "node2")
    with cluster.connection("node1") as slave, pytest.raises(redis.ResponseError) as moved:
        slave.get(key)
    assert str(moved.value).endswith(cluster.addresses["node2"])


def test_keys_of_two_slots_are_refused(cluster):
    with cluster.connection("node1") as slave, pytest.raises(redis.ResponseError, match="slot"):
        slave.mget("a", "b")


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (
            b"*1000000000\r\n",
            b"invalid multibulk length: 1000000000 arguments exceed arguments_max (65536)",
        ),
        (
            b"*2\r\n$3\r\nGET\r\n$99999999999\r\n",
            b"invalid bulk length: 99999999999 bytes exceed value_bytes_max (16777216)",
        ),
        (b"*1\r\n:1\r\n", b"expected '$', got ':'"),
        (b"x" * 70000, b"too big inline request: more than inline_bytes_max (65536)"),
    ],
)
def test_bad_bytes_get_an_error_and_a_closed_connection(cluster, data, reply):
    connection = Bytes(cluster)
    connection.ask(data, 0)
    assert connection.read_all() == b"-ERR Protocol error: " + reply + b"\r\n"


def test_wrong_commands_get_redis_own_words(cluster):
    with cluster.connection("node1") as slave:
        for command, words in (
            (("BREW", "tea"), "unknown command 'BREW', with args beginning with: 'tea'"),
            (("GET",), "wrong number of arguments for 'get' command"),
            (("CLUSTER", "BREW"), "unknown subcommand"),
            (("SELECT", "16"), "DB index is out of range"),
        ):
            with pytest.raises(redis.ResponseError, match=words):
                slave.execute_command(*command)


def test_values_up_to_the_limit_survive(cluster):
    client = cluster.client()
    for size in (0, 1, 65535, 65536, 65537, 131072, 1 << 20, 16777216):
        value = bytes([size % 251]) * size
        assert client.set("big", value) and client.get("big") == value
    leader = _leader(cluster.status(), "big")
    with cluster.connection(leader) as slave, pytest.raises(redis.RedisError):
        slave.set("big", b"x" * (16777216 + 1))
    assert len(client.get("big")) == 16777216


def wait_until(condition) -> None:
    until = monotonic() + 30
    while not condition():
        assert monotonic() < until, "it did not come to that"
        sleep(0.05)


@pytest.mark.parametrize("protocol", [2, 3])
def test_hashes_and_expiry(cluster, protocol):
    client = cluster.client(protocol=protocol, decode_responses=True)
    client.flushall(target_nodes="primaries")
    assert client.hset("h", mapping={"a": "1", "b": "2"}) == 2 and client.hset("h", "a", "3") == 0
    assert client.hgetall("h") == {"a": "3", "b": "2"} and client.hgetall("none") == {}
    assert client.hget("h", "b") == "2" and client.hlen("h") == 2 and client.type("h") == "hash"
    with pytest.raises(redis.ResponseError, match="WRONGTYPE|wrong kind of value"):
        client.get("h")
    assert client.expire("h", 100) and 98 <= client.ttl("h") <= 100
    assert client.persist("h") and client.pttl("h") == -1
    assert client.set("s", "1") and client.pexpire("h", 200) and client.pexpire("s", 200)
    wait_until(lambda: client.hgetall("h") == {} and client.get("s") is None)
    wait_until(lambda: client.dbsize(target_nodes="primaries") == 0)
