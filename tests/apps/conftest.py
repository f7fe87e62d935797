"""The set-up of docs/applications.md: one partition, through a gateway, and the page's settings.

With APPS_ON=redis://HOST:PORT the same work is done on that Redis server, which is flushed first
and where nothing dies: to see that a test asks no more than Redis gives.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis

from distrodb import LocalCluster
from tests.apps import page
from tests.clients.clients import need_node
from tests.support.pages import ROOT

STEPS = 60  # of an application's work: a leader dies a third of the way, and is back at two thirds


class Place:
    """One gateway that stays, and a leader beside it that can be killed."""

    def __init__(self, cluster: LocalCluster):
        self.cluster = cluster
        self._dead = ""
        cluster.wait_until(self._is_settled, "the owner of the partition leads it")
        status = cluster.status()
        assert status is not None
        leader = status["partitions"][0]["leader"]
        self._spared = next(node for node in cluster.nodes if node != leader)
        address = status["nodes"][self._spared]["gateway"]
        self.host, _, port = address.rpartition(":")
        self.port = int(port)
        self.url = f"redis://{address}"

    def _is_settled(self) -> bool:
        """A slave that was killed and came back is given the lead back, if it is the owner."""
        status = self.cluster.status()
        partition = status["partitions"][0] if status else {}
        return status is not None and partition["leader"] == partition["owner"]

    def set_up(self, program: str) -> dict[str, Any]:
        """The names that the page's one block with this in it gives, run for this gateway."""
        return page.set_up(program, self.url)

    def leader(self) -> str:
        status = self.cluster.status(self._spared)
        assert status is not None
        found: str = status["partitions"][0]["leader"]
        return found

    def steps(self) -> Iterator[int]:
        """Numbers of steps.  A leader dies while one of them is done, not between two, and is back
        for the last of them."""
        with ThreadPoolExecutor(1) as beside:
            for number in range(STEPS):
                if number == STEPS // 3:
                    death = beside.submit(self.kill)
                elif number == 2 * STEPS // 3:
                    death.result()
                    self.revive()
                yield number

    def kill(self) -> None:
        self._dead = self.leader()
        assert self._dead != self._spared, "nothing happened that lets another one lead"
        self.cluster.kill(self._dead)

    def revive(self) -> None:
        if self._dead:
            self.cluster.start(self._dead)
            self._dead = ""
        self.cluster.wait_ready()


class PlaceOfRedis(Place):
    def __init__(self, url: str):
        self.url = url
        self.host, _, port = url.removeprefix("redis://").rpartition(":")
        self.port = int(port)
        Redis(self.host, self.port).flushall()

    def kill(self) -> None:
        pass

    def revive(self) -> None:
        pass


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster | None]:
    if "APPS_ON" in os.environ:
        yield None
        return
    with LocalCluster(nodes=3, partitions=1) as cluster:
        yield cluster


@pytest.fixture
def place(cluster: LocalCluster | None) -> Iterator[Place]:
    place = Place(cluster) if cluster else PlaceOfRedis(os.environ["APPS_ON"])
    try:
        yield place
    finally:
        place.revive()


@pytest.fixture
def own_python() -> Callable[[str], str]:
    """The Python of a virtual environment that has just one application, and what it needs.

    For those that want other versions of what distrodb's own tests have.  Made once and kept.
    """

    def python_of(package: str) -> str:
        home = ROOT / ".venv-apps" / package  # not below tests, whose files are all read
        if not (home / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
            subprocess.run([home / "bin/python", "-m", "pip", "install", "-q", package], check=True)
            (home / "ready").touch()
        return str(home / "bin/python")

    return python_of


@pytest.fixture
def node() -> Callable[..., list[str]]:
    """The command line of a program for Node."""
    need_node()
    return lambda program, *words: ["node", program, *words]
