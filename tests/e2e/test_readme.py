"""The README's commands, typed as they stand there; only the ports are others."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_commands import free_base_port, home, slaves_of, wait_until_gone

__all__ = ["home"]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"(?:^    .*\n|^\n(?=    ))+", README, re.MULTILINE)


def block(beginning: str) -> list[str]:
    """The lines of the indented block that has a line with this beginning."""
    found = [b for b in BLOCKS if re.search(rf"^    {re.escape(beginning)}", b, re.MULTILINE)]
    assert len(found) == 1, beginning
    return [line[4:] for line in found[0].strip("\n").splitlines()]


@pytest.fixture
def clone(home: Path, tmp_path: Path):
    """A place like a fresh clone with its environment; ``run`` types lines there."""
    base = free_base_port()
    moved = {f"5{n}55": str(base + (n - 5) * 1000)[:-1] for n in (5, 6, 7, 8)}
    assert base % 10 == 0

    def with_ports(text: str) -> str:
        return re.sub(r"5[5678]55(?=\d)", lambda match: moved[match[0]], text)

    (tmp_path / "conf").mkdir()
    for file in (ROOT / "conf").glob("*.toml"):
        (tmp_path / "conf" / file.name).write_text(with_ports(file.read_text()))
    (tmp_path / "LICENSE").write_text((ROOT / "LICENSE").read_text())
    (tmp_path / ".venv").symlink_to(sys.prefix)
    # `distrodb master` without --connect knows the usual ports only.
    (tmp_path / "sitecustomize.py").write_text(
        "from distrodb.config import Address\nimport distrodb.master.client as c\n"
        f"c.DEFAULT_ADDRESSES = tuple(Address('127.0.0.1', {base} + n) for n in range(1, 6))\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    environment.pop("XDG_DATA_HOME", None)

    def run(command: str, lines: str = "") -> str:
        command = re.sub(r"(distrodb local)\b", rf"\1 --base-port {base + 1}", with_ports(command))
        done = subprocess.run(
            ["bash", "-c", command],
            input=with_ports(lines),
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env=environment,
        )
        assert (done.returncode, done.stderr) == (0, ""), (command, done)
        return done.stdout

    run.data = tmp_path / ".local" / "share" / "distrodb" / "local"
    yield run
    for directory in (run.data, "conf"):
        for pid in slaves_of(directory):
            if os.readlink(f"/proc/{pid}/cwd") == str(tmp_path):
                os.kill(pid, 9)


def test_the_session_and_the_ways_to_the_same_data(clone):
    (start,) = block("python3 -m venv .venv && .venv/bin/pip install -q . ")
    session = block("slave node1 pid ")
    typed = [line.partition("> ")[2] for line in session if re.match(r"127\.0\.0\.1:\d+> ", line)]
    said = clone(start.split(" && ")[-1], "\n".join(typed) + "\n").splitlines()
    varies = r"slave|waiting|Populating"
    expected = [line for line in session if not re.match(rf"{varies}|127|Commands", line)]
    assert [line for line in said if not re.match(varies, line)] == expected
    wait_until_gone(clone.data)
    for line in block("echo EXIT | .venv/bin/distrodb local\n"[:-1] + "\n    redis-cli"):
        out = clone(line)
        assert "unicorn" not in line or "black and white" in out
    example = "\n".join(block("client = redis.Redis("))
    assert clone("cat > plain.py; .venv/bin/python plain.py", example) == "b'hello' 60\n"
    (more, end, anew) = block("echo EXIT | .venv/bin/distrodb local --nodes 6")
    assert "ready: 6 slaves" in clone(more)
    clone(end)
    wait_until_gone(clone.data)
    assert clone.data.exists()
    clone(anew)
    assert not clone.data.exists()


def test_slaves_by_hand(clone):
    said = clone("\n".join(block("for n in 1 2 3 4 5; do")))
    assert "healed: every partition has its 3 copies\nOK\nEnded node1" in said


def test_from_python(clone):
    clone("cat > example.py; .venv/bin/python example.py", "\n".join(block("import distrodb")))


def test_no_command_is_only_on_some_path():
    """A fresh clone has `.venv/bin/distrodb`, not `distrodb`."""
    for line in "\n".join(BLOCKS).splitlines():
        assert not re.match(r"\s*(distrodb|pip|pytest|python) ", line), line
