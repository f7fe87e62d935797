"""Snapshots: older ones, damaged ones, ones with a hole, and what a snapshot's message commits."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace

import pytest

from distrodb.errors import CorruptionError
from distrodb.raft import messages as m
from distrodb.raft.interfaces import SnapshotWrite
from distrodb.storage.snapshot_files import SnapshotFiles
from tests.library import ours, plain
from tests.library.links import PERIOD_S


def compacted_while_one_is_away(cluster, away="b", other="c"):
    """Five values that the member which is away can only get as a snapshot."""
    cluster.lead("a")
    cluster.cut(away)
    for n in range(5):
        cluster.write("a", f"value{n}")
    cluster.settle("a", other)
    cluster.compact("a")


def snapshot_messages(cluster, receiver="b"):
    def is_one(message):
        if isinstance(message, dict):
            return "serialized" in message
        return message[1] == m.SNAPSHOT

    return [message for _, to, message in cluster.history if to == receiver and is_one(message)]


# A snapshot that is not newer is installed, and the journal cleared.


def an_old_snapshot_arrives_again(cluster):
    compacted_while_one_is_away(cluster)
    cluster.join("b")
    cluster.run(2.0, "a", "b", "c")
    outcome = cluster.write("a", "later")
    cluster.settle()
    assert outcome.is_ok and cluster["b"].values[-1] == "later"
    for message in snapshot_messages(cluster):
        cluster.hand_over("a", "b", message)
    return cluster["b"]


def test_plain_a_snapshot_that_is_not_newer_takes_the_state_back():
    member = an_old_snapshot_arrives_again(plain.Cluster())
    assert "later" not in member.values and b"later" not in b"".join(e[0] for e in member.log)


def test_ours_a_snapshot_that_is_not_newer_is_refused():
    member = an_old_snapshot_arrives_again(ours.Cluster())
    assert member.values[-1] == "later" and b"later" in member.log[-1][0]


def test_ours_a_snapshot_keeps_the_tail_that_matches():
    cluster = ours.Cluster().lead("a")
    for n in range(5):
        cluster.write("a", f"value{n}")
    cluster.deliver("a", "b")
    member, applied = cluster["b"], cluster["b"].applied_index
    configuration = replace(member.journal.configuration, index=applied + 2)
    assert member.member.install(cluster.now, member.term, configuration)
    assert member.last_index == applied + 5 and member.applied_index == applied + 2


# A damaged snapshot is swallowed: the member serves, and leads with, an empty state.


def test_plain_a_damaged_snapshot_is_an_empty_state(tmp_path):
    cluster = plain.Cluster("a", files=tmp_path)
    cluster.stand("a")
    for n in range(5):
        cluster.write("a", n)
    cluster.settle()
    cluster.compact("a")
    cluster.stop("a")
    damaged = bytearray((tmp_path / "a.dump").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "a.dump").write_bytes(damaged)
    cluster.start("a")
    cluster.stand("a")
    cluster.settle()
    assert cluster["a"].leads and cluster["a"].values == []


@pytest.mark.parametrize("position", [3, 25, 29, -9, -1])
def test_ours_a_damaged_snapshot_is_refused(tmp_path, position):
    files = SnapshotFiles(tmp_path)
    files.write(7, 9, ours.ListMachine([b"one", b"two"]).snapshot())
    (file,) = tmp_path.glob("*.snapshot")
    damaged = bytearray(file.read_bytes())
    damaged[position] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(CorruptionError):
        list(files.read(7, 9))


def test_ours_a_member_does_not_start_without_its_snapshot():
    cluster = ours.Cluster()
    compacted_while_one_is_away(cluster)
    cluster["a"].disk.files.clear()
    with pytest.raises(CorruptionError, match="cannot read"):
        cluster.start("a")


# New: a snapshot's message commits what nobody has verified.  It carries the commit index, and the
# handler commits up to there whatever the member has, while the snapshot is not even complete.


def the_first_chunk_arrives(cluster):
    """b was a leader and has an entry that nobody else got; the others went on without it."""
    cluster.lead("b")
    cluster.cut("b")
    outcome = cluster.write("b", "on b alone")
    cluster.elect("a", "c")
    cluster.settle("a", "c")
    for n in range(5):
        cluster.write("a", f"value{n}")
    cluster.settle("a", "c")
    cluster.compact("a")
    cluster.join("b")
    chunks = 0
    while not chunks:
        if not cluster.links["a", "b"]:
            cluster.tick("a")
        chunks = len(snapshot_messages(cluster)) and cluster.links["a", "b"][0] in (
            snapshot_messages(cluster)
        )
        cluster.deliver("a", "b", 1)
        cluster.deliver("b", "a")
    cluster.tick("b")
    return outcome, cluster.counts_of("on b alone")


def test_plain_the_first_chunk_of_a_snapshot_commits_an_unverified_tail():
    cluster = plain.Cluster(logCompactionBatchSize=10)
    outcome, counts = the_first_chunk_arrives(cluster)
    assert outcome.is_ok and counts == [0, 1, 0]  # acknowledged, and on one of three


def test_ours_the_first_chunk_of_a_snapshot_commits_nothing():
    outcome, counts = the_first_chunk_arrives(ours.Cluster())
    assert not outcome.is_ok and counts == [0, 0, 0]


# New: chunks carry no number.  A link that breaks and is back between two rounds of sending leaves
# a hole; what was put together cannot be read, which is swallowed, and then acknowledged as if the
# member's own log, unverified, were the leader's.


def a_link_breaks_in_the_middle_of_a_snapshot(cluster):
    compacted_while_one_is_away(cluster)
    cluster.join("b")
    for _ in range(10):
        if len([m for m in cluster.links["a", "b"] if m in snapshot_messages(cluster)]) > 1:
            break
        cluster.deliver("a", "b")
        cluster.deliver("b", "a")
        cluster.tick("a")
    cluster.deliver("a", "b", 1)
    cluster.cut("b", "a")  # the rest of this round is lost
    cluster.join("b", "a")
    cluster.run(30.0, "a", "b")
    return cluster


def test_plain_a_snapshot_with_a_hole_is_put_together(caplog):
    cluster = plain.Cluster(logCompactionBatchSize=20)
    cluster.sending_takes_s = PERIOD_S / 3  # so that a snapshot takes several rounds
    a_link_breaks_in_the_middle_of_a_snapshot(cluster)
    assert "failed to load full dump" in caplog.text


def test_ours_a_snapshot_with_a_hole_is_sent_anew():
    cluster = a_link_breaks_in_the_middle_of_a_snapshot(ours.Cluster())
    assert cluster["b"].values == [f"value{n}" for n in range(5)]


def test_plain_a_member_that_could_not_read_a_snapshot_acknowledges_its_own_tail():
    """So the leader counts it for entries that it does not have."""
    cluster = plain.Cluster("abcde").lead("b")
    cluster.cut("b")
    for n in range(5):
        cluster.write("b", f"on b alone {n}")
    cluster.elect("a", "c", "d", "e")
    cluster.settle("a", "c", "d", "e")
    last = cluster["b"].last_index
    damaged = {
        "type": "append_entries",
        "term": cluster["a"].term,
        "commit_index": 1,
        "serialized": (b"damaged", True, True),
    }
    cluster.join("b")
    cluster.hand_over("a", "b", damaged)
    cluster.deliver("b", "a")
    assert cluster["a"].match_index("b") == last == cluster["a"].last_index + 4


def test_ours_a_damaged_snapshot_is_neither_installed_nor_acknowledged():
    cluster = ours.Cluster().lead("a")
    member = cluster["b"]
    where = [99, 1, [1, ["a", "b", "c"]]]
    message = [ours.GROUP, m.SNAPSHOT, cluster["a"].term, 1, 0, *where, b"not a list", True]
    cluster.hand_over("a", "b", message)
    assert member.last_index < 99 and not cluster.under_way("b", "a", m.ACK)
    outcome = cluster.write("a", "later")
    cluster.settle()
    assert outcome.is_ok and cluster.start("b").values == [] and cluster["b"].last_index < 99


class Spoiling(ours.Cluster):
    """The first so many snapshots arrive damaged."""

    def __init__(self, damaged: int):
        super().__init__()
        self.damaged, self.transfers, self.began_at = damaged, set(), []

    def hand_over(self, sender, receiver, message):
        if message[1] == m.SNAPSHOT:
            if message[3] not in self.transfers:
                self.transfers.add(message[3])
                self.began_at.append(self.now)
            if message[4] == 0 and len(self.transfers) <= self.damaged:
                message = [*message[:8], b"no list", *message[9:]]
        super().hand_over(sender, receiver, message)


def test_ours_a_leader_is_told_of_a_damaged_snapshot_and_begins_anew_at_once():
    """Before, it waited ten minutes for the receiver to decode what that had dropped."""
    compacted_while_one_is_away(cluster := Spoiling(damaged=1))
    cluster.join("b")
    cluster.run(1.0, "a", "b", "c")
    assert cluster["b"].values == [f"value{n}" for n in range(5)]
    assert len(cluster.transfers) == 2
    assert cluster["b"].warnings == [
        f"group {ours.GROUP}: the snapshot from a is refused: not a list"
    ]
    assert not cluster["a"].warnings


def test_ours_a_snapshot_that_is_always_damaged_does_not_spin():
    compacted_while_one_is_away(cluster := Spoiling(damaged=6))
    cluster.join("b")
    cluster.run(60.0, "a", "b", "c")
    began = [round(at - cluster.began_at[0]) for at in cluster.began_at]
    assert began == [0, 0, 1, 3, 7, 15, 31]
    assert len(cluster["b"].warnings) == 6
    assert cluster["b"].values == [f"value{n}" for n in range(5)]


# Our own transfer of snapshots, where it could fail.


def a_leader_that_sends_a_snapshot_is_replaced(cluster):
    """b lags and gets it slowly; a hands over to c in the meantime, and b catches up from c."""
    compacted_while_one_is_away(cluster)
    cluster.join("b")
    while not snapshot_messages(cluster):
        cluster.tick("a")
        cluster.deliver("a", "b")
        cluster.deliver("b", "a")
    cluster.deliver("a", "c")
    cluster.elect("c", "a")
    cluster.deliver("c", "a")
    assert cluster["c"].leads and cluster["a"].member.leader == "c"


def test_ours_a_member_that_leads_no_more_sends_no_snapshot():
    """It sends it in the new leader's term, so that its receiver takes it for the leader."""
    a_leader_that_sends_a_snapshot_is_replaced(cluster := ours.Cluster())
    cluster.run(10.0, "a", "c")
    senders = {
        (sender, message[2])
        for sender, to, message in cluster.history
        if to == "b" and message[1] == m.SNAPSHOT
    }
    assert ("a", cluster["c"].term) not in senders


