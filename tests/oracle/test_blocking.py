"""Clients that wait beside those of a real Redis: who gets what, and when."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb.commands.table import DISPATCHED
from tests.oracle.compare import Words, sequences
from tests.oracle.conversations import OurClients, Step, TheirClients
from tests.oracle.differences import is_equal
from tests.oracle.families import WAITING, named, of_both_kinds
from tests.oracle.frames import Frame
from tests.oracle.redis_server import RedisServer

CLIENTS = 4
SIZE = 25  # commands of one sequence
SEQUENCES = 60  # in the gate


def first_difference(
    theirs: TheirClients, ours: OurClients, steps: list[Step]
) -> tuple[list[Step], list[list[Frame]], list[list[Frame]]] | None:
    for at, step in enumerate(steps):
        their, our = theirs.ask(step), ours.ask(step)
        for client in range(CLIENTS):
            if len(their[client]) != len(our[client]) or not all(
                is_equal(step[1], *both) for both in zip(their[client], our[client], strict=True)
            ):
                return steps[: at + 1], their, our
    return None


@pytest.mark.parametrize(("family", "is_cluster"), of_both_kinds([WAITING]), ids=named)
def test_who_waits_gets_what_redis_would_give(
    family, is_cluster: bool, node: RedisServer, single: RedisServer
) -> None:
    examples = SEQUENCES if settings.get_current_profile_name() == "gate" else 20 * SEQUENCES
    clients = st.lists(st.integers(0, CLIENTS - 1), min_size=SIZE, max_size=SIZE)

    @settings(max_examples=examples)
    @given(clients, sequences(family, DISPATCHED, SIZE))
    def run(who: list[int], commands: list[Words]) -> None:
        server = node if is_cluster else single
        theirs, ours = TheirClients(server, CLIENTS), OurClients(CLIENTS, is_cluster)
        try:
            server.connect().ask(b"FLUSHALL")
            found = first_difference(theirs, ours, [*zip(who, commands, strict=False)])
        finally:
            theirs.close()  # whoever waits still is gone with that
        assert found is None, found

    run()
