"""A slave whose log was written by a newer version: one line, exit status 1, nothing lost."""

from collections.abc import Callable

import pytest

from distrodb import LocalCluster
from distrodb.keyspace.entry import encode_batch
from distrodb.raft.library import REGULAR
from distrodb.ring.slots import slot_of
from distrodb.storage.directory import Directory
from distrodb.storage.records import LAST_INDEX, JournalStore, entries, entry, entry_key, read_entry
from tests.faults.conftest import QUICK

GROUP = 0


@pytest.fixture
def alone():
    with LocalCluster(nodes=1, partitions=1, **QUICK) as cluster:
        yield cluster


def with_journal(cluster: LocalCluster, what: Callable[[JournalStore], int]) -> int:
    """Of a slave that does not run."""
    directory = Directory(cluster.directory / "node1")
    try:
        return what(directory.journal)
    finally:
        directory.close()


def add_entry_of_the_future(journal: JournalStore) -> int:
    """Behind all others; its index."""
    *_, (key, value) = journal.scan(entry_key(GROUP, 0), entry_key(GROUP, LAST_INDEX))
    _, last, term = read_entry(GROUP, key, value)
    command = REGULAR + encode_batch(1, [(slot_of(b"key"), [b"FUTURE", b"key"])], 0, (100, 100))
    journal.commit([entry(GROUP, last + 1, term, command)])
    return last + 1


def test_a_slave_that_does_not_know_a_command_of_its_log_names_it_and_stops(alone):
    alone.client().set("key", "value")
    assert alone.stop("node1") == 0
    index = with_journal(alone, add_entry_of_the_future)
    for _ in range(2):
        alone.start("node1")
        alone.wait_until(lambda: "node1" in alone.ended(), "node1 has ended")
        assert alone.ended() == {"node1": 1}
        assert alone.last_words("node1") == (
            f"group {GROUP}: entry {index} of the log holds the command 'FUTURE', which this"
            " version of distrodb does not know; upgrade this slave, its data is kept"
        )
    log = (alone.directory / "node1" / "slave.log").read_text()
    assert "Traceback" not in log and "internal error" not in log

    # As an upgrade would find it: all is there, up to that entry and behind it.
    def cut_off(journal: JournalStore) -> int:
        found = len(list(journal.scan(entry_key(GROUP, index), entry_key(GROUP, LAST_INDEX))))
        journal.commit([entries(GROUP, index, LAST_INDEX)])
        return found

    assert with_journal(alone, cut_off) >= 1
    alone.start("node1")
    alone.wait_ready()
    assert alone.client().get("key") == b"value"
