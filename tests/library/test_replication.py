"""How entries reach followers: acknowledgements, truncation, what is counted, what is committed."""

import os

import pytest

from distrodb.raft import messages as m
from distrodb.raft import progress, replication
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


# Acks carry no term: an ack of an earlier leadership counts for a later one.


def an_ack_of_an_earlier_term_arrives_late(cluster):
    """Returns the outcome of a write that two of five members have."""
    cluster.lead("a")
    for value in ("x", "y", "z"):
        cluster.write("a", value)
    cluster.deliver("a", "b")  # its ack stays under way
    for other in "cde":
        cluster.lose("a", other)
    cluster.elect("c", "d", "e")
    cluster.deliver("c", "a")
    cluster.deliver("c", "b")
    cluster.tick("c")
    cluster.lose("c", "d")
    cluster.lose("c", "e")
    cluster.elect("a", "d", "e")
    cluster.settle("a", "d")
    outcome = cluster.write("a", "w")
    cluster.settle("a", "d")
    cluster.deliver("b", "a")
    cluster.tick("a")
    return outcome


def test_plain_an_ack_of_an_earlier_term_commits_an_entry_on_two_of_five():
    outcome = an_ack_of_an_earlier_term_arrives_late(cluster := plain.Cluster("abcde"))
    assert outcome.is_ok
    assert b"w" not in b"".join(entry[0] for name in "bce" for entry in cluster[name].log)


def test_ours_an_ack_of_an_earlier_term_is_dropped():
    outcome = an_ack_of_an_earlier_term_arrives_late(ours.Cluster("abcde"))
    assert outcome.reason is None


# Large entries travel in chunks that are cut by the length of the command, while what is cut is
# the longer pickled entry: the follower unpickles what is not complete.


def test_plain_a_chunked_entry_is_unpickled_before_it_is_complete():
    cluster = plain.Cluster(appendEntriesBatchSizeBytes=1000).lead("a")
    around = len(plain.syncobj.pickle.dumps((0, ("",)))) + 1
    cluster.write("a", "v" * (2000 - around))
    assert [m["transmission"] for m in cluster.links["a", "b"]] == ["start", "finish", "finish"]
    cluster.deliver("a", "b", 1)
    with pytest.raises(EOFError):
        cluster.deliver("a", "b", 1)


def test_plain_bytes_above_0x7f_are_sent_doubled():
    cluster = plain.Cluster(appendEntriesBatchSizeBytes=1000).lead("a")
    cluster.write("a", b"\xff" * 10_000)
    assert sum(len(m["data"]) for m in cluster.links["a", "b"]) > 4 * 10_000  # pickled twice


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_ours_a_large_entry_is_one_message(factor, monkeypatch):
    monkeypatch.setattr(replication, "APPEND_BYTES_MAX", 1000)
    cluster = ours.Cluster().lead("a")
    outcome = cluster.write("a", "v" * (factor * 1000 - 15))
    assert len(cluster.links["a", "b"]) == 1
    cluster.settle()
    assert outcome.is_ok and [len(cluster[n].values[-1]) for n in "abc"] == [factor * 1000 - 15] * 3


# A follower that lags is sent everything at once, whether it answers or not.


def fifty_writes_behind(cluster):
    cluster.lead("a")
    cluster.cut("b")
    cluster.settle("a", "c")
    for n in range(50):
        cluster.write("a", f"value{n}")
    cluster.settle("a", "c")
    cluster.join("b")
    cluster.tick("a")
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    cluster.tick("a")
    return cluster


def test_plain_a_follower_that_lags_is_sent_an_unbounded_burst():
    cluster = fifty_writes_behind(plain.Cluster(appendEntriesBatchSizeBytes=50))
    assert len(cluster.links["a", "b"]) >= 25


def test_ours_what_is_under_way_to_a_follower_is_bounded(monkeypatch):
    monkeypatch.setattr(replication, "APPEND_BYTES_MAX", 1)  # an entry an append
    cluster = fifty_writes_behind(ours.Cluster())
    with_entries = [message for message in cluster.links["a", "b"] if message[7]]
    assert len(with_entries) <= progress.WINDOW_APPENDS


