"""Messages between clients of different slaves, with redis-py; through a leader that is killed."""

import pytest
import redis

from distrodb import LocalCluster
from distrodb.clock import monotonic, sleep

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(nodes=3, limits_output_bytes_max=4_000_000) as cluster:
        yield cluster


def connect(cluster: LocalCluster, node: str, **options) -> redis.Redis:
    host, _, port = cluster.addresses[node].rpartition(":")
    return redis.Redis(host, int(port), **options)


def connect_gateway(cluster: LocalCluster, node: str) -> redis.Redis:
    host, _, port = str(cluster.gateway_address(node)).rpartition(":")
    return redis.Redis(host, int(port))


def listening(pubsub) -> list:
    """What comes until the confirmation of the one subscription."""
    ends = monotonic() + PATIENCE_S
    while pubsub.get_message(timeout=1.0) is None:
        assert monotonic() < ends, "no confirmation"
    return pubsub


def received(pubsub, count: int) -> list[bytes]:
    ends, found = monotonic() + PATIENCE_S, []
    while len(found) < count:
        assert monotonic() < ends, f"{len(found)} of {count} messages have come"
        message = pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
        found += [message["data"]] if message else []
    return found


@pytest.mark.parametrize("protocol", [2, 3])
def test_messages_reach_the_clients_of_every_slave_in_order(cluster, protocol):
    subscribers = []
    for node in ("node1", "node2", "node3"):
        pubsub = connect(cluster, node, protocol=protocol).pubsub()
        pubsub.psubscribe("n*") if node == "node3" else pubsub.subscribe("news")
        subscribers.append(listening(pubsub))
    publisher = connect(cluster, "node2")
    texts = [b"%d" % number for number in range(50)] + [b"x" * 300_000, b"last"]
    for text in texts:
        assert publisher.publish("news", text) == 1  # node2's own
    for pubsub in subscribers:
        assert received(pubsub, len(texts)) == texts
        pubsub.close()


def test_subscribers_stay_while_another_slave_is_killed_and_returns(cluster):
    pubsub = connect(cluster, "node1").pubsub()
    pubsub.subscribe("news")
    listening(pubsub)
    cluster.kill("node3")
    connect(cluster, "node2").publish("news", "one")
    assert received(pubsub, 1) == [b"one"]
    cluster.start("node3")
    cluster.wait_ready()
    publisher, ends, found = connect(cluster, "node3"), monotonic() + PATIENCE_S, None
    while found is None:  # until the two are linked again messages are lost
        assert monotonic() < ends, "no message from the slave that has returned"
        publisher.publish("news", "two")
        sleep(0.05)
        found = pubsub.get_message(ignore_subscribe_messages=True)
    assert found["data"] == b"two"


def test_a_subscriber_that_does_not_read_is_closed_and_the_log_says_so(cluster):
    pubsub = connect(cluster, "node1").pubsub()
    pubsub.subscribe("flood")
    publisher = connect(cluster, "node1")
    for _ in range(100):
        if not publisher.publish("flood", b"x" * 500_000):
            break
    assert publisher.publish("flood", "none is left") == 0
    log, ends = cluster.directory / "node1/slave.log", monotonic() + PATIENCE_S
    while "messages that it does not read exceed output_bytes_max" not in log.read_text():
        assert monotonic() < ends, "the log does not say so"
        sleep(0.05)


def test_a_gateway_speaks_for_the_clients_of_all_slaves(cluster):
    subscribers = []
    for node in ("node1", "node2"):
        pubsub = connect_gateway(cluster, node).pubsub()
        pubsub.subscribe("rooms", f"room of {node}")
        listening(pubsub)
        subscribers.append(listening(pubsub))
    gateway = connect_gateway(cluster, "node3")
    assert gateway.publish("rooms", "hello") == 2
    assert all(received(pubsub, 1) == [b"hello"] for pubsub in subscribers)
    assert gateway.pubsub_numsub("rooms", "nobody") == [(b"rooms", 2), (b"nobody", 0)]
    assert set(gateway.pubsub_channels("room*")) == {b"rooms", b"room of node1", b"room of node2"}
    with gateway.pipeline() as pipeline:
        pipeline.set("{t}a", "1").publish("rooms", "in a transaction").get("{t}a")
        assert pipeline.execute() == [True, 2, b"1"]
