"""Raft members of a real cluster are killed under load; no acknowledged write is missing."""

import contextlib

import redis
from redis.exceptions import ClusterDownError, MovedError

from tests.faults.story import leader_of, progress, writing


def test_every_member_in_turn(three):
    with writing(three) as writers:
        for node in three.nodes:
            three.kill(node)
            progress(three, writers)
            three.start(node)
            three.wait_ready()


def test_the_leader_of_a_key_again_and_again(three):
    with writing(three) as writers:
        for _ in range(4):
            leader = leader_of(three, writers[0].register)
            three.kill(leader)
            progress(three, writers)
            three.start(leader)
            three.wait_ready()


def test_one_after_another_of_five_that_are_not_neighbours(five):
    with writing(five) as writers:
        five.kill("node1")
        progress(five, writers)
        five.kill("node3")
        # Partitions of node2 have lost their majority now; they wait, the others go on.
        five.start("node3")
        progress(five, writers)
        five.start("node1")


def test_all_at_once_and_restart(five):
    with writing(five) as writers:
        for node in five.nodes:
            five.kill(node)
        five.start_all()
        five.wait_ready()
        progress(five, writers)


def test_a_polite_end_hands_leadership_over(three):
    with writing(three) as writers:
        assert three.stop("node2") == 0
        assert "node2" not in {p["leader"] for p in three.status("node1")["partitions"]}
        progress(three, writers)
        three.start("node2")


def test_a_leader_that_hangs_answers_nothing_stale_when_it_resumes(three):
    client = three.client()
    client.set("key", "old")
    leader = leader_of(three, "key")
    three.pause(leader)
    three.wait_until(lambda: leader_of(three, "key") not in (leader, None), "another one leads")
    assert client.set("key", "new")
    three.resume(leader)
    with three.connection(leader) as resumed, contextlib.suppress(MovedError, ClusterDownError):
        assert resumed.get("key") == b"new"


def test_writes_go_on_while_a_member_hangs(three):
    with writing(three) as writers:
        three.pause("node1")
        progress(three, writers)
        three.resume("node1")


def test_without_a_majority_writes_are_refused_and_stale_reads_answered(three):
    three.client().set("key", "value")
    with three.connection("node1") as slave:
        slave.execute_command("READONLY")
        three.wait_until(lambda: slave.get("key") == b"value", "the copy at node1 has it")
        slave.execute_command("READWRITE")
        three.kill("node2")
        three.kill("node3")

        def refused() -> bool:
            try:
                slave.set("key", "lost")
            except ClusterDownError:
                return True
            except (redis.TimeoutError, redis.ResponseError):
                return False  # what was under way when the majority was lost: UNKNOWN
            raise AssertionError("acknowledged without a majority")

        three.wait_until(refused, "a write is refused")
        slave.execute_command("READONLY")
        assert slave.get("key") in (b"value", b"lost")
    three.start("node2")
    three.start("node3")
    three.wait_ready()
    assert three.client().get("key") in (b"value", b"lost")
