"""Applications of Node at their ordinary work through a gateway, while a leader dies.

Each is a program of its own (node/*.mjs), which sees to it that its outcome is right.
"""

import subprocess
from pathlib import Path

import pytest
from redis import Redis

PROGRAMS = Path(__file__).with_name("node")
MORE = 30  # steps between two events
END_S_MAX = 120.0
long = [pytest.mark.apps, pytest.mark.timeout(300)]

THROUGH_A_KILL = [
    "connect_redis",
    "keyv",
    pytest.param("limiter", marks=long),
    pytest.param("socketio pubsub", marks=long),
    pytest.param("socketio sharded", marks=long),
    pytest.param("socketio streams", marks=long),
    pytest.param("bullmq", marks=long),
    pytest.param("bullmq redis", marks=long),
]


@pytest.mark.parametrize("words", THROUGH_A_KILL)
def test_it_works_on_while_a_leader_dies(place, node, words):
    with begun(place, node, words) as process:
        try:
            go_on(process)
            place.kill()
            go_on(process)
            place.revive()
            go_on(process)
            ends_well(process)
        finally:
            process.kill()


@pytest.mark.apps
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "words", ["bullmq_queue", "bullmq_workers", "bullmq_queue redis", "bullmq_workers redis"]
)
def test_it_has_all_that_it_asks_for(place, node, words):
    with begun(place, node, words) as process:
        try:
            ends_well(process)
        finally:
            process.kill()


def begun(place, node, words):
    Redis(place.host, place.port).flushall()
    name, *rest = words.split()
    return subprocess.Popen(
        node(str(PROGRAMS / f"{name}.mjs"), place.url, *rest),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go_on(process):
    """Some steps from this moment on; what it did before is in the pipe still."""
    process.stdin.write("\n")
    process.stdin.flush()
    while (line := process.stdout.readline()) != "now\n":
        assert line.startswith("step "), line
    for _ in range(MORE):
        line = process.stdout.readline()
        assert line.startswith("step "), line


def ends_well(process):
    output, _ = process.communicate(timeout=END_S_MAX)
    assert output.splitlines()[-1:] == ["well"], output[-2000:]
