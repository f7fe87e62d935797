"""Random faults under load, for many seeds: whatever clients saw, a single Redis could have said.

A failure prints the command that replays it.  The seeds are fixed (seeds.py); fresh ones are for
``python -m tests.sim --soak S`` and ``pytest -m soak tests/sim`` (DISTRODB_SOAK_S seconds, 300
unless told), which appends what it covered to the file DISTRODB_REPORT.
"""

import os
import subprocess
import sys

import pytest

from tests.sim import coverage
from tests.sim.__main__ import soak
from tests.sim.chaos import VIRTUAL_S, Chaos
from tests.sim.kinds import KINDS
from tests.sim.seeds import CHAOS, HEALING


@pytest.mark.parametrize("seed", CHAOS)
def test_no_acknowledged_write_is_lost(seed):
    assert coverage.chaos.run(seed).operations > 0


@pytest.mark.parametrize("seed", HEALING)
def test_nothing_is_lost_while_the_ring_heals(seed):
    assert coverage.healing.run(seed).operations > 0


def test_a_seed_replays_exactly_in_another_process_and_under_another_hash_seed():
    def line(hash_seed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tests.sim", "--seed", "7", "--seconds", "15"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert line("1") == line("2") and '"trace"' in line("3")
    assert Chaos(7).run(5.0).trace != Chaos(8).run(5.0).trace


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_for_long_with_fresh_seeds(kind):
    seconds = float(os.environ.get("DISTRODB_SOAK_S", "300"))
    first = int.from_bytes(os.urandom(4), "big")
    assert soak(seconds, VIRTUAL_S, first, os.environ.get("DISTRODB_REPORT"), kind) == 0
