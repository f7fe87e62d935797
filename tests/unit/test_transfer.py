"""Snapshots on their way: so many bytes a second for all of them, and who stalls begins anew."""

import pytest

from distrodb.raft.log import Configuration
from distrodb.raft.snapshot_transfer import (
    INSTALL_S_MAX,
    WINDOW,
    Budget,
    SnapshotReceiver,
    SnapshotSender,
)

CHUNK = 1000
PATIENCE_S = 2.0


def sent(budget: Budget, seconds: float, tick_s: float = 0.01, size: int = CHUNK) -> int:
    """Bytes that leave in so much time, if always more of them wait."""
    total, now = 0, 0.0
    while now < seconds:
        now += tick_s
        budget.refill(now)
        while budget.spend(size):
            total += size
    return total


# The budget.


@pytest.mark.parametrize("tick_s", [0.001, 0.01, 0.05])
@pytest.mark.parametrize("size", [1, 1000, 50_000])
def test_it_is_kept_however_it_is_spent(tick_s, size):
    per_s = 100_000
    a_tick, total = per_s * tick_s, sent(Budget(0.0, per_s), 10.0, tick_s, size)
    assert total == pytest.approx(10 * per_s, abs=size + a_tick + 1)


def test_what_is_not_used_is_saved_for_a_tenth_of_a_second():
    budget = Budget(0.0, 100_000)
    budget.refill(3600.0)
    chunks = 0
    while budget.spend(CHUNK):
        chunks += 1
    assert chunks == 10


def test_a_tiny_one_still_lets_a_chunk_through_and_is_owed_for_it():
    budget = Budget(0.0, 1)
    budget.refill(0.5)
    assert budget.spend(CHUNK) and not budget.spend(1)
    budget.refill(0.5 + CHUNK - 1)
    assert not budget.spend(1)
    budget.refill(0.5 + CHUNK + 1)
    assert budget.spend(1)


def test_a_slow_loop_does_not_lend_what_is_owed():
    """Ticks that come late bring no more than a tenth of a second's bytes."""
    budget = Budget(0.0, 100_000)
    assert sent(budget, 10.0, tick_s=1.0) <= 10 * (100_000 / 10 + CHUNK)


def test_without_a_limit_it_never_says_no():
    budget = Budget(5.0, float("inf"))
    budget.refill(5.0)
    budget.refill(6.0)
    assert all(budget.spend(1 << 30) for _ in range(100))


# The sender.


def sender(chunks: int, now: float = 0.0) -> SnapshotSender:
    configuration = Configuration(9, 1, ("a",))
    return SnapshotSender(now, configuration, 3, iter([b"x" * CHUNK] * chunks), chunks * CHUNK)


def always(size: int) -> bool:
    return True


def never(size: int) -> bool:
    return False


def test_so_many_chunks_are_under_way_and_no_more():
    snapshot = sender(WINDOW + 5)
    assert len(list(snapshot.due(always))) == WINDOW and not list(snapshot.due(always))
    snapshot.on_ack(0.0, snapshot.transfer, 3)
    assert len(list(snapshot.due(always))) == 3


def test_a_chunk_that_the_budget_keeps_back_is_sent_later():
    snapshot = sender(3)
    allowed = iter([True, False, True, True])
    first = list(snapshot.due(lambda size: next(allowed)))
    second = list(snapshot.due(lambda size: next(allowed)))
    assert [fields[1] for fields in first + second] == [0, 1, 2]
    assert [fields[-1] for fields in first + second] == [False, False, True]


def test_one_that_hears_nothing_has_stalled():
    snapshot = sender(3)
    list(snapshot.due(always))
    assert not snapshot.is_stalled(PATIENCE_S, PATIENCE_S)
    assert snapshot.is_stalled(PATIENCE_S + 0.1, PATIENCE_S)


def test_one_that_waits_for_the_budget_has_not():
    snapshot = sender(3)
    for second in range(100):
        assert not list(snapshot.due(never))
        assert not snapshot.is_stalled(float(second), PATIENCE_S)
    list(snapshot.due(always))
    assert not snapshot.is_stalled(99.0 + PATIENCE_S, PATIENCE_S)


def test_one_whose_receiver_has_it_all_waits_for_its_disk():
    snapshot = sender(3)
    list(snapshot.due(always))
    snapshot.on_ack(1.0, snapshot.transfer, 3)
    assert not snapshot.is_stalled(INSTALL_S_MAX, PATIENCE_S)
    assert snapshot.is_stalled(INSTALL_S_MAX + 2.0, PATIENCE_S)


def test_one_whose_receiver_cannot_read_it_begins_anew_after_pauses_that_double():
    pauses, snapshot = [], None
    for refusals in range(12):
        configuration = Configuration(9, 1, ("a",))
        snapshot = SnapshotSender(0.0, configuration, 3, iter([b"x"] * 3), 3, snapshot)
        assert snapshot.transfer == refusals  # another one, though no time has passed
        list(snapshot.due(always))
        snapshot.on_ack(1.0, snapshot.transfer, 0)  # it has not got all of it yet: not from there
        snapshot.on_ack(1.0, snapshot.transfer, 3)
        assert not snapshot.is_stalled(1.0, PATIENCE_S)
        snapshot.on_ack(2.0, snapshot.transfer + 1, 0)  # of another transfer
        assert not snapshot.is_stalled(2.0, PATIENCE_S)
        snapshot.on_ack(3.0, snapshot.transfer, 0)
        snapshot.on_ack(3.0, snapshot.transfer, 0)  # a duplicate
        assert snapshot.refusals == refusals + 1
        pause_s = next(s for s in range(2000) if snapshot.is_stalled(3.0 + s, PATIENCE_S))
        pauses.append(pause_s)
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, INSTALL_S_MAX]


def test_acknowledgements_of_another_transfer_or_of_what_was_not_sent_do_not_count():
    snapshot = sender(3)
    list(snapshot.due(always))
    for transfer, expected in [(snapshot.transfer + 1, 1), (snapshot.transfer, 4)]:
        snapshot.on_ack(1.0, transfer, expected)
    assert snapshot.bytes_done == 0 and snapshot.is_stalled(PATIENCE_S + 0.1, PATIENCE_S)
    snapshot.on_ack(1.0, snapshot.transfer, 2)
    snapshot.on_ack(1.0, snapshot.transfer, 1)  # late
    assert snapshot.bytes_done == 2 * CHUNK


def test_how_much_there_is_is_known_when_the_last_chunk_is_under_way():
    configuration = Configuration(9, 1, ("a",))
    snapshot = SnapshotSender(0.0, configuration, 3, iter([b"x" * CHUNK] * 3), 2000)
    assert (snapshot.bytes_done, snapshot.bytes_total) == (0, 2000)
    list(snapshot.due(always))
    assert snapshot.bytes_total == 3 * CHUNK


# The receiver.


def test_chunks_are_taken_in_order_from_one_transfer():
    receiver = SnapshotReceiver("a", 1)
    assert receiver.add("a", 1, 0, b"x")
    for sender_, transfer, sequence in [("a", 1, 0), ("a", 1, 2), ("a", 2, 1), ("b", 1, 1)]:
        assert not receiver.add(sender_, transfer, sequence, b"y")
    assert receiver.add("a", 1, 1, b"z") and receiver.chunks == [b"x", b"z"]
