"""Several clients at once beside a real Redis: transactions that watch, messages, invalidations."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb.commands.table import DISPATCHED
from tests.oracle.compare import Words, sequences
from tests.oracle.conversations import OurClients, TheirClients, first_difference
from tests.oracle.families import CONVERSATIONS, Family, named, of_both_kinds
from tests.oracle.redis_server import RedisServer

SIZE = 25  # commands of one sequence
SEQUENCES = 40  # a family, in the gate


@pytest.mark.parametrize(("family", "is_cluster"), of_both_kinds(CONVERSATIONS), ids=named)
def test_everybody_gets_what_redis_would_send(
    family: Family, is_cluster: bool, node: RedisServer, single: RedisServer
) -> None:
    theirs = TheirClients(node if is_cluster else single, family.clients)
    ours = OurClients(family.clients, is_cluster)
    examples = SEQUENCES if settings.get_current_profile_name() == "gate" else 20 * SEQUENCES
    clients = st.lists(st.integers(0, family.clients - 1), min_size=SIZE, max_size=SIZE)
    protocols = st.lists(st.sampled_from([2, 3]), min_size=family.clients, max_size=family.clients)

    @settings(max_examples=examples)
    @given(protocols, clients, sequences(family, DISPATCHED, SIZE))
    def run(protocols: list[int], who: list[int], commands: list[Words]) -> None:
        steps = [*zip(who, commands, strict=False)]
        found = first_difference(theirs, ours, protocols, steps)
        assert found is None, found.story()

    run()
    theirs.close()