def test_ours_a_member_is_elected_by_one_that_was_sending_it_a_snapshot():
    a_leader_that_sends_a_snapshot_is_replaced(cluster := ours.Cluster())
    cluster.lose("a", "b")
    cluster.run(1.0, "b", "c")
    assert cluster["b"].values == cluster["c"].values  # it has caught up
    cluster.tick("a")
    cluster.lose("a", "b")
    cluster.elect("b", "a")


def test_ours_a_leader_meets_no_snapshot_of_its_own_term():
    a_leader_that_sends_a_snapshot_is_replaced(cluster := ours.Cluster())
    cluster.lose("a", "b")
    cluster.run(1.0, "b", "c")
    cluster.elect("b", "c")
    cluster.run(10.0, "a", "b", "c")
    assert cluster["b"].leads


def test_ours_a_snapshot_survives_the_loss_of_another_link():
    """It costs the whole transfer: the sender notices after twice the longest election timeout."""
    compacted_while_one_is_away(cluster := ours.Cluster())
    cluster.join("b")
    while len(cluster.under_way("a", "b", m.SNAPSHOT)) < 3:
        cluster.tick("a")
        cluster.deliver("b", "a")
        cluster.deliver("a", "b", len(cluster.under_way("a", "b", m.APPEND)))
    cluster.deliver("a", "b", 1)
    cluster.cut("b", "c")
    cluster.deliver("a", "b")
    assert cluster["b"].values == [f"value{n}" for n in range(5)]


