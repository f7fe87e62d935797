"""What README.md and docs/ mark as run (tests/support/pages.py) is run, page by page, in order.

All pages share one place and one cluster, which is empty when a page begins but for a key.  A
page's blocks share files, and one Python.  Only ports are others than those of the page, those of a
Redis at `127.0.0.1:6379` too.  Each kind of block says below when it went well.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from distrodb.config import load
from tests.clients.clients import HERE as CLIENTS
from tests.clients.clients import need_node
from tests.e2e.test_commands import free_base_port, slaves_of
from tests.scripts.runner import parse, play
from tests.support.clone import Clone
from tests.support.pages import PAGES, ROOT, Block, blocks

RUN = {page: [block for block in blocks(page) if block.is_run] for page in PAGES}


class World:
    def __init__(self, clone: Clone, redis_port: int) -> None:
        self.clone = clone
        self.redis_port = redis_port
        self._names: dict[str, Any] = {}
        port = clone.base + 2001
        # Some page may take all rights from `default`.
        redis.Redis(port=port).acl_setuser(
            "ours", enabled=True, passwords="+ours", keys="*", channels="*", commands=["+@all"]
        )
        self._gateway = redis.Redis(
            port=port, username="ours", password="ours", decode_responses=True
        )
        self._rules = self._gateway.execute_command("ACL", "LIST")

    def begin(self) -> None:
        self._names = {}
        self._gateway.flushall()
        self._gateway.set("before", "the page")

    def end(self) -> None:
        """Users are as they were."""
        for rule in self._gateway.execute_command("ACL", "LIST"):
            if rule not in self._rules and rule.split()[1] != "default":
                self._gateway.execute_command("ACL", "DELUSER", rule.split()[1])
        default = next(rule for rule in self._rules if rule.startswith("user default "))
        self._gateway.execute_command("ACL", "SETUSER", "default", "reset", *default.split()[2:])

    def run(self, block: Block) -> None:
        kind, _, argument = block.kind.partition(" ")
        how: Callable[[str, str], None] = getattr(self, f"_{kind}")
        how(self.clone.with_ports(block.text), argument)

    def _shell(self, text: str, how: str) -> None:
        """It ends with status 0.  ``emptied``: it brings back all keys, deleted before."""
        keys = self._gateway.dbsize()
        if how == "emptied":
            assert keys
            self._gateway.flushall()
        self._ended_well(self.clone.run(text.replace("127.0.0.1:6379", self._other())))
        assert how != "emptied" or self._gateway.dbsize() == keys

    def _other(self) -> str:
        return f"127.0.0.1:{self.redis_port}"

    def _checkout(self, text: str, _: str) -> None:
        """The shell, but where the tests are; ends with status 0."""
        command = text.replace(".venv/bin/python", sys.executable)
        self._ended_well(
            subprocess.run(["bash", "-ec", command], cwd=ROOT, capture_output=True, text=True)
        )

    def _redis(self, lines: str, _: str) -> None:
        """Typed by an administrator, and all answered `OK`."""
        call = f"redis-cli -p {self.clone.base + 2001} --user ours --pass ours --no-auth-warning"
        said = self.clone.run(call, lines).stdout.splitlines()
        assert said == ["OK"] * len(lines.splitlines()), said

    def _python(self, text: str, _: str) -> None:
        """It raises nothing; names stay for the page's later blocks."""
        with contextlib.redirect_stdout(None):
            exec(text, self._names)

    def _node(self, text: str, _: str) -> None:
        """A module; it raises nothing until its last line."""
        need_node()
        command = ["node", "--input-type=module", "-e", f"{text}\nprocess.exit(0);\n"]
        self._ended_well(
            subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, timeout=60)
        )

    def _pytest(self, text: str, _: str) -> None:
        """All of its tests pass."""
        (self.clone.path / "test_page.py").write_text(text)
        self._ended_well(self.clone.run(".venv/bin/python -m pytest -q test_page.py"))

    def _script(self, text: str, _: str) -> None:
        """A script of tests/scripts, which holds."""
        file = self.clone.path / "script.txt"
        file.write_text(text)
        play(parse(file), 0)

    def _file(self, text: str, name: str) -> None:
        (self.clone.path / name).write_text(text)

    def _slave(self, text: str, _: str) -> None:
        """Options that a slave takes, in the place of those of conf/node1.toml."""
        said = tomllib.loads(text)
        whole = tomllib.loads((self.clone.path / "conf" / "node1.toml").read_text())
        rows = said.get("cluster", {}).get("nodes", [])
        if "join" in said.get("node", {}):
            del whole["cluster"]["nodes"], whole["cluster"]["partitions"]
        else:
            ids = {row["id"] for row in rows}
            rows += [row for row in whole["cluster"]["nodes"] if row["id"] not in ids]
        for section, options in said.items():
            whole.setdefault(section, {}).update(options)
        whole["cluster"]["nodes"] = rows
        file = self.clone.path / "conf" / "of_a_page.toml"
        file.write_text(_toml(whole))
        load(file)

    def _ended_well(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def _toml(sections: dict[str, Any]) -> str:
    rows = sections["cluster"].pop("nodes")
    parts = [(f"[{name}]", options) for name, options in sections.items()]
    parts += [("[[cluster.nodes]]", row) for row in rows]
    return "".join(
        f"{head}\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
        for head, options in parts
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    path = tmp_path_factory.mktemp("clone")
    clone = Clone(path, free_base_port())
    port = clone.base + 9
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--dir", str(path), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        started = clone.run("distrodb local --nodes 3", "EXIT\n")
        assert started.returncode == 0, started.stderr
        with redis.Redis(port=port) as client:
            client.set("moved", "from Redis")
            client.save()  # dump.rdb
        yield World(clone, port)
    finally:
        server.kill()
        server.wait()
        for pid in slaves_of(clone.data):
            os.kill(pid, 9)
        shutil.rmtree(clone.data, ignore_errors=True)


def _run(world: World, page: Path, is_soak: bool) -> None:
    world.begin()
    try:
        for block in RUN[page]:
            if is_soak or not block.is_soak:
                try:
                    world.run(block)
                except BaseException as problem:
                    problem.add_note(f"{block}: {block.mark}")
                    raise
    finally:
        world.end()


def _pages(*, soak: bool) -> list[Any]:
    return [page for page, run in RUN.items() if any(block.is_soak == soak for block in run)]


@pytest.mark.parametrize("page", _pages(soak=False), ids=lambda page: page.name)
def test_what_a_page_says_can_be_typed(world: World, page: Path) -> None:
    _run(world, page, is_soak=False)


@pytest.mark.soak
@pytest.mark.parametrize("page", _pages(soak=True), ids=lambda page: page.name)
def test_what_takes_longer_too(world: World, page: Path) -> None:
    _run(world, page, is_soak=True)
