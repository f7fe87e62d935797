"""Queues while leaders die, hang and are cut off: nothing comes twice, and nothing is lost beyond
what an unknown outcome allows (queues.py)."""

import pytest

from tests.sim.queues import GATEWAYS, Story, every_kind

# In every second one links lose, repeat and reorder.  The gate has one of each way, beside those
# with consumers of every kind.
SOAKED = [pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 12)]
# One through gateways, one at the leaders.
BOTH_WAYS = [1, 2, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(4, 14))]


@pytest.mark.parametrize("seed", [1, *SOAKED])
def test_through_gateways_each_number_comes_once_and_nobody_sees_an_error(seed: int) -> None:
    assert Story(seed, GATEWAYS).run().operations > 0


@pytest.mark.parametrize("seed", [0, *SOAKED])
def test_at_the_leaders_nothing_comes_twice_and_no_more_is_lost_than_nobody_knows(
    seed: int,
) -> None:
    assert Story(seed, ()).run().operations > 0


@pytest.mark.parametrize("seed", BOTH_WAYS)
def test_the_same_with_consumers_of_every_kind_at_once(seed: int) -> None:
    story = every_kind(seed)
    assert story.run().operations > 0 and story.books.moved
