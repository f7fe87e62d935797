"""Each command, its options and its errors, against a real Redis: our session without sockets."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb.commands.table import DISPATCHED
from tests.oracle.compare import by_chance, first_difference, sequences
from tests.oracle.families import FAMILIES, Family, named, of_both_kinds
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer

SIZE = 30  # commands of one sequence
SEQUENCES = 60  # a family, in the gate
SEQUENCES_BY_CHANCE = 60  # hypothesis prefers small numbers, and so some commands


@pytest.mark.parametrize(("family", "is_cluster"), of_both_kinds(FAMILIES), ids=named)
def test_every_reply_is_as_redis_gives_it(
    family: Family, is_cluster: bool, node: RedisServer, single: RedisServer
) -> None:
    theirs = (node if is_cluster else single).connect()
    ours = PureServer(is_cluster)
    examples = SEQUENCES if settings.get_current_profile_name() == "gate" else 20 * SEQUENCES

    @settings(max_examples=examples)
    @given(st.sampled_from([2, 3]), sequences(family, DISPATCHED, SIZE))
    def run(protocol: int, commands: list[list[bytes]]) -> None:
        found = first_difference(theirs, ours, protocol, commands, DISPATCHED, family.keys)
        assert found is None, found.story()

    run()
    chance = random.Random(1)
    for _ in range(SEQUENCES_BY_CHANCE if examples == SEQUENCES else 0):
        commands = by_chance(family, DISPATCHED, SIZE, chance)
        found = first_difference(
            theirs, ours, chance.choice([2, 3]), commands, DISPATCHED, family.keys
        )
        assert found is None, found.story()
    theirs.close()
