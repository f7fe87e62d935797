"""Client-side caching with redis-py's own cache, through a leader that is killed; notifications."""

import contextlib

import pytest
import redis
from redis.cache import CacheConfig

from distrodb import LocalCluster
from distrodb.clock import monotonic, sleep

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(nodes=3, clients_notify_keyspace_events="KEA") as cluster:
        yield cluster


def until(condition, what: str):
    ends = monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(redis.RedisError, OSError):
            if found := condition():
                return found
        assert monotonic() < ends, what
        sleep(0.02)


def leader_of(client, key: str) -> str:
    node = client.get_node_from_key(key)
    return f"{node.host}:{node.port}"


def test_redis_py_s_cache_never_keeps_what_was_changed(cluster):
    cached = cluster.client(protocol=3, cache_config=CacheConfig(), decode_responses=True)
    writer = cluster.client(decode_responses=True)
    keys = [f"cached{number}" for number in range(12)]  # of all leaders
    for key in keys:
        writer.set(key, "0")
        assert cached.get(key) == "0"
    for key in keys:
        writer.set(key, "1")
    for key in keys:
        until(lambda key=key: cached.get(key) == "1", f"{key} is never seen changed")
    address = leader_of(writer, keys[0])
    killed = next(node for node, at in cluster.addresses.items() if at == address)
    cluster.kill(killed)
    for key in keys:
        until(lambda key=key: writer.set(key, "2"), f"{key} is never written")
    for key in keys:
        until(lambda key=key: cached.get(key) == "2", f"{key} is never seen changed")
    cluster.start(killed)
    cluster.wait_ready()
    for key in keys:
        until(lambda key=key: writer.set(key, "3"), f"{key} is never written")
    for key in keys:
        until(lambda key=key: cached.get(key) == "3", f"{key} is never seen changed")


def test_a_gateway_s_clients_keep_nothing_stale_when_a_leader_dies(cluster):
    home, *others = cluster.nodes
    gateway = cluster.configs[home].me.gateway
    there = {"host": gateway.host, "port": gateway.port, "decode_responses": True}
    cached = redis.Redis(**there, protocol=3, cache_config=CacheConfig())
    writer = redis.Redis(**there)
    keys = [f"far{number}" for number in range(12)]  # of all leaders

    def change_all(value: str) -> None:
        for key in keys:
            until(lambda key=key: writer.set(key, value), f"{key} is never written")
        for key in keys:
            until(lambda key=key: cached.get(key) == value, f"{key} is never seen changed")

    change_all("0")
    change_all("1")
    status = cluster.status(home)
    led = {row["leader"] for row in status["partitions"]}
    killed = next(node for node in others if node in led)
    cluster.kill(killed)
    change_all("2")
    cluster.start(killed)
    cluster.wait_ready()
    change_all("3")
    assert cached.get_cache().size


def test_a_client_is_told_when_its_slave_hands_its_lead_on(cluster):
    """Not by its own connection's end: the slave stays."""
    writer = cluster.client()
    writer.set("handed", "1")
    address = leader_of(writer, "handed")
    host, _, port = address.rpartition(":")
    reader = redis.Redis(host, int(port), protocol=3, socket_timeout=PATIENCE_S)
    connection = reader.connection_pool.get_connection()
    told = []
    connection._parser.set_invalidation_push_handler(told.append)
    for words in (["CLIENT", "TRACKING", "ON"], ["GET", "handed"]):
        connection.send_command(*words)
        connection.read_response()
    node = next(node for node, at in cluster.addresses.items() if at == address)
    others = [other for other in cluster.addresses if other != node]
    for other in others:  # it leads nothing for as long as it hears nobody
        cluster.pause(other)
    try:

        def is_told() -> bool:
            connection.send_command("PING")
            connection.read_response(push_request=False)
            return told

        until(is_told, "it is not told to forget")
    finally:
        for other in others:
            cluster.resume(other)
    assert told[0] == [b"invalidate", None]
    connection.disconnect()
    cluster.wait_ready()


def test_notifications_reach_the_clients_of_every_slave(cluster):
    writer = cluster.client()
    listeners = []
    for address in cluster.addresses.values():
        host, _, port = address.rpartition(":")
        pubsub = redis.Redis(host, int(port)).pubsub()
        pubsub.psubscribe("__keyevent@0__:*")
        until(lambda pubsub=pubsub: pubsub.get_message(timeout=0.1), "no confirmation")
        listeners.append(pubsub)
    writer.set("notified", "1")
    writer.pexpire("notified", 50)
    for pubsub in listeners:
        seen = []
        while len(seen) < 3:
            message = pubsub.get_message(ignore_subscribe_messages=True, timeout=PATIENCE_S)
            assert message, f"only {seen} came"
            if message["data"] == b"notified":
                seen.append(message["channel"].rpartition(b":")[2])
        assert seen == [b"set", b"expire", b"expired"]
        pubsub.close()
