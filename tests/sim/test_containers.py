"""All kinds of values, scripts and commands that wait, under all faults: what clients saw, a single
Redis could have said (containers.py)."""

from unittest import mock

import pytest

from distrodb.keyspace import snapshot
from distrodb.keyspace.scripts import sha_of
from distrodb.resp.reply import ErrorReply
from distrodb.ring.slots import slot_of
from tests.sim.chaos import VIRTUAL_S
from tests.sim.containers import (
    ContainerChaos,
    HealingContainerChaos,
    MovingContainerChaos,
    ReplicasContainerChaos,
)
from tests.sim.simulation import Simulation
from tests.support.containers_model import LIBRARY

# Of each kind one in the gate, as short as shows something; more with ``-m soak``, and any number
# by ``python -m tests.sim --kind``.
KINDS = [
    (ContainerChaos, 1, VIRTUAL_S),
    (HealingContainerChaos, 0, 20.0),
    *(
        pytest.param(kind, seed, VIRTUAL_S, marks=pytest.mark.soak)
        for kind in (
            ContainerChaos,
            HealingContainerChaos,
            MovingContainerChaos,
            ReplicasContainerChaos,
        )
        for seed in range(10, 14)
    ),
]


@pytest.mark.parametrize(("kind", "seed", "virtual_s"), KINDS)
def test_nothing_of_any_kind_is_lost_nor_comes_twice(kind, seed, virtual_s):
    chaos = kind(seed)
    assert chaos.run(virtual_s).operations > 0
    names = {each.command[0] for each in chaos.history if each.reply not in (None, 0, [])}
    assert {"RPUSH", "SADD", "HSET", "ZADD", "EVAL", "EXEC", "BLPOP"} <= names


def test_a_member_that_gets_a_snapshot_meanwhile_agrees(seed: int = 0) -> None:
    """All kinds are written to, and scripts come, while the state is copied in small pieces."""
    cluster = Simulation(seed, partitions=1, snapshot_log_bytes=4096)
    cluster.run_until(cluster.is_whole)
    fill = [str(n) for n in range(100)]
    pairs = [word for n in fill for word in (n, n)]
    for command in (
        ("HSET", "{a}hash", *pairs),
        ("RPUSH", "{a}list", *(n * 20 for n in fill * 10)),
        ("SADD", "{a}set", *fill),
        ("ZADD", "{a}board", *pairs),
        ("EVAL", "return 0", "1", "{a}set"),
        ("FUNCTION", "LOAD", LIBRARY.format(name="lib", version="1")),
    ):
        assert not isinstance(cluster.ask(*command), ErrorReply), command
    victim = next(node for node in cluster.slaves if node != cluster.leader("{a}"))
    with mock.patch.object(snapshot, "CHUNK_BYTES", 64):
        cluster.wipe(victim)
        cluster.start(victim)
        asked = 0
        while not cluster.is_whole() or asked < 60:
            n, asked = str(asked % 100), asked + 1
            for command in (
                ("HSET", "{a}hash", n, f"new {asked}"),
                ("HPEXPIRE", "{a}hash", "50", "FIELDS", "1", n),
                ("LMOVE", "{a}list", "{a}list", "LEFT", "RIGHT"),
                ("LSET", "{a}list", str(7 * asked % 1000), f"new {asked}"),
                ("SPOP", "{a}set"),
                ("SADD", "{a}set", f"new {asked}"),
                ("ZINCRBY", "{a}board", "1000", n),
                ("EVAL", f"return {asked}", "1", "{a}set"),
            ):
                assert not isinstance(cluster.ask(*command), ErrorReply), command
            cluster.checks.all_digests()
            assert asked < 1000
    cluster.run(1.0)
    cluster.checks.all_digests()
    assert cluster.slaves[victim].core.groups[0].log.meta.snapshot_index > 1
    place, sha = slot_of(b"{a}"), sha_of(b"return 0")
    for slave in cluster.slaves.values():
        machine = slave.core.groups[0].machine
        assert machine.execute(place, [b"EVALSHA_RO", sha, b"0"], machine.now_ms) == 0
    assert cluster.ask("FCALL", "lib", "1", "{a}called", "x") == b"1"
