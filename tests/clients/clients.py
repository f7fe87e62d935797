"""A client's program at work beside the test, and what it says when it is told to stop."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node_modules"
END_S_MAX = 60.0
WORD_S_MAX = 5.0  # until one that is asked how it stands is taken to be stuck


def need_node() -> None:
    """Skip without Node and its packages, but never where the gate runs."""
    if shutil.which("node") and NODE_MODULES.exists():
        return
    reason = "needs node, and `npm ci` in tests/clients"
    assert not os.environ.get("CI"), reason
    pytest.skip(reason)


class Client:
    def __init__(self, kind: str, addresses: list[str]):
        self.kind = kind
        is_node = kind.startswith(("ioredis", "node-redis"))
        program = (
            ["node", str(HERE / "worker.mjs")]
            if is_node
            else [sys.executable, "-m", "tests.clients.workers"]
        )
        # Files, since a pipe that nobody reads holds up who writes to it: some clients log there.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # until `kill`
        self._problems = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [*program, kind, f"{kind}:", *addresses],
            cwd=HERE.parents[1],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=self._problems,
            text=True,
        )

    def finish(self) -> dict[str, Any]:
        """Its book: see workers.py."""
        self._process.communicate(timeout=END_S_MAX)
        assert self._process.returncode == 0, self.last_words()
        book: dict[str, Any] = json.loads(self._said()[-1])
        return book

    def last_words(self) -> str:
        """What it has done, what it waits for, and what went wrong, in a line or some."""
        status = self._process.poll()
        word = self._ask() if status is None else f"has ended with status {status}"
        return f"{self.kind}: {word} {self._read(self._problems)[-1000:]}".rstrip()

    def _ask(self) -> str:
        assert self._process.stdin
        before = len(self._said())
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        until = time.monotonic() + WORD_S_MAX
        while len(said := self._said()) == before:
            if time.monotonic() > until:
                return f"says nothing for {WORD_S_MAX:g} s"
            time.sleep(0.05)
        return said[-1]

    def _said(self) -> list[str]:
        """Its books, each a line; other lines are a client's log."""
        return [line for line in self._read(self._output).splitlines() if line.startswith("{")]

    @staticmethod
    def _read(file: Any) -> str:
        # Its position is the child's too.
        return os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace")

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._output.close()
        self._problems.close()
