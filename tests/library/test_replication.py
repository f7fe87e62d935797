"""How entries reach followers: acknowledgements, truncation, what is counted, what is committed."""

import pytest

from distrodb.raft import messages as m
from distrodb.raft import replication
from tests.library import ours, plain
from tests.library.links import Links


def appends(cluster: Links, receiver: str = "b") -> list[list[bytes]]:
    """The entries of each append that was ever sent to a member, heartbeats included."""
    if isinstance(cluster, ours.Cluster):
        sent = [message for _, to, message in cluster.history if to == receiver]
        return [[c for _, c in message[7]] for message in sent if message[1] == m.APPEND]
    sent = [message for _, to, message in cluster.history if to == receiver]
    return [
        [entry[0] for entry in message.get("entries", ())]
        for message in sent
        if message["type"] == "append_entries"
    ]


def times_sent(cluster: Links, value: str) -> int:
    return sum(value.encode() in entry for entries in appends(cluster) for entry in entries)


# An ack moves the next index back: what is under way is sent again.


def two_under_way_one_acknowledged(cluster):
    cluster.lead("a")
    cluster.write("a", "first")
    cluster.write("a", "second")
    cluster.deliver("a", "b", 1)
    cluster.deliver("b", "a")
    cluster.tick("a")


def test_plain_an_ack_moves_the_next_index_back():
    two_under_way_one_acknowledged(cluster := plain.Cluster())
    assert times_sent(cluster, "second") == 2


def test_ours_an_ack_moves_no_index_back():
    two_under_way_one_acknowledged(cluster := ours.Cluster())
    assert times_sent(cluster, "second") == 1


# Followers truncate matching entries.


def a_repeated_append(cluster):
    cluster.lead("a")
    cluster.write("a", "first")
    cluster.write("a", "second")
    first = cluster.links["a", "b"][0]
    cluster.deliver("a", "b")
    cluster.hand_over("a", "b", first)
    return cluster["b"].last_index, cluster["a"].last_index


def test_plain_followers_truncate_matching_entries():
    follower, leader = a_repeated_append(plain.Cluster())
    assert follower == leader - 1


def test_ours_followers_keep_matching_entries():
    follower, leader = a_repeated_append(ours.Cluster())
    assert follower == leader


# … and so an acknowledged write vanishes on links that lose nothing and keep the order: a member
# comes back to a backlog of several appends, another one drops out, and the leader dies.


def a_backlog_is_acknowledged_then_the_leader_dies(cluster):
    cluster.lead("a")
    cluster.cut("b")
    cluster.settle("a", "c")
    backlog = [cluster.write("a", f"value{n}") for n in range(6)]
    cluster.cut("c")
    cluster.join("b")
    cluster.tick("a")
    cluster.deliver("a", "b", 1)
    cluster.deliver("b", "a")  # b lacks all of it, or has the first part
    cluster.tick("a")
    cluster.deliver("a", "b", 1)
    cluster.deliver("b", "a")
    cluster.tick("a")
    while not all(outcome.is_ok for outcome in backlog):
        cluster.deliver("a", "b", 1)
        if not cluster.under_way("a", "b"):
            cluster.tick("a", after_s=0.0)
        cluster.deliver("b", "a")
        cluster.tick("a", after_s=0.0)
    cluster.deliver("a", "b", 1)  # what was sent again is on its way
    cluster.cut("a")
    cluster.join("b", "c")
    cluster.elect("b", "c")
    cluster.settle("b", "c")
    return [cluster["b"].values.count(f"value{n}") for n in range(6)]


def test_plain_acknowledged_writes_vanish_on_fifo_links():
    size = len(plain.syncobj.pickle.dumps((0, ("value0",)))) + 1
    cluster = plain.Cluster(appendEntriesBatchSizeBytes=size + 1)  # two entries an append
    assert a_backlog_is_acknowledged_then_the_leader_dies(cluster) == [1, 1, 1, 1, 0, 0]


def test_ours_acknowledged_writes_stay(monkeypatch):
    monkeypatch.setattr(replication, "APPEND_BYTES_MAX", 80)  # two entries an append
    assert a_backlog_is_acknowledged_then_the_leader_dies(ours.Cluster()) == [1] * 6
