"""Commands that wait for a leader."""

from distrodb.slave.held import HELD_MAX, HOLD_S, Held


class Leaders:
    def __init__(self):
        self.led, self.went_on = set(), []

    def release(self, held: Held, now: float) -> list[tuple[int, str]]:
        self.went_on = []
        held.release(now, self.led.__contains__, lambda *which: self.went_on.append(which))
        return self.went_on


def test_they_go_on_in_order_when_there_is_a_leader():
    held, leaders = Held(), Leaders()
    assert held.take(0.0, 1, "first") and held.take(0.1, 1, "second") and held.take(0.1, 2, "other")
    assert leaders.release(held, 0.1) == []
    leaders.led.add(1)
    assert leaders.release(held, 0.2) == [(1, "first"), (1, "second")]
    assert leaders.release(held, 0.2) == [] and not held.is_empty


def test_without_a_leader_they_are_let_go_and_no_more_is_taken():
    held, leaders = Held(), Leaders()
    assert held.take(0.0, 1, "first")
    assert leaders.release(held, HOLD_S) == [(1, "first")]
    assert not held.take(HOLD_S, 1, "second") and leaders.release(held, 9.0) == []
    leaders.led.add(1)
    leaders.release(held, 10.0)
    assert held.is_empty and held.take(20.0, 1, "third")


def test_no_more_than_so_many_wait():
    held = Held()
    assert all(held.take(0.0, 1, number) for number in range(HELD_MAX))
    assert not held.take(0.0, 1, "one more") and held.take(0.0, 2, "elsewhere")
