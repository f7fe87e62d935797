"""A client that takes the first answer for the last, but for MOVED, sees no error when leaders are
killed: only that its connections to the dead break."""

import itertools
import os
import random
import socket
import threading

import pytest

from distrodb import LocalCluster
from tests.faults.story import leader_of

KEYS = [f"key{number}" for number in range(12)]  # in every partition
HOPS_MAX = 5
SOAKED_KILLS = 10


class Plain(threading.Thread):
    """Asks any slave for any key, one command at a time; nothing is asked twice."""

    def __init__(self, cluster: LocalCluster, number: int):
        super().__init__(daemon=True)
        self._cluster, self._random = cluster, random.Random(number)
        self._files: dict[str, object] = {}
        self.is_stopped = False
        self.answered = self.broken = 0
        self.errors: list[str] = []

    def run(self) -> None:
        for count in itertools.count():
            if self.is_stopped:
                return
            key = self._random.choice(KEYS)
            lines = [f"SET {key} {count}", f"GET {key}", "DBSIZE", f"INCR n{key}"]
            address = self._random.choice([*self._cluster.addresses.values()])
            self._ask(address, self._random.choice(lines))

    def _ask(self, address: str, line: str) -> None:
        for _ in range(HOPS_MAX):
            try:
                reply = self._reply(address, line)
            except OSError:
                self._files.pop(address, None)
                self.broken += 1
                return
            if not reply.startswith("-MOVED"):
                break
            address = reply.split()[2]
        self.answered += 1
        if reply.startswith("-"):
            self.errors.append(f"{line}: {reply}")

    def _reply(self, address: str, line: str) -> str:
        file = self._files.get(address)
        if file is None:
            host, _, port = address.rpartition(":")
            file = socket.create_connection((host, int(port)), timeout=30).makefile("rwb")
            self._files[address] = file
        file.write(line.encode() + b"\r\n")
        file.flush()
        first = file.readline()
        if not first:
            raise ConnectionError("closed")
        if first.startswith(b"$") and first != b"$-1\r\n":
            file.read(int(first[1:]) + 2)
        return first.decode().strip()


def kill_leaders(cluster: LocalCluster, kills: int) -> list[Plain]:
    clients = [Plain(cluster, number) for number in range(3)]
    for client in clients:
        client.start()
    try:
        for number in range(kills):
            _go_on(cluster, clients)
            killed = leader_of(cluster, KEYS[number % len(KEYS)])
            cluster.kill(killed)
            _go_on(cluster, clients)
            cluster.start(killed)
            cluster.wait_ready()
    finally:
        for client in clients:
            client.is_stopped = True
        for client in clients:
            client.join(60)
    assert not any(client.is_alive() for client in clients), "a command hangs"
    assert any(client.broken for client in clients), "nobody was killed under load"
    return clients


def _go_on(cluster: LocalCluster, clients: list[Plain], answers: int = 50) -> None:
    goals = [client.answered + answers for client in clients]
    cluster.wait_until(
        lambda: all(c.answered >= goal for c, goal in zip(clients, goals, strict=True)),
        "clients are answered",
        60.0,
    )


def test_who_does_not_ask_again_sees_no_error_when_a_leader_is_killed(three):
    clients = kill_leaders(three, 2)
    assert [error for client in clients for error in client.errors] == []


@pytest.mark.soak
def test_the_same_for_longer(five):
    clients = kill_leaders(five, int(os.environ.get("DISTRODB_KILLS", SOAKED_KILLS)))
    print(sum(client.answered for client in clients), sum(client.broken for client in clients))
    assert [error for client in clients for error in client.errors] == []