def test_ours_a_full_window_sends_nothing_more(monkeypatch):
    """They do not multiply any more, yet each ack that makes room sends an entry and then an empty
    append: twice the messages, and twice the acks, while a follower catches up."""
    monkeypatch.setattr(replication, "APPEND_BYTES_MAX", 1)
    cluster = fifty_writes_behind(ours.Cluster())
    heartbeats = [message for message in cluster.links["a", "b"] if not message[7]]
    assert len(heartbeats) <= 3  # of the ticks


# New: a divergent tail is walked back one entry a round trip.


def a_tail_of_thirty_uncommitted_entries(cluster):
    """Returns how often the follower refused until its log matched."""
    cluster.lead("a")
    cluster.cut("b")
    cluster.settle("a", "c")
    cluster.cut("c")
    for n in range(30):
        cluster.write("a", f"lost{n}")
    cluster.cut("a")
    cluster.join("b", "c")
    cluster.elect("b", "c")
    cluster.settle("b", "c")
    for n in range(30):
        cluster.write("b", f"value{n}")
    cluster.settle("b", "c")
    cluster.elect("c", "b")
    cluster.settle("b", "c")
    cluster.join("a")
    first = len(cluster.history)
    cluster.run(10.0, "a", "b", "c")
    assert cluster["a"].values == cluster["c"].values
    answers = [message for sender, _, message in cluster.history[first:] if sender == "a"]
    if isinstance(cluster, ours.Cluster):
        return sum(message[1] == m.ACK and not message[3] for message in answers)
    return sum(m["type"] == "next_node_idx" and not m["success"] for m in answers)


def test_plain_a_divergent_tail_is_walked_back_entry_by_entry():
    assert a_tail_of_thirty_uncommitted_entries(plain.Cluster()) >= 30


def test_ours_a_divergent_tail_is_skipped_a_term_at_a_time():
    assert a_tail_of_thirty_uncommitted_entries(ours.Cluster()) <= 3


# By design: appendEntriesUseBatch=False opens a pipe for each member object.


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_plain_unbatched_appends_cost_a_pipe_a_group():
    before = open_files()
    cluster = plain.Cluster("a", appendEntriesUseBatch=False)
    assert open_files() == before + 2 and cluster["a"]


def test_ours_a_group_costs_no_file():
    before = open_files()
    cluster = ours.Cluster("abc").lead("a")
    assert open_files() == before and cluster["a"]


# New: on a link what is small overtakes what is large, so a heartbeat comes before the entries that
# were sent before it.


def a_heartbeat_that_overtakes_an_entry(cluster):
    cluster.lead("a")
    cluster.write("a", "large")
    cluster.pass_time(0.2)
    cluster.tick("a")
    link = cluster.links["a", "b"]
    entry, heartbeat = link
    assert entry[7] and not heartbeat[7]
    link.reverse()
    cluster.settle()


def test_ours_a_heartbeat_that_overtakes_an_entry_is_not_refused():
    a_heartbeat_that_overtakes_an_entry(cluster := ours.Cluster())
    assert times_sent(cluster, "large") == 1
    refusals = [m_ for _, to, m_ in cluster.history if m_[1] == m.ACK and not m_[3]]
    assert not refusals
    assert cluster["b"].values == ["large"]


def replace(link, messages):
    link.clear()
    link.extend(messages)


def test_ours_a_heartbeat_that_overtakes_entries_tells_no_commit_that_it_does_not_verify():
    """Else the leader would take the follower for one that knows it, and it would not."""
    cluster = ours.Cluster().lead("a")
    cluster.write("a", "large")
    kept = list(cluster.links["a", "b"])
    cluster.links["a", "b"].clear()
    cluster.settle("a", "c")  # committed without b
    cluster.pass_time(0.2)
    cluster.tick("a")
    heartbeats = [each for each in cluster.links["a", "b"] if not each[7]]
    assert heartbeats and all(each[3] < cluster["a"].last_index for each in heartbeats)
    replace(cluster.links["a", "b"], heartbeats)
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    assert cluster["b"].commit_index < cluster["a"].commit_index
    replace(cluster.links["a", "b"], kept)
    for _ in range(3):
        cluster.settle()
        cluster.pass_time(0.2)
        cluster.tick("a")
    cluster.settle()
    assert cluster["b"].commit_index == cluster["a"].commit_index
    assert cluster["b"].values == ["large"]
