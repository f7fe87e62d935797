"""A real redis-server on this machine, the oracle: started for the tests, asked over its socket.

Without the program the tests are skipped; the gate (``CI=true``) must have it.
"""

import os
import select
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from distrodb import local
from distrodb.clock import monotonic, sleep
from tests.oracle.frames import Cut, Frame, pack, read_frame, read_frames

PATIENCE_S = 30.0


def program() -> str:
    found = shutil.which("redis-server")
    if found is None:
        assert os.environ.get("CI") != "true", "the gate needs redis-server (apt: redis-server)"
        pytest.skip("no redis-server here to compare with (apt: redis-server)")
    return found


class Connection:
    """A client of a server: commands out, frames back."""

    def __init__(self, address: str | tuple[str, int]):
        if isinstance(address, str):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(PATIENCE_S)
            self._socket.connect(address)
        else:
            self._socket = socket.create_connection(address, timeout=PATIENCE_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data, self._at = b"", 0

    def ask_all(self, commands: list[list[bytes]]) -> list[Frame]:
        """One frame for each command, in order."""
        self._socket.sendall(b"".join(map(pack, commands)))
        return [self.read() for _ in commands]

    def ask(self, *args: bytes) -> Frame:
        return self.ask_all([list(args)])[0]

    def read(self) -> Frame:
        while True:
            try:
                frame, self._at = read_frame(self._data, self._at)
                return frame
            except Cut:
                received = self._socket.recv(1 << 20)
                if not received:
                    raise ConnectionError("the server has closed the connection") from None
                self._data, self._at = self._data[self._at :] + received, 0

    def send(self, words: list[bytes]) -> None:
        self._socket.sendall(pack(words))

    def received(self) -> list[Frame]:
        """What has come, all of it whole."""
        while select.select([self._socket], [], [], 0)[0]:
            received = self._socket.recv(1 << 20)
            if not received:
                raise ConnectionError("the server has closed the connection")
            self._data += received
        frames = read_frames(self._data[self._at :])
        self._data, self._at = b"", 0
        return frames

    def close(self) -> None:
        self._socket.close()


class RedisServer:
    def __init__(self, address: str, major: int):
        self.address = address
        self.major = major

    def connect(self) -> Connection:
        return Connection(self.address)


@contextmanager
def redis_server(is_cluster: bool) -> Iterator[RedisServer]:
    """One that holds all slots by itself; ``is_cluster``: as a node of a Redis Cluster."""
    with tempfile.TemporaryDirectory(prefix="oracle-") as directory:
        address = str(Path(directory, "redis.sock"))
        words = [program(), "--port", "0", "--unixsocket", address, "--dir", directory]
        words += ["--save", "", "--daemonize", "no", "--logfile", "redis.log"]
        if is_cluster:
            with socket.create_server(("127.0.0.1", 0)) as free:  # nobody dials the cluster's bus
                bus = str(free.getsockname()[1])
            words += ["--cluster-enabled", "yes", "--cluster-port", bus, "--bind", "127.0.0.1"]
        process = subprocess.Popen(words, preexec_fn=local.die_with_parent)
        try:
            connection = _first_connection(address)
            if is_cluster:
                _take_all_slots(connection)
            _, info = connection.ask(b"INFO", b"server")
            connection.close()
            version = info.split(b"redis_version:")[1].split(b".")[0]
            yield RedisServer(address, int(version))
        finally:
            process.kill()
            process.wait()


def _first_connection(address: str) -> Connection:
    ends = monotonic() + PATIENCE_S
    while True:
        try:
            return Connection(address)
        except OSError:
            assert monotonic() < ends, "redis-server does not come up"
            sleep(0.01)


def _take_all_slots(connection: Connection) -> None:
    assert connection.ask(b"CLUSTER", b"ADDSLOTSRANGE", b"0", b"16383") == (b"+", b"OK")
    ends = monotonic() + PATIENCE_S
    while b"cluster_state:ok" not in connection.ask(b"CLUSTER", b"INFO")[1]:
        assert monotonic() < ends, "redis-server's cluster does not come up"
        sleep(0.05)
