"""Sorted sets under random faults: what clients saw, a single Redis could have said."""

import pytest

from tests.sim.chaos import VIRTUAL_S, Chaos
from tests.sim.workload import RankingClient


class RankingChaos(Chaos):
    CLIENT = RankingClient


# Two shapes of a cluster.
@pytest.mark.parametrize("seed", range(2))
def test_no_acknowledged_write_to_a_sorted_set_is_lost(seed: int) -> None:
    chaos = RankingChaos(seed)
    assert chaos.run(VIRTUAL_S).operations > 0
    names = {each.command[0] for each in chaos.history if each.reply is not None}
    assert {"ZADD", "ZINCRBY", "ZREM", "ZPOPMIN", "ZRANGE", "ZSCORE", "ZRANK"} <= names
