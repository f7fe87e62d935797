"""The same comparison through sockets, the log and three slaves, with fewer commands."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb import LocalCluster
from distrodb.commands.table import DISPATCHED
from tests.oracle.compare import first_difference, sequences
from tests.oracle.families import FAMILIES, Family, named, of_both_kinds
from tests.oracle.redis_server import Connection, RedisServer

SIZE = 30  # commands of one sequence
SEQUENCES = 10  # a family, in the gate

Address = tuple[str, int]


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[bool, Address]]:
    """Of the slave that leads the one partition; and a gateway of another slave."""
    with LocalCluster(nodes=3, partitions=1) as cluster:
        cluster.wait_healed()
        client = cluster.client()
        leader = client.get_node_from_key("{t}")
        client.close()
        other = next(
            node for node, at in cluster.addresses.items() if at.split(":")[1] != str(leader.port)
        )
        gateway = cluster.gateway_address(other)
        assert gateway is not None
        host, _, port = gateway.rpartition(":")
        yield {True: (leader.host, leader.port), False: (host, int(port))}


@pytest.mark.parametrize(("family", "is_cluster"), of_both_kinds(FAMILIES), ids=named)
def test_a_cluster_s_replies_are_as_redis_gives_them(
    family: Family,
    is_cluster: bool,
    ports: dict[bool, Address],
    node: RedisServer,
    single: RedisServer,
) -> None:
    theirs, ours = (node if is_cluster else single).connect(), Connection(ports[is_cluster])
    examples = SEQUENCES if settings.get_current_profile_name() == "gate" else 50 * SEQUENCES

    @settings(max_examples=examples)
    @given(st.sampled_from([2, 3]), sequences(family, DISPATCHED, SIZE))
    def run(protocol: int, commands: list[list[bytes]]) -> None:
        found = first_difference(theirs, ours, protocol, commands, DISPATCHED, family.keys)
        assert found is None, found.story()

    run()
    theirs.close()
    ours.close()
