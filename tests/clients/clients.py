"""A client's program at work beside the test, and what it says when it is told to stop."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node_modules"
END_S_MAX = 60.0


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
        self._process = subprocess.Popen(
            [*program, kind, f"{kind}:", *addresses],
            cwd=HERE.parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> dict[str, Any]:
        """Its book: see workers.py."""
        output, problems = self._process.communicate(timeout=END_S_MAX)
        assert self._process.returncode == 0, f"{self.kind}: {problems}"
        book: dict[str, Any] = json.loads(output.splitlines()[-1])
        return book

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()
