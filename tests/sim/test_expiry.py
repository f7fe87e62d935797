"""Stories of keys that expire: whoever leads, whatever its clock says, all replicas agree."""

import pytest

from distrodb.keyspace.entry import decode_batch
from distrodb.keyspace.store import Store
from distrodb.raft import proposals
from distrodb.resp.reply import ErrorReply, Reply
from distrodb.ring.slots import slot_of
from distrodb.slave.doctor.conditions import _clocks
from distrodb.slave.doctor.facts import Facts
from tests.sim.simulation import Simulation

DAY_MS = 86_400_000
KEY = "{a}key"  # all keys of these stories are of one slot


def born(seed: int, **options: int) -> Simulation:
    cluster = Simulation(seed, partitions=1, **options)
    cluster.run_until(cluster.is_whole)
    return cluster


def machines(cluster: Simulation) -> list[Store]:
    return [slave.core.groups[0].machine for slave in cluster.slaves.values() if slave.core]


def last_index(cluster: Simulation) -> int:
    return max(slave.core.groups[0].log.last_index for slave in cluster.slaves.values())


def restart(cluster: Simulation, node: str, off_ms: int) -> None:
    """Its clock is so far from the others' when it starts: it has no other to know better."""
    cluster.crash(node)
    cluster.slaves[node].wall_jump_ms = off_ms
    cluster.start(node)
    cluster.run_until(cluster.is_whole)


def test_a_key_goes_everywhere_though_nobody_asks():
    cluster = born(1)
    cluster.ask("SET", KEY, "1")
    cluster.ask("HSET", "{a}hash", "field", "1")
    cluster.ask("SET", "{a}stays", "1")
    for key in (KEY, "{a}hash"):
        assert cluster.ask("PEXPIRE", key, "500") == 1
    cluster.run(0.3)
    assert [store.key_count() for store in machines(cluster)] == [3, 3, 3]
    cluster.run(0.7)
    assert [store.key_count() for store in machines(cluster)] == [1, 1, 1]
    cluster.checks.all_digests()
    before = last_index(cluster)
    cluster.run(20.0)
    assert last_index(cluster) == before  # where nothing expires nothing is written


def test_fields_go_everywhere_though_nobody_asks():
    cluster = born(7)
    cluster.ask("HSET", "{a}hash", "f", "1", "g", "2")
    cluster.ask("HSET", "{a}other", "f", "1")
    assert cluster.ask("HPEXPIRE", "{a}hash", "500", "FIELDS", "1", "f") == [1]
    assert cluster.ask("HPEXPIRE", "{a}other", "500", "FIELDS", "1", "f") == [1]
    cluster.run(0.3)
    assert [store.key_count() for store in machines(cluster)] == [2, 2, 2]
    cluster.run(0.7)
    assert [store.key_count() for store in machines(cluster)] == [1, 1, 1]
    assert cluster.ask("HGETALL", "{a}hash") == [b"g", b"2"]
    cluster.checks.all_digests()
    before = last_index(cluster)
    cluster.run(20.0)
    assert last_index(cluster) == before


def test_a_field_that_was_seen_expired_never_comes_back():
    """As a key: the leader's clock is ahead, somebody sees the field gone, the leader dies."""
    cluster = born(5)
    leader = cluster.leader(KEY)
    for node in cluster.slaves:
        if node != leader:
            restart(cluster, node, -3_600_000)
    cluster.run_until(lambda: cluster.leader(KEY) is not None)
    leader = cluster.leader(KEY)
    machine = cluster.slaves[leader].core.groups[0].machine
    cluster.ask("HSET", KEY, "before", "1", "f", "1", "stays", "1")
    cluster.ask("HPEXPIRE", KEY, "1000", "FIELDS", "1", "before")
    cluster.ask("HPEXPIRE", KEY, "1040", "FIELDS", "1", "f")
    args = [b"HLEN", KEY.encode()]
    place = slot_of(KEY.encode())
    cluster.at_once(lambda: machine.execute(place, args, machine.now_ms) == 2)
    replies: list[Reply] = []

    def ask() -> None:
        if not replies:
            cluster.submit(leader, "HGET", KEY, "f", done=note)

    def note(reply: Reply) -> None:
        if reply is None:
            replies.append(reply)
        else:
            cluster.at(0.001, ask)

    ask()
    cluster.at_once(lambda: bool(replies))
    cluster.crash(leader)
    cluster.run_until(lambda: cluster.leader(KEY) is not None)
    assert cluster.ask("HGET", KEY, "f") is None, "it is there again"
    assert cluster.ask("HGETALL", KEY) == [b"stays", b"1"]


def test_an_idle_group_reads_at_the_leaders_time():
    cluster = born(2)
    cluster.ask("SET", KEY, "1")
    cluster.ask("PEXPIRE", KEY, "60000")
    first = cluster.ask("PTTL", KEY)
    began, before = cluster.now, last_index(cluster)
    cluster.run(5.0)
    second = cluster.ask("PTTL", KEY)
    passed_ms = (cluster.now - began) * 1000
    assert abs(first - second - passed_ms) < 200 and last_index(cluster) == before


@pytest.mark.parametrize("leap_ms", [DAY_MS, -DAY_MS, 3_600_000])
def test_a_clock_that_leaps_ends_no_key_early_and_keeps_none(leap_ms):
    cluster = born(3)
    cluster.ask("SET", KEY, "1")
    cluster.ask("PEXPIRE", KEY, "10000")
    cluster.slaves[cluster.leader(KEY)].wall_jump_ms += leap_ms
    cluster.run(8.8)
    assert cluster.ask("GET", KEY) == b"1"
    cluster.run(2.5)
    assert cluster.ask("GET", KEY) is None
    assert not any(store.key_count() for store in machines(cluster))


