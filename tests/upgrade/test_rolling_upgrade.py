"""One slave after another is stopped and started again by the next version, under load.

The version before is beside this file, as the wheel that was made of it.  When a version is
released its wheel takes the place of that one; what it does not link with (PROTOCOL in
slave/links/introduction.py) cannot be upgraded so, and docs/changes.md says it.
"""

import os
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import TryAgainError

from distrodb import LocalCluster, __version__
from distrodb.ring.levels import LEVEL
from tests.e2e.load import load

(WHEEL,) = Path(__file__).parent.glob("distrodb-*.whl")
BEFORE = WHEEL.name.split("-")[1]


class MixedCluster(LocalCluster):
    """Slaves run the version before, which has written their files, or this one."""

    def __init__(self, before: Path, directory: Path):
        self.before = before
        self.new: set[str] = set()
        words = (
            "import sys; from distrodb import LocalCluster; LocalCluster(3, directory=sys.argv[1])"
        )
        make = [sys.executable, "-P", "-c", words, str(directory)]
        subprocess.run(make, env={**os.environ, "PYTHONPATH": str(before)}, check=True)
        super().__init__(3, directory=directory)

    def _command(self, node: str) -> list[str]:
        if node in self.new:
            return super()._command(node)
        file = str(self.configs[node].file)
        words = [sys.executable, "-P", "-m", "distrodb", "slave", file]
        return ["env", f"PYTHONPATH={self.before}", *words]

    def restart_as(self, node: str, *, is_new: bool) -> None:
        assert self.stop(node) == 0
        (self.new.add if is_new else self.new.discard)(node)
        self.start(node)
        self.wait_ready()

    def versions(self) -> dict[str, str]:
        found = {}
        for node in self.nodes:
            with self.connection(node) as slave:
                found[node] = slave.info("server")["distrodb_version"]
        return found


@pytest.fixture
def mixed(tmp_path):
    zipfile.ZipFile(WHEEL).extractall(tmp_path / "before")
    with MixedCluster(tmp_path / "before", tmp_path / "cluster") as cluster:
        cluster.wait_healed()
        yield cluster


def level_of(cluster: LocalCluster) -> int:
    """The lowest that a slave goes by; slaves of before do not say it."""
    statuses = [cluster.status(node) for node in cluster.nodes]
    return min(1 if status is None else status.get("level", 1) for status in statuses)


def is_taken(slave: Redis, *command: str) -> bool:
    """Not so while another change of the map is under way."""
    with suppress(TryAgainError):
        return slave.execute_command(*command) == b"OK"
    return False


def sizes(cluster: LocalCluster) -> set[int]:
    """Of the groups, as their leaders say."""
    return {len(row["members"] or ()) for row in cluster.status()["partitions"]}


def check_nothing_is_lost(cluster: LocalCluster, acknowledged: dict[str, int]) -> None:
    client = cluster.client()
    for key, number in acknowledged.items():
        assert int(client.get(key)) >= number, key


def test_one_slave_after_another_under_load_and_no_command_fails(mixed):
    level_before = level_of(mixed)
    assert mixed.versions() == dict.fromkeys(mixed.nodes, BEFORE)
    with load(mixed) as books:
        for node in mixed.nodes:
            assert level_of(mixed) == level_before
            done = books.commands
            mixed.restart_as(node, is_new=True)
            mixed.wait_until(lambda done=done: books.commands > done + 50, "the load goes on")
    assert mixed.versions() == dict.fromkeys(mixed.nodes, __version__)
    mixed.wait_until(lambda: level_of(mixed) == LEVEL, "what is new may be used")
    with mixed.connection(mixed.status()["controller"]) as controller:
        mixed.wait_until(lambda: is_taken(controller, "DISTRODB", "REPLICAS", "1"), "one copy")
    mixed.wait_until(lambda: sizes(mixed) == {1}, "each partition has one copy")
    assert (books.failures, books.stale) == ([], [])
    check_nothing_is_lost(mixed, books.acknowledged)


def test_the_first_one_may_go_back_while_nobody_uses_what_is_new(mixed):
    with load(mixed) as books:
        mixed.restart_as("node1", is_new=True)
        mixed.restart_as("node1", is_new=False)
        done = books.commands
        mixed.wait_until(lambda: books.commands > done + 50, "the load goes on")
    assert (books.failures, books.stale) == ([], [])
    check_nothing_is_lost(mixed, books.acknowledged)
