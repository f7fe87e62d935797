"""A slave that lost its directory is taken in again, as a new one, and is then as good as any."""

import shutil

from distrodb import LocalCluster
from tests.faults.heavy import pressing
from tests.faults.story import progress, writing


def wipe(cluster: LocalCluster, node: str) -> None:
    cluster.kill(node)
    shutil.rmtree(cluster.directory / node)
    cluster.start(node)


def wait_until_taken_in(cluster: LocalCluster, node: str) -> None:
    """As docs/operations.md says: the slave itself knows which groups do not count it yet."""

    def counts_everywhere() -> bool:
        status = cluster.status(node)
        return status is not None and not status["asked"]["not_yet_in"]

    cluster.wait_until(counts_everywhere, f"{node} is taken in", 60.0)


def test_a_wiped_slave_is_taken_in_again(three):
    with writing(three) as writers:
        progress(three, writers, 60)
        wipe(three, "node3")
        wait_until_taken_in(three, "node3")
        progress(three, writers, 60)
        three.kill("node1")
        progress(three, writers)
        three.start("node1")


def test_each_in_turn_is_wiped_under_heavy_writing(three):
    """At the end nothing is left of what any of them had on its disk at the start."""
    with pressing(three, writers=2) as presses:
        for node in three.nodes:
            wipe(three, node)
            wait_until_taken_in(three, node)
            presses.progress(2000)
            three.wait_ready()
    other = three.nodes[0]
    three.kill(other)
    three.wait_ready()
    for press in presses:
        press.check(three.client())


def test_the_next_is_wiped_as_soon_as_the_last_is_taken_in(three):
    """The cluster map's own group must be whole too, or it takes nobody in any more."""
    with writing(three, writers=1) as writers:
        for _ in range(4):
            for node in three.nodes:
                wipe(three, node)
                wait_until_taken_in(three, node)
        progress(three, writers)


def test_one_that_is_wiped_again_and_again_takes_nothing_with_it(three):
    with writing(three, writers=2) as writers:
        for _ in range(4):
            wipe(three, "node3")
            progress(three, writers, 5)
        wait_until_taken_in(three, "node3")
        progress(three, writers, 60)
        three.kill("node2")
        progress(three, writers)
        three.start("node2")
