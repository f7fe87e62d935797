"""What systemd is told by a slave."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from distrodb.slave.service_manager import ServiceManager


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def told(listener: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found += listener.recv(4096).decode().splitlines()
        except BlockingIOError:
            return found


def test_it_says_that_it_is_ready_and_that_it_ends(listener: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": listener.getsockname()})
    manager.beat(0.0)  # nobody watches
    assert told(listener) == []
    manager.ready()
    assert told(listener) == ["READY=1", "STATUS=serves"]
    manager.stopping()
    assert told(listener)[0] == "STOPPING=1"


def test_it_shows_life_three_times_as_often_as_it_must(listener: socket.socket) -> None:
    place = {"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "3000000"}
    for watched, signs in (("7", 4), ("8", 0), ("", 4)):
        manager = ServiceManager({**place, "WATCHDOG_PID": watched}, pid=7)
        for quarter in range(13):
            manager.beat(100 + quarter / 4)
        assert told(listener) == ["WATCHDOG=1"] * signs


def test_an_abstract_name_begins_with_a_nul() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # the kernel gives it one
        listener.setblocking(False)
        name = listener.getsockname()[1:].decode()
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert told(listener)[0] == "READY=1"


def test_one_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "none")}):
        manager = ServiceManager({**environment, "WATCHDOG_USEC": "1"})
        manager.ready()
        manager.beat(1.0)
        manager.stopping()
