"""The same comparison through sockets, the log and three slaves, with fewer commands."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb import LocalCluster
from distrodb.commands.table import DISPATCHED
from tests.oracle.compare import first_difference, sequences
from tests.oracle.families import FAMILIES, Family
from tests.oracle.frames import Frame
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


DESCRIBING = ["SLOTS", "SHARDS", "NODES", "INFO", "LINKS", "MYID", "HELP"]
OF_NODE = {b"id", b"ip", b"endpoint", b"role", b"replication-offset", b"health"}  # in SHARDS


@pytest.mark.parametrize("protocol", [b"2", b"3"])
def test_what_describes_the_cluster_has_redis_s_form(
    protocol: bytes, leader: tuple[str, int], node: RedisServer
) -> None:
    """The types of all that is in a reply; what it says is each cluster's own."""
    theirs, ours = node.connect(), Connection(leader)
    for word in DESCRIBING:
        forms = []
        for server in (theirs, ours):
            server.ask_all([[b"HELLO", protocol]])
            forms.append(_form(server.ask_all([[b"CLUSTER", word.encode()]])[0]))
        assert forms[0] == forms[1] or word == "LINKS", word  # a node by itself has no links
    theirs.close()
    ours.close()


def _form(frame: Frame) -> object:
    """Of a list its first item's, of a row its first ones', of a map each field's."""
    kind, content = frame
    if kind == b"%":
        names = [name[1] for name in content[::2]]
        forms = dict(zip(names, map(_form, content[1::2]), strict=True))
        return {name: forms[name] for name in OF_NODE} if set(names) >= OF_NODE else forms
    if not isinstance(content, list):
        return kind
    is_row = bool(content) and content[0][0] == b":"  # of SLOTS: two slots, then a node
    return kind, [_form(item) for item in content[: 3 if is_row else 1]]
