"""Large values are written beside the commits: on a disk that hangs, or is slow at that alone."""

from distrodb.raft import progress, write_set
from distrodb.raft.log import Log
from distrodb.raft.write_set import LARGE_BYTES, WriteSet
from distrodb.slave.core import Output
from distrodb.storage.records import LAST_INDEX, DeleteRange, entry_key
from tests.library.slaves import Slaves


class HeldLarge(Slaves):
    """Large values of one slave do not get to its disk, as where a sync takes long."""

    held = ""

    def carry_out(self, name: str, output: Output) -> None:
        if name == self.held:
            if output.large:
                self.was_held = True
            output.large = []
        super().carry_out(name, output)


def test_a_leader_whose_disk_hangs_under_a_large_value_hands_its_group_over():
    slaves = HeldLarge("abc", partitions=1).settled()
    leader = slaves.leader(0)
    slaves.run(1.0)
    slaves.held, slaves.was_held = leader, False
    slaves.ask(leader, b"SET", b"a", b"x" * (LARGE_BYTES + 1))
    slaves.run(30.0)
    assert slaves.was_held
    assert slaves[leader].disk.is_slow, "30 s, and the slave has not noticed its disk"
    assert slaves.leader(0) != leader


def test_the_same_where_the_value_is_in_the_commit():
    """As it is for small values, and was for all before."""
    slaves = HeldLarge("abc", partitions=1).settled()
    leader = slaves.leader(0)
    slaves.run(1.0)
    slaves.held_disks.add(leader)
    slaves.ask(leader, b"SET", b"a", b"x")
    slaves.run(30.0)
    assert slaves[leader].disk.is_slow
    assert slaves.leader(0) != leader


def test_the_entries_of_a_follower_that_always_has_a_large_one_under_way_are_deleted():
    """Its leader has a few on their way to it (WINDOW_BYTES); snapshots go on, the log is cut."""
    writes = WriteSet()
    log = Log(3, writes)
    log.begin(["a", "b"])
    log.setCurrentTerm(1, "a")
    sequence, _ = writes.take()
    writes.on_disk(sequence)
    pending, deletions = [], 0

    def arrives() -> None:
        log.add(b"\0" + b"x" * LARGE_BYTES, log.last_index + 1, 1)
        pending.extend(writes.take_large())

    arrives()
    for number in range(200):
        arrives()
        sequence, put = pending.pop(0)
        writes.large_written(sequence, put)
        if number % 8 == 7:
            log.compact(log.last_index - 4, log.last_index - 3, 1)
        sequence, operations = writes.take()
        deletions += sum(isinstance(each, DeleteRange) for each in operations)
        writes.on_disk(sequence)
        log.on_durable()
    assert deletions, f"the log begins at {log.first_index}, and nothing of it was deleted"


class SlowLarge(Slaves):
    """The large values of one slave are on its disk ``late_s`` after they were handed out."""

    slow, late_s = "", 0.0

    def __init__(self, *args, **options):
        self.late = []
        super().__init__(*args, **options)

    def carry_out(self, name: str, output: Output) -> None:
        if name == self.slow:
            self.late += [(self.now + self.late_s, *large) for large in output.large]
            output.large = []
        super().carry_out(name, output)

    def tick(self, *args) -> None:
        super().tick(*args)
        while self.late and self.late[0][0] <= self.now:
            _, sequence, put = self.late.pop(0)
            self.cores[self.slow].large_written(self.now, sequence, put)
            self.flush(self.slow)


def test_a_follower_that_writes_large_values_slowly_deletes_what_its_log_has_cut(monkeypatch):
    """Whole slaves: its leader and the other follower are fast, and clients go on."""
    monkeypatch.setattr(write_set, "LARGE_BYTES", 2000)
    monkeypatch.setattr(progress, "WINDOW_BYTES", 32000)  # as 4 MiB is to 256 KiB
    slaves = SlowLarge("abc", partitions=1, snapshot_log_bytes=65536).settled()
    leader = slaves.leader(0)
    slaves.slow = next(name for name in "abc" if name != leader)
    slaves.late_s = 0.05  # five ticks: five to ten entries are on their way
    commands, most = [], 0

    def on_disk() -> int:
        first, last = entry_key(0, 0), entry_key(0, LAST_INDEX)
        return sum(1 for _ in slaves.disks[slaves.slow].scan(first, last))

    for number in range(1500):
        commands.append(slaves.ask(leader, b"SET", b"k%d" % (number % 4), b"x" * 2100))
        slaves.tick()
        most = max(most, on_disk()) if number % 50 == 0 else most
    log = slaves[slaves.slow].groups[0].log
    held, in_log = on_disk(), log.last_index - log.first_index
    assert held < 4 * in_log
