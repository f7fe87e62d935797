"""SIGTERM: a slave gives its leaderships away, answers what it took, and ends with status 0."""

import os
import signal

import redis

from tests.faults.story import progress, writing


def test_a_rolling_restart_costs_no_write(five):
    with writing(five) as writers:
        for node in five.nodes:
            assert five.stop(node) == 0
            progress(five, writers)
            five.start(node)
            five.wait_ready()
    unknown = [failure for writer in writers for failure in writer.failed if "UNKNOWN" in failure]
    assert not unknown, "a hand-over leaves no outcome unknown"


def test_all_end_cleanly_when_all_are_told_at_once(five):
    client = five.client()
    for number in range(50):
        assert client.set(f"key{number}", number)
    for pid in five.pids.values():
        os.kill(pid, signal.SIGTERM)
    assert [five.stop(node) for node in five.nodes] == [0] * 5
    five.start_all()
    five.wait_ready()
    assert [int(five.client().get(f"key{n}")) for n in range(50)] == list(range(50))


def test_the_last_one_standing_ends_too(three):
    three.kill("node1")
    three.kill("node2")
    assert three.stop("node3") == 0


def test_a_slave_that_is_told_while_it_hangs_ends_when_it_resumes(three):
    three.pause("node2")
    with writing(three) as writers:
        progress(three, writers, 5)
        assert three.stop("node2") == 0
        progress(three, writers)


def test_connections_are_closed_not_left_hanging(three):
    with three.connection("node1") as slave:
        assert slave.ping()
        assert three.stop("node1") == 0
        try:
            slave.ping()
        except redis.ConnectionError:
            return
        raise AssertionError("a slave that has ended answers")


def test_a_second_signal_changes_nothing(three):
    """Impatience, at any moment of the shutdown."""
    for node in three.nodes:
        pid = three.pids[node]
        os.kill(pid, signal.SIGTERM)

        def ended(pid=pid, node=node) -> bool:
            os.kill(pid, signal.SIGTERM)
            return node in three.ended()

        three.wait_until(ended, "it has ended")
        assert three.ended()[node] == 0
        three.start(node)
        three.wait_ready()
