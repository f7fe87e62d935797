"""Users are the cluster's: made at any slave, there at every one, and no acknowledged change of
them is lost."""

import pytest

from distrodb.resp.reply import OK, ErrorReply, Reply
from tests.sim.simulation import Simulation

# Different leaders of the map, and different moments of the crash among the changes.
SEEDS = range(6)


def ask(cluster: Simulation, node: str, *args: str) -> Reply:
    replies: list[Reply] = []
    cluster.submit(node, *args, done=replies.append)
    cluster.run_until(lambda: bool(replies))
    return replies[0]


def users_of(cluster: Simulation, node: str) -> set[bytes]:
    return {*cluster.slaves[node].core.users.all}


def everywhere(cluster: Simulation, *names: bytes) -> bool:
    alive = [node for node in cluster.slaves if cluster.is_up(node)]
    return all({*names} <= users_of(cluster, node) for node in alive)


def a_cluster(seed: int) -> Simulation:
    cluster = Simulation(seed, nodes=5, partitions=2, dead_after_s=2)
    cluster.run_until(cluster.is_whole)
    return cluster


@pytest.mark.parametrize("seed", SEEDS)
def test_a_user_is_made_at_any_slave(seed: int) -> None:
    cluster = a_cluster(seed)
    for number, node in enumerate(cluster.slaves):
        name = f"u{number}"
        reply = ask(cluster, node, "ACL", "SETUSER", name, "on", f">{name}", "+get", "~k*")
        assert reply == OK
        assert name.encode() in users_of(cluster, node)  # it may log in there at once
        began = cluster.now
        cluster.run_until(lambda name=name: everywhere(cluster, name.encode()))
        assert cluster.now - began < 1.0
    assert ask(cluster, "node3", "AUTH", "u1", "u1") == OK
    assert ask(cluster, "node2", "ACL", "SETUSER", "u0", "nonsense").code == "ERR"
    assert ask(cluster, "node4", "ACL", "DELUSER", "u0", "u1", "nobody") == 2
    cluster.run_until(
        lambda: all(users_of(cluster, node).isdisjoint({b"u0", b"u1"}) for node in cluster.slaves)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_no_acknowledged_user_is_lost_when_the_map_s_leader_dies(seed: int) -> None:
    cluster = a_cluster(seed)
    leader = cluster.controller().id
    others = [node for node in cluster.slaves if node != leader]
    replies: dict[str, list[Reply]] = {}
    for number in range(20):
        answered = replies.setdefault(f"u{number}", [])
        node = others[number % len(others)]
        cluster.submit(node, "ACL", "SETUSER", f"u{number}", "on", done=answered.append)
    cluster.run_until(lambda: sum(map(len, replies.values())) > seed)
    cluster.crash(leader)
    cluster.run_until(lambda: all(replies.values()))
    told = {name: reply for name, (reply,) in replies.items()}
    assert {r.code for r in told.values() if isinstance(r, ErrorReply)} <= {"UNKNOWN"}
    made = [name.encode() for name, reply in told.items() if reply == OK]
    assert len(made) > seed
    cluster.run_until(lambda: everywhere(cluster, *made))
    cluster.start(leader)
    cluster.run_until(lambda: everywhere(cluster, *made))


def test_without_a_majority_of_the_map_nothing_is_promised() -> None:
    cluster = a_cluster(0)
    for node in ("node3", "node4", "node5"):
        cluster.crash(node)
    began = cluster.now
    reply = ask(cluster, "node1", "ACL", "SETUSER", "u", "on")
    assert reply.code in ("TRYAGAIN", "UNKNOWN")
    assert cluster.now - began < 8.0


def test_rules_that_follow_each_other_add_up() -> None:
    """Each is made of what the one before left, from whichever slave they come."""
    cluster = a_cluster(1)
    replies: list[Reply] = []
    rules = [f"+{name}" for name in ("get", "set", "del", "ttl", "incr", "append", "type", "mget")]
    nodes = list(cluster.slaves)
    for number, rule in enumerate(rules):
        node = nodes[number % len(nodes)]
        cluster.submit(node, "ACL", "SETUSER", "u", rule, done=replies.append)
    cluster.run_until(lambda: len(replies) == len(rules))
    assert {repr(reply) for reply in replies} == {repr(OK)}
    cluster.run_until(lambda: everywhere(cluster, b"u"))
    cluster.run_until(
        lambda: all(
            len(cluster.slaves[node].core.users.all[b"u"].root.rules) == len(rules)
            for node in cluster.slaves
        )
    )
