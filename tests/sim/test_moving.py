"""Slaves that come back at other addresses: nothing is lost, and the map follows."""

import os
from unittest import mock

import pytest

from distrodb.clock import monotonic
from distrodb.slave import controller
from tests.sim.chaos import VIRTUAL_S
from tests.sim.moving_chaos import FAULTS, MovingChaos


def test_the_map_follows_under_chaos():
    """Also where one that joins is linked with all: it knows no map, and counts for nothing."""
    chaos = MovingChaos(4, FAULTS)
    chaos.run(12.0)
    assert chaos.moved and not chaos.strangers()


@pytest.mark.soak
def test_a_map_that_does_not_follow_is_noticed():
    broken = mock.patch.object(controller, "may_be_at", lambda *_: False)
    with broken, pytest.raises(AssertionError, match="is at"):
        MovingChaos(4, FAULTS).run(VIRTUAL_S)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_the_map_follows_for_long_with_fresh_seeds():
    """For DISTRODB_SOAK_S seconds."""
    until = monotonic() + float(os.environ.get("DISTRODB_SOAK_S", "300"))
    seed, count, moved = int.from_bytes(os.urandom(4), "big"), 0, 0
    while monotonic() < until:
        chaos = MovingChaos(seed + count, FAULTS)
        chaos.run(VIRTUAL_S)
        count, moved = count + 1, moved + chaos.moved
    print(f"{count} seeds from {seed} on, {moved} times a slave had another address")
    assert moved
