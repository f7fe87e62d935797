"""The README's commands, and those of docs/operations.md for slaves by hand, typed as they stand
there; only the ports are others."""

import os
import re
from pathlib import Path

import pytest

from tests.e2e.test_commands import free_base_port, home, slaves_of, wait_until_gone
from tests.support.clone import Clone
from tests.support.pages import README, ROOT, blocks

__all__ = ["home"]


def block(beginning: str, page: Path = README) -> list[str]:
    """The lines of the block that has a line with this beginning."""
    (found,) = {b.text for b in blocks(page) if f"\n{beginning}" in f"\n{b.text}"}
    return found.splitlines()


@pytest.fixture
def clone(home: Path, tmp_path: Path):
    clone = Clone(tmp_path, free_base_port())
    yield clone
    for directory in (clone.data, "conf"):
        for pid in slaves_of(directory):
            if os.readlink(f"/proc/{pid}/cwd") == str(tmp_path):
                os.kill(pid, 9)


def run(clone: Clone, command: str, lines: str = "") -> str:
    done = clone.run(command, lines)
    assert (done.returncode, done.stderr) == (0, ""), (command, done)
    return done.stdout


def test_the_session_and_the_ways_to_the_same_data(clone):
    (start,) = block("python3 -m venv .venv && .venv/bin/pip install -q . ")
    session = block("slave node1 pid ")
    typed = [line.partition("> ")[2] for line in session if re.match(r"127\.0\.0\.1:\d+> ", line)]
    said = run(clone, start.split(" && ")[-1], "\n".join(typed) + "\n").splitlines()
    varies = r"slave|waiting|Populating"
    expected = [line for line in session if not re.match(rf"{varies}|127|Commands", line)]
    assert [line for line in said if not re.match(varies, line)] == expected
    wait_until_gone(clone.data)
    for line in block("echo EXIT | .venv/bin/distrodb local\n"):
        out = run(clone, line)
        assert "unicorn" not in line or "black and white" in out
    example = "\n".join(block("client = redis.Redis("))
    assert run(clone, "cat > plain.py; .venv/bin/python plain.py", example) == "hello 60\n"
    (more, end, anew) = block("echo EXIT | .venv/bin/distrodb local --nodes 6")
    assert "ready: 6 slaves" in run(clone, more)
    run(clone, end)
    wait_until_gone(clone.data)
    assert clone.data.exists()
    run(clone, anew)
    assert not clone.data.exists()


def test_slaves_by_hand(clone):
    said = run(clone, "\n".join(block("for n in 1 2 3 4 5; do", ROOT / "docs" / "operations.md")))
    assert "healed: every partition has its 3 copies\nOK\nEnded node1" in said


def test_no_command_is_only_on_some_path():
    """A fresh clone has `.venv/bin/distrodb`, not `distrodb`."""
    for line in "".join(block.text for block in blocks(README)).splitlines():
        assert not re.match(r"\s*(distrodb|pip|pytest|python) ", line), line