@pytest.mark.parametrize("off_ms", [-3_600_000, -300])
def test_a_new_leader_whose_clock_is_behind_lets_time_go_on(off_ms):
    cluster = born(4)
    leader = cluster.leader(KEY)
    for node in cluster.slaves:
        if node != leader:
            restart(cluster, node, off_ms)
    cluster.ask("SET", KEY, "1")
    cluster.ask("PEXPIRE", KEY, "3000")
    cluster.crash(cluster.leader(KEY))
    began = cluster.now
    cluster.run_until(lambda: cluster.leader(KEY) is not None)
    assert cluster.ask("GET", KEY) == b"1"
    cluster.run_until(lambda: cluster.ask("GET", KEY) is None, 6.0)
    assert cluster.now - began > 2.5


def test_a_key_that_was_seen_expired_never_comes_back(seed: int = 5):
    """The leader's clock is ahead.  A key expires by it, somebody sees that, and the leader dies in
    that moment; the next one's clock is behind.  (Another key went just before, so no entry is due
    that would have removed this one by itself.)"""
    cluster = born(seed)
    leader = cluster.leader(KEY)
    for node in cluster.slaves:
        if node != leader:
            restart(cluster, node, -3_600_000)
    cluster.run_until(lambda: cluster.leader(KEY) is not None)
    leader = cluster.leader(KEY)
    group = cluster.slaves[leader].core.groups[0]
    cluster.ask("MSET", "{a}before", "1", KEY, "1")
    cluster.ask("PEXPIRE", "{a}before", "1000")
    cluster.ask("PEXPIRE", KEY, "1040")
    cluster.at_once(lambda: group.machine.key_count() == 1)
    replies: list[Reply] = []

    def ask() -> None:
        if not replies:
            cluster.submit(leader, "GET", KEY, done=note)

    def note(reply: Reply) -> None:
        if reply is None:
            replies.append(reply)
        else:
            cluster.at(0.001, ask)

    ask()
    cluster.at_once(lambda: bool(replies))
    cluster.crash(leader)
    cluster.run_until(lambda: cluster.leader(KEY) is not None)
    assert cluster.ask("GET", KEY) is None, "it is there again"


def test_many_keys_that_expire_together_go_a_bounded_number_at_a_time(monkeypatch):
    monkeypatch.setattr(proposals, "EXPIRE_MAX", 16)
    cluster = born(6)
    for first in range(0, 200, 20):
        words = [word for n in range(first, first + 20) for word in (f"{{a}}{n}", "1")]
        cluster.ask("MSET", *words)
    machine = machines(cluster)[0]
    expires_at = machine.now_ms + 20_000
    for n in range(200):
        cluster.ask("PEXPIREAT", f"{{a}}{n}", str(expires_at))
    slave = cluster.slaves[cluster.leader(KEY)]
    begin = last_index(cluster)
    assert slave.core.groups[0].machine.key_count() == 200
    cluster.run_until(lambda: slave.core.groups[0].machine.key_count() < 200)
    assert cluster.ask("INCR", "{a}count") == 1
    began = cluster.now
    cluster.run_until(lambda: [store.key_count() for store in machines(cluster)] == [1, 1, 1])
    assert cluster.now - began < 2.0
    log = slave.core.groups[0].log
    entries = log.between(begin + 1, log.last_index)
    batches = [decode_batch(command[1:]) for command, _, _ in entries]
    assert all(batch.expire_max <= 16 for batch in batches) and len(batches) >= 200 // 16
    cluster.checks.all_digests()


# Where in the copy a write falls differs.
@pytest.mark.parametrize("seed", range(4))
def test_a_member_that_gets_a_snapshot_meanwhile_agrees(seed: int, monkeypatch):
    """Hashes are written and keys expire while the state is copied, field by field."""
    monkeypatch.setattr("distrodb.keyspace.snapshot.CHUNK_BYTES", 64)
    cluster = born(seed, snapshot_log_bytes=4096)
    for n in range(20):
        for number in range(10):
            cluster.ask("HSET", f"{{a}}hash{number}", f"field{n}", "x" * 30)
    for number in range(10):
        cluster.ask("PEXPIRE", f"{{a}}hash{number}", str(200 * number + 100))
    victim = next(node for node in cluster.slaves if node != cluster.leader(KEY))
    cluster.wipe(victim)
    cluster.start(victim)
    asked = 0
    while not cluster.is_whole() or asked < 100:
        reply = cluster.ask("HSET", f"{{a}}hash{asked % 10}", f"field{asked % 20}", str(asked))
        assert not isinstance(reply, ErrorReply)
        cluster.checks.all_digests()
        asked += 1
        assert asked < 5000
    cluster.run(1.0)
    cluster.checks.all_digests()
    group = cluster.slaves[victim].core.groups[0]
    assert group.log.meta.snapshot_index > 1
    place, args = slot_of(KEY.encode()), [b"HLEN", b"{a}hash1"]
    (fields,) = {store.execute(place, args, store.now_ms) for store in machines(cluster)}
    assert fields > 0


@pytest.mark.parametrize("off_ms", [180_000, -180_000])
def test_the_doctor_names_the_clock_that_is_minutes_apart_whoever_is_asked(off_ms):
    cluster = born(6)
    odd = next(iter(cluster.slaves))
    restart(cluster, odd, off_ms)
    cluster.run(3.0)
    for slave in cluster.slaves.values():
        facts = Facts({"asked": {"node": slave.core.id}}, 0.0, {}, slave.core.clocks.skews_ms())
        assert [finding.about for finding in _clocks(facts)] == [odd]
