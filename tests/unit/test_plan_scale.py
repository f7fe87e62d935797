"""A thousand slaves, 16,384 partitions: what a death, a join and a BALANCE cost.

Costs are counted in function calls, which no busy machine changes; seconds are printed only (-s).
"""

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from distrodb.ring.placement import group_of
from tests.unit.ring_world import World

SLAVES, PARTITIONS = 1000, 16384
CALLS_PER_PARTITION_MAX = 40  # some 15 are needed; a loop over the slaves would need a thousand


def calls_of(work: Callable[[], Any]) -> int:
    count = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def measure(world: World, what: str) -> None:
    """Take one step of the plan and apply it; that costs time in proportion to the partitions."""
    began = time.process_time()
    planned = world.plan()
    planned_s = time.process_time() - began
    calls = calls_of(world.plan)
    before, began = world.map, time.process_time()
    world.obey(planned)
    applied_s = time.process_time() - began
    after, world.map = world.map, before
    calls += calls_of(lambda: [world.submit(*command) for command in planned.commands])
    assert world.map == after
    print(f"{what}: plan {planned_s:.3f} s, apply {applied_s:.3f} s, {calls} calls")
    assert calls < CALLS_PER_PARTITION_MAX * len(world.map.partitions)


def spread(world: World) -> tuple[int, int]:
    counts = Counter(p.owner for p in world.map.partitions)
    owned = [counts[node] for node in world.map.ring]
    return min(owned), max(owned)


def finish(world: World) -> int:
    """All moves as one batch, then the next; how many copies."""
    world.moves_at_once, before = len(world.map.partitions), world.copies
    while not (after := world.plan()).is_done:
        world.obey(after)
        while moving := world.under_way():
            for group in moving:
                world.step(group)
    return world.copies - before


@pytest.fixture(scope="module")
def world() -> World:
    return World(SLAVES, PARTITIONS)


def test_a_death(world: World) -> None:
    before = world.map
    world.kill("n500")
    measure(world, "death, ring and owners")
    measure(world, "death, first moves")
    copies = finish(world)
    pairs = list(zip(before.partitions, world.map.partitions, strict=True))
    owners = sum(old.owner != new.owner for old, new in pairs)
    groups = sum(set(old.group) != set(new.group) for old, new in pairs)
    print(f"owners {owners}, groups {groups}, copies {copies}, owned {spread(world)}")
    assert owners == sum(p.owner == "n500" for p in before.partitions)
    assert groups == sum("n500" in p.group for p in before.partitions)
    assert copies <= groups + 2 * owners
    assert spread(world) == (16, 17)
    assert all(p.group == group_of(world.map.ring, p.owner, 3) for p in world.map.partitions[:100])


def test_a_join(world: World) -> None:
    world.join("x")
    measure(world, "join, ring and owners")
    measure(world, "join, first moves")
    copies = finish(world)
    print(f"copies {copies}, owned {spread(world)}")
    assert copies <= 3 * 16 + 2 * 17
    assert spread(world) == (16, 17)


def test_a_balance_of_what_one_slave_owns(world: World) -> None:
    for number in range(0, PARTITIONS, 16):
        world.submit("move", str(number), "n7")
    measured = calls_of(lambda: world.submit("balance"))
    print(f"balance: {measured} calls")
    assert measured < CALLS_PER_PARTITION_MAX * PARTITIONS
    assert spread(world) == (16, 17)
