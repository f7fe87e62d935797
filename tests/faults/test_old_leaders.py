"""A leader that hung while another one was elected: it wakes up believing that it leads."""

import contextlib

import pytest
from redis.exceptions import ResponseError

from tests.faults.story import Wire, leader_of, partition_of, reading, writing


def elect_another(cluster, key: str, hangs: str) -> None:
    cluster.pause(hangs)
    cluster.wait_until(lambda: leader_of(cluster, key) not in (hangs, None), "another one leads")


def test_what_lay_in_its_socket_is_neither_acknowledged_nor_answered_stale(three):
    three.client().set("key", "old")
    leader = leader_of(three, "key")
    wire = Wire(three, leader)
    wire.send("PING")
    assert wire.reply() == b"+PONG"
    elect_another(three, "key", hangs=leader)
    assert three.client().set("key", "new")
    wire.send("GET key", "SET key usurped", "GET key", "INCR counter{key}")
    three.resume(leader)
    replies = [wire.reply() for _ in range(4)]
    moved = (b"-MOVED", b"-CLUSTERDOWN", b"-UNKNOWN")
    assert all(reply == b"new" or reply.startswith(moved) for reply in replies), replies
    three.wait_until(lambda: leader_of(three, "key") is not None, "there is a leader")
    assert three.client().get("key") == b"new"
    assert three.client().get("counter{key}") is None


def test_a_write_under_way_when_it_hung_has_one_fate(three):
    """It may or may not have happened, and every reader after the reply sees the same."""
    client = three.client()
    for number in range(5):
        key = f"key{number}"
        client.set(key, "old")
        leader = leader_of(three, key)
        wire = Wire(three, leader)
        others = [node for node in three.nodes if node != leader]
        for node in others:
            three.pause(node)
        wire.send(f"SET {key} maybe")
        three.pause(leader)
        for node in others:
            three.resume(node)
        three.wait_until(
            lambda key=key, old=leader: leader_of(three, key) not in (old, None), "another leads"
        )
        first = three.client().get(key)
        three.resume(leader)
        reply = wire.reply()
        after = three.client().get(key)
        assert first == after, f"{first!r} became {after!r}, the write was answered {reply!r}"
        assert reply != b"+OK" or after == b"maybe"
        three.wait_ready()


def test_readers_never_go_back_while_leaders_hang_in_turn(three):
    with writing(three) as writers, reading(three, writers[0].register) as reader:
        for _ in range(2):
            leader = leader_of(three, writers[0].register)
            elect_another(three, writers[0].register, hangs=leader)
            reader.progress()
            three.resume(leader)
            three.wait_ready()
            reader.progress()


def test_a_read_on_a_connection_that_says_readonly_is_the_only_stale_one(three):
    three.client().set("key", "old")
    leader = leader_of(three, "key")
    follower = next(node for node in partition_of(three, "key")["group"] if node != leader)
    with three.connection(follower) as slave:
        with pytest.raises(ResponseError) as moved:
            slave.get("key")
        assert str(moved.value).endswith(three.addresses[leader])
        slave.execute_command("READONLY")
        three.wait_until(lambda: slave.get("key") == b"old", "the copy has it")
        with pytest.raises(ResponseError):
            slave.set("key", "new")  # READONLY allows reads only
        slave.execute_command("READWRITE")
        with contextlib.suppress(ResponseError):
            assert slave.get("key") is None, "answered by a follower"
