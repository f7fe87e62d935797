"""A place like a fresh clone of the repository, for what the pages say is typed there.

It has `.venv` (this environment), `conf/` and `LICENSE`; it is HOME too, and `distrodb` is in the
PATH.  Only the ports are others: those of the pages (55551 on and, each 1000 higher, peers,
gateways and HTTP) stand for ports that are free here, in what is typed and in the files.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.pages import ROOT


class Clone:
    def __init__(self, path: Path, base: int) -> None:
        """``base``: what stands for 55550."""
        assert base % 10 == 0
        self.path = path
        self.base = base
        self.data = path / ".local" / "share" / "distrodb" / "local"
        self._moved = {f"5{n}55": str(base + (n - 5) * 1000)[:-1] for n in (5, 6, 7, 8)}
        (path / "conf").mkdir()
        for file in (ROOT / "conf").glob("*.toml"):
            (path / "conf" / file.name).write_text(self.with_ports(file.read_text()))
        (path / "LICENSE").write_text((ROOT / "LICENSE").read_text())
        (path / ".venv").symlink_to(sys.prefix)
        # `distrodb master` without --connect knows the usual ports only.
        (path / "sitecustomize.py").write_text(
            "from distrodb.config import Address\nimport distrodb.master.client as c\n"
            f"c.DEFAULT_ADDRESSES = tuple(Address('127.0.0.1', {base} + n) for n in range(1, 6))\n"
        )
        self.environment = {
            **os.environ,
            "HOME": str(path),
            "PATH": f"{path}/.venv/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(path),
        }
        self.environment.pop("XDG_DATA_HOME", None)

    def with_ports(self, text: str) -> str:
        return re.sub(r"5[5678]55(?=\d)", lambda match: self._moved[match[0]], text)

    def run(self, command: str, lines: str = "") -> subprocess.CompletedProcess[str]:
        """By bash, which stops at the first command that fails."""
        command = self.with_ports(command)
        command = re.sub(r"(distrodb local)\b", rf"\1 --base-port {self.base + 1}", command)
        return subprocess.run(
            ["bash", "-ec", command],
            input=self.with_ports(lines),
            capture_output=True,
            text=True,
            timeout=180,
            cwd=self.path,
            env=self.environment,
        )
