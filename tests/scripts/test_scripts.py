"""Every script of this folder, played for a few seeds.  docs/testing.md says how to add one."""

from pathlib import Path

import pytest

from tests.scripts.runner import parse, play

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))
# Three orders of events: a story is about what it says, the simulator's random runs about the rest.
SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_what_its_name_says(script, seed):
    play(parse(script), seed)


def test_there_are_scripts():
    assert len(SCRIPTS) >= 10
