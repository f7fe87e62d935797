"""A slave whose file system is full: it stops with one line; with room made it comes back."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from distrodb import LocalCluster
from tests.faults.conftest import QUICK
from tests.faults.heavy import pressing
from tests.faults.story import progress, writing

SMALL, ROOMY = "12m", "400m"


def why_not() -> str | None:
    """Why no small file system can be had here; None if it can."""
    if os.geteuid() != 0:
        return "mounting a small file system needs root"
    done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
    return None if done.returncode == 0 else "tmpfs cannot be mounted here"


pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def make_room(folder: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={ROOMY}", folder], check=True)


@pytest.fixture(params=[65536, 16777216], ids=["many snapshots", "a long log"])
def cramped(request, tmp_path):
    """A cluster of three; node3 has little room."""
    with (
        small_disk(tmp_path / "node3"),
        LocalCluster(
            nodes=3,
            partitions=2,
            directory=tmp_path,
            raft_snapshot_log_bytes=request.param,
            **QUICK,
        ) as cluster,
    ):
        yield cluster


def test_a_full_disk_stops_one_slave_and_loses_nothing(cramped):
    with writing(cramped, writers=1) as writers:
        with pressing_until_full(cramped):
            cramped.wait_until(lambda: "node3" in cramped.ended(), "node3 has ended", 60.0)
            says_so(cramped)
            progress(cramped, writers)
            make_room(cramped.directory / "node3")
            cramped.start("node3")
            cramped.wait_ready()
        cramped.kill("node1")
        progress(cramped, writers)
        cramped.kill("node2")
        cramped.start("node1")
        progress(cramped, writers)
        cramped.start("node2")


def test_a_disk_that_is_still_full_is_refused_again(cramped):
    with pressing_until_full(cramped):
        for _ in range(2):
            cramped.wait_until(lambda: "node3" in cramped.ended(), "node3 has ended", 60.0)
            says_so(cramped)
            cramped.start("node3")
        cramped.wait_until(lambda: "node3" in cramped.ended(), "node3 has ended", 60.0)
        make_room(cramped.directory / "node3")
        cramped.start("node3")


def pressing_until_full(cluster: LocalCluster):
    """Each write overwrites an older one, but for some seconds the keys grow in number."""
    return pressing(cluster, writers=2, size=8000, keys=1500)


def says_so(cluster: LocalCluster) -> None:
    assert cluster.ended()["node3"] == 1
    line = cluster.last_words("node3")
    assert str(cluster.directory / "node3") in line, line
    assert "No space left on device" in line or "is full" in line, line
    log = (cluster.directory / "node3" / "slave.log").read_text()
    assert "Traceback" not in log
