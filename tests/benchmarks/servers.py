"""What is measured against: one Redis that syncs each write, three members of etcd, the disk.

Each is a context manager whose data is in a temporary directory on the disk that LocalCluster's is
on.  ``cpu_s`` is the processor time that processes have had so far, system time included.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import redis

from distrodb.config import Address
from distrodb.ports import is_free

READY_S_MAX = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PORTS = iter(range(9000, 10000))  # below those of LocalCluster


def free_port() -> int:
    return next(port for port in _PORTS if is_free(Address("127.0.0.1", port)))


def cpu_s(pids: Iterable[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def resident_bytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert match is not None
    return int(match[1]) * 1024


def _wait(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + READY_S_MAX
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"after {READY_S_MAX:g} s it is still not so that {what}")
        time.sleep(0.05)


class Server:
    """Processes that can be told to stand still while another system is measured."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="distrodb-peer-"))
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    def start(self, *command: str) -> None:
        log = (self.directory / f"{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory)
        self.processes.append(process)

    def pause(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.directory)


class Redis(Server):
    """``is_synced``: as durable as one server can be; else it is as fast as it can be."""

    def __init__(self, is_synced: bool = True) -> None:
        super().__init__()
        self.port = free_port()
        synced = ["--appendonly", "yes", "--appendfsync", "always"] if is_synced else []
        self.start("redis-server", "--port", str(self.port), "--save", "", *synced)
        with redis.Redis(port=self.port) as client:
            _wait(lambda: _answers(client), "redis-server answers")


def _answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


class Etcd(Server):
    """Three members, with their defaults."""

    def __init__(self) -> None:
        super().__init__()
        ports = [(free_port(), free_port()) for _ in range(3)]
        names = [f"m{n}=http://127.0.0.1:{peer}" for n, (_, peer) in enumerate(ports)]
        self.endpoints = ",".join(f"127.0.0.1:{client}" for client, _ in ports)
        for n, (client, peer) in enumerate(ports):
            urls = {"client": f"http://127.0.0.1:{client}", "peer": f"http://127.0.0.1:{peer}"}
            self.start(
                *("etcd", "--name", f"m{n}", "--data-dir", str(self.directory / f"m{n}")),
                *("--listen-client-urls", urls["client"]),
                *("--advertise-client-urls", urls["client"]),
                *("--listen-peer-urls", urls["peer"]),
                *("--initial-advertise-peer-urls", urls["peer"]),
                *("--initial-cluster", ",".join(names), "--logger", "zap"),
            )
        _wait(lambda: self.ctl("endpoint", "health").returncode == 0, "etcd answers")

    def ctl(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Version 3 of its own client."""
        return subprocess.run(
            ["etcdctl", "--endpoints", self.endpoints, *words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ETCDCTL_API": "3"},
        )

    def perf(self, load: str) -> float:
        """Its own measurement, a minute long: writes a second.  That of ``xl`` are 1,000 clients
        with 1 KiB, each as fast as 15,000 a second in all allow."""
        done = self.ctl("check", "perf", f"--load={load}", "--prefix=/perf/", "--auto-compact")
        match = re.search(r"([0-9.]+) writes/s", done.stdout + done.stderr)
        if match is None:
            raise RuntimeError(f"etcdctl check perf says no rate: {done.stdout}{done.stderr}")
        return float(match[1])


@contextlib.contextmanager
def closing(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.close()


# -- the disk --------------------------------------------------------------------------------------


def fdatasync_s(directory: Path, times: int = 200, size: int = 512) -> list[float]:
    """How long one write into a file that is as long already and one fdatasync take."""
    took, data = [], bytes(range(256)) * (size // 256)
    with _file(directory) as fd:
        os.posix_fallocate(fd, 0, size * times)
        os.pwrite(fd, bytes(size * times), 0)
        os.fdatasync(fd)
        for number in range(times):
            began = time.perf_counter()
            os.pwrite(fd, data, number * size)
            os.fdatasync(fd)
            took.append(time.perf_counter() - began)
    return took


def sequential_rate(directory: Path, total: int = 256 << 20, at_once: int = 16 << 20) -> float:
    """Bytes a second of large writes one after another, each synced."""
    data = bytes(range(256)) * (at_once // 256)
    began = time.perf_counter()
    with _file(directory) as fd:
        for number in range(total // at_once):
            os.pwrite(fd, data, number * at_once)
            os.fdatasync(fd)
    return total / (time.perf_counter() - began)


@contextlib.contextmanager
def _file(directory: Path) -> Iterator[int]:
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        yield file.fileno()
