"""Node's sessions and caches at their ordinary work through a gateway, while a leader dies."""

import subprocess
from pathlib import Path

import pytest

PROGRAM = str(Path(__file__).with_name("node.mjs"))
MORE = 30  # steps between two events


@pytest.mark.parametrize("kind", ["connect-redis", "keyv"])
def test_it_works_on_while_a_leader_dies(place, node, kind):
    process = subprocess.Popen(
        node(PROGRAM, kind, place.url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        go_on(process)
        place.kill()
        go_on(process)
        place.revive()
        go_on(process)
        output, _ = process.communicate(timeout=60)
        assert output.splitlines()[-1] == "well", output[-500:]
    finally:
        process.kill()
        process.wait()


def go_on(process):
    """Some steps from this moment on; what it did before is in the pipe still."""
    process.stdin.write("\n")
    process.stdin.flush()
    while (line := process.stdout.readline()) != "now\n":
        assert line.startswith("step "), line
    for _ in range(MORE):
        line = process.stdout.readline()
        assert line.startswith("step "), line
