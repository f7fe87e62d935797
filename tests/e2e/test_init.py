"""The files of ``distrodb init``, started as they are, by the commands that it prints."""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.test_commands import DISTRODB, free_base_port

READY_S = 60


def distrodb(folder: Path, *words: str, status: int = 0) -> str:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("DISTRODB_")}
    done = subprocess.run(
        [*DISTRODB, *words], cwd=folder, capture_output=True, text=True, timeout=120, env=clean
    )
    assert done.returncode == status, (words, done.stdout, done.stderr)
    return done.stdout


def printed(said: str) -> list[list[str]]:
    """The commands among it, without ``distrodb``."""
    lines = [line for line in said.splitlines() if line.startswith("  distrodb ")]
    return [shlex.split(line)[1:] for line in lines]


@contextlib.contextmanager
def running(
    folder: Path, commands: list[list[str]], **environment: str
) -> Iterator[list[subprocess.Popen[bytes]]]:
    slaves: list[subprocess.Popen[bytes]] = []
    try:
        for words in commands:
            with open(folder / f"{len(slaves)}.log", "ab") as log:
                started = subprocess.Popen(
                    [*DISTRODB, *words], cwd=folder, stderr=log, env={**os.environ, **environment}
                )
            slaves.append(started)
        yield slaves
    finally:
        for each in slaves:
            each.kill()
            each.wait()


def test_a_cluster_of_init_runs_and_grows_by_what_it_prints(tmp_path: Path) -> None:
    base = str(free_base_port())
    rows = [word for n in (1, 2, 3) for word in ("--node", f"node{n}=127.0.0.1")]
    said = distrodb(tmp_path, "init", "made", *rows, "--tls", "--http", "--base-port", base)
    *slaves, status = printed(said)
    assert len(slaves) == 3
    ready = ["--wait", str(READY_S)]
    with running(tmp_path, slaves) as processes:
        for words in slaves:
            assert "is ready" in distrodb(tmp_path, "ready", words[-1], *ready)
        assert "ring node1 node2 node3" in distrodb(tmp_path, *status)
        *more, status = printed(distrodb(tmp_path, "init", "made", "--add", "node4=127.0.0.1"))
        with running(tmp_path, more):
            assert distrodb(tmp_path, "ready", more[0][-1], *ready) == "node4 is ready\n"
            assert "ring node1 node2 node3 node4" in distrodb(tmp_path, *status)
        for each in processes:
            each.send_signal(signal.SIGTERM)
            assert each.wait(30) == 0
    distrodb(tmp_path, "ready", slaves[0][-1], status=1)


def test_a_slave_tells_systemd_when_it_listens_and_when_it_ends(tmp_path: Path) -> None:
    base = str(free_base_port())
    said = distrodb(tmp_path, "init", "made", "--node", "a=127.0.0.1", "--base-port", base)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        told = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "300000"}
        with running(tmp_path, printed(said)[:1], **told) as (process,):
            assert b"READY=1" in manager.recv(4096).splitlines()
            with socket.create_connection(("127.0.0.1", int(base)), timeout=10):
                pass
            assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            process.send_signal(signal.SIGTERM)
            while b"STOPPING=1" not in manager.recv(4096).splitlines():
                pass
            assert process.wait(30) == 0
