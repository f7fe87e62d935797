"""The same comparison through sockets, the log and three slaves, with fewer commands."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb import LocalCluster
from distrodb.commands.table import DISPATCHED
from tests.oracle.compare import first_difference, sequences
from tests.oracle.families import FAMILIES, Family
from tests.oracle.redis_server import Connection, RedisServer

SIZE = 30  # commands of one sequence
SEQUENCES = 8  # a family, in the gate


@pytest.fixture(scope="module")
def leader() -> Iterator[tuple[str, int]]:
    """The address of the slave that leads the one partition."""
    with LocalCluster(nodes=3, partitions=1) as cluster:
        cluster.wait_healed()
        client = cluster.client()
        host = client.get_node_from_key("{t}")
        assert host is not None
        client.close()
        yield host.host, host.port


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_cluster_s_replies_are_as_redis_gives_them(
    family: Family, leader: tuple[str, int], node: RedisServer
) -> None:
    if not family.is_cluster:
        pytest.skip("of the gateway")
    theirs, ours = node.connect(), Connection(leader)
    examples = SEQUENCES if settings.get_current_profile_name() == "gate" else 50 * SEQUENCES

    @settings(max_examples=examples)
    @given(st.sampled_from([2, 3]), sequences(family, DISPATCHED, SIZE))
    def run(protocol: int, commands: list[list[bytes]]) -> None:
        found = first_difference(theirs, ours, protocol, commands, DISPATCHED)
        assert found is None, found.story()

    run()
    theirs.close()
    ours.close()