def test_ours_a_slow_disk_costs_no_second_transfer():
    """The last chunk is not answered before the state is decoded and durable.  What is sent in the
    meantime is dropped; and since the leader keeps its log only for the newest transfer, the member
    may find when it is done that it needs the next snapshot."""
    compacted_while_one_is_away(cluster := ours.Cluster())
    cluster.join("b")
    while not snapshot_messages(cluster):
        cluster.tick("a")
        cluster.deliver("b", "a")
        cluster.deliver("a", "b", len(cluster.under_way("a", "b", m.APPEND)))
    cluster["b"].disk_is_held = True
    cluster.run(10.0, "a", "b", "c")
    cluster["b"].disk_is_held = False
    cluster.run(1.0, "a", "b", "c")
    assert cluster["b"].values == [f"value{n}" for n in range(5)]
    assert len({message[3] for message in snapshot_messages(cluster)}) == 1


# A snapshot is written in another thread, which tells the group nothing but by value.


@pytest.mark.parametrize("damaged", [False, True])
def test_ours_the_thread_that_writes_a_snapshot_changes_nothing_of_the_group(damaged):
    cluster = ours.Cluster().lead("a")
    cluster.write("a", "x")
    cluster.settle()
    member = cluster["a"]
    snapshots, machine = member.group._snapshots, member.group.machine
    parts = [vars(snapshots), vars(machine), vars(member.journal)]
    own = SnapshotWrite(ours.GROUP, member.applied_index, member.term, machine.snapshot())
    chunks = [b"junk"] if damaged else list(machine.snapshot())
    theirs = replace(own, chunks=chunks, restore=ours.ListMachine.restore)
    for write in (own, theirs):
        before = [dict(part) for part in parts]
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(write.run, lambda chunks: list(chunks)).result()
        assert [dict(part) for part in parts] == before
        assert done.write is write
    assert (done.machine is None) == damaged and (done.size == 0) == damaged
    for shared, field in ((own, "index"), (done, "size")):
        with pytest.raises(FrozenInstanceError):
            setattr(shared, field, 0)
