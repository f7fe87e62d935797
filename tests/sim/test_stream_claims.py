"""Consumers of a group that forget what they were given, and claim it from one another, while
leaders die, hang and are cut off."""

import pytest

from tests.sim.stream_claims import GATEWAYS, Story

# In every second one links lose, repeat and reorder.
SOAKED = range(2, 12)


def test_each_entry_is_acknowledged_by_one_command() -> None:
    Story(1, GATEWAYS, fault_count=3).run()


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAKED)
def test_through_gateways_each_entry_is_acknowledged_by_one_command(seed: int) -> None:
    Story(seed, GATEWAYS).run()


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAKED)
def test_at_the_leaders_nothing_is_lost_whatever_is_not_known(seed: int) -> None:
    Story(seed).run()
