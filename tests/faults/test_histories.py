"""Histories of real clients while slaves are killed, hang and lose their links: linearizable."""

import os
import random
from collections.abc import Iterable

import pytest

from tests.faults.recording import (
    LateCommands,
    can_break_connections,
    lasting,
    recording,
    seeded,
)
from tests.faults.story import leaders

KILLS, OUTAGES, PAUSES, BREAKS = 24, 4, 8, 25  # turns
SOAK_S = float(os.environ.get("DISTRODB_FAULT_S") or 600)


def kill_random_members(cluster, turns: Iterable[int], chance: random.Random) -> None:
    with recording(cluster, chance) as record:
        for _ in turns:
            killed = chance.sample(cluster.nodes, chance.choice([1, 1, 1, 2]))
            for node in killed:
                record.kill(node)
            if chance.random() < 0.7 and len(killed) == 1:
                record.progress(chance.randrange(20, 400))
            for node in killed:
                cluster.start(node)
            if chance.random() < 0.5:
                cluster.wait_ready()
            record.progress(chance.randrange(20, 400))


@pytest.mark.timeout(600)  # a minute, on a machine with nothing else to do
def test_random_members_are_killed(five):
    kill_random_members(five, range(KILLS), seeded())


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_random_members_are_killed_for_long(five):
    kill_random_members(five, lasting(SOAK_S), seeded(is_soak=True))


def test_all_are_killed_at_once_again_and_again(three):
    """What was acknowledged a moment ago is on disk, and what was under way has one fate."""
    with recording(three, seeded()) as record:
        for _ in range(OUTAGES):
            for node in three.nodes:
                record.kill(node)
            three.start_all()
            three.wait_ready()
            record.progress(200)


def test_random_members_hang(five):
    """Commands lie in their sockets meanwhile; an old leader that wakes up must not answer them
    from what it knows, nor acknowledge them."""
    chance = seeded()
    with recording(five, chance) as record:
        for _ in range(PAUSES):
            node = chance.choice(sorted(leaders(five) - {None}))
            late = LateCommands(record, node)
            record.pause(node)
            five.wait_until(lambda n=node: not leaders(five) & {n, None}, "others lead")
            record.progress(chance.randrange(20, 200))
            late.send()
            five.resume(node)
            late.collect()
            record.progress(chance.randrange(20, 200))


@pytest.mark.skipif(not can_break_connections(), reason="ss -K, which needs root, does not work")
def test_links_break_and_come_back(five):
    chance = seeded()
    with recording(five, chance) as record:
        for _ in range(BREAKS):
            for _ in range(chance.randrange(1, 5)):
                dialled, dialler = sorted(chance.sample(range(5), 2))
                record.break_link(five.nodes[dialled], five.nodes[dialler])
            record.progress(chance.randrange(10, 200))
        assert record.done["broken links"] > 0
