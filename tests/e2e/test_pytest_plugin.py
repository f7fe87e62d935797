"""The fixture for people's own tests, in a project of its own."""

import configparser
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

# An environment that was made before there was a plugin does not know of it yet.
KNOWN = [] if entry_points(group="pytest11", name="distrodb") else ["-p", "distrodb.pytest_plugin"]

PROJECT = """
import distrodb
import pytest

seen = []

def test_kills(distrodb_cluster):
    seen.append(distrodb_cluster)
    with distrodb.connect(list(distrodb_cluster.addresses.values()), text=True) as db:
        db["a"] = "1"
        distrodb_cluster.kill("node1")
        distrodb_cluster.pause("node2")
        distrodb_cluster.resume("node2")
        assert db["a"] == "1"
        distrodb_cluster.pause("node2")

def test_it_is_whole_and_empty_again(distrodb_cluster):
    assert distrodb_cluster is seen[0]
    assert distrodb_cluster.running() == ["node1", "node2", "node3"]
    assert distrodb_cluster.client().dbsize() == 0

@pytest.mark.distrodb(nodes=1, partitions=1)
def test_options(distrodb_cluster):
    assert distrodb_cluster.nodes == ["node1"]
    assert len(distrodb_cluster.status()["partitions"]) == 1

@pytest.mark.distrodb(nodes=0)
def test_options_that_are_none(distrodb_cluster):
    pass
"""


def run(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *KNOWN, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
    )


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    return tmp_path


def test_pytest_finds_it_by_itself():
    options = configparser.ConfigParser()
    options.read(Path(__file__).parents[2] / "setup.cfg")
    points = options["options.entry_points"]["pytest11"]
    assert points.strip() == "distrodb = distrodb.pytest_plugin"


def test_a_project_of_its_own(project):
    (project / "test_mine.py").write_text(PROJECT)
    done = run(project, "-q")
    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "0 slaves make no cluster; use 1 or more" in done.stdout


def test_where_it_is_not_used_it_imports_next_to_nothing(project):
    (project / "test_mine.py").write_text(
        "import sys\n"
        "def test_nothing():\n"
        "    assert 'distrodb.pytest_plugin' in sys.modules\n"
        "    assert not {'redis', 'distrodb.local', 'distrodb.client'} & set(sys.modules)\n"
    )
    assert "1 passed" in run(project, "-q").stdout
    assert "@pytest.mark.distrodb(nodes=3" in run(project, "--markers").stdout
