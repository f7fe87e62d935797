"""What people run with redis-cli against a server, against a slave: each mode says what it should.

They end by themselves, or when they have printed what is waited for.
"""

import subprocess
import time
from collections.abc import Iterator

import pytest

from distrodb import LocalCluster


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with LocalCluster(nodes=1, partitions=2) as cluster:
        cluster.wait_healed()
        client = cluster.client()
        for number in range(20):
            client.set(f"key{number}", "x" * (number + 1))
        client.hset("a hash", mapping={"f": "1", "g": "2"})
        client.close()
        yield next(iter(cluster.configs.values())).me.client.port


def cli(port: int, *args: str, given: str = "") -> str:
    command = ["redis-cli", "-p", str(port), *args]
    return subprocess.run(command, input=given, text=True, capture_output=True, timeout=30).stdout


class Running:
    """One that goes on for ever."""

    def __init__(self, port: int, *args: str):
        command = ["stdbuf", "-oL", "redis-cli", "-p", str(port), *args]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def lines(self) -> Iterator[str]:
        assert self._process.stdout is not None
        yield from self._process.stdout

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def test_stat_shows_numbers(port: int) -> None:
    running = Running(port, "--stat", "-i", "0.1")
    rows = (line.split() for line in running.lines() if line[:1].isdigit())
    keys, memory, clients, blocked, requests = next(rows)[:5]
    running.stop()
    assert (keys, blocked) == ("21", "0") and int(clients) >= 1 and int(requests) > 20
    assert memory[-1] in "BKMG" and float(memory[:-1]) > 0


def test_the_biggest_keys_are_found(port: int) -> None:
    told = cli(port, "--bigkeys")
    assert "Sampled 21 keys" in told and "Biggest string found '\"key19\"' has 20 bytes" in told
    assert "Biggest   hash found '\"a hash\"' has 2 fields" in told
    assert "Sampled 21 keys" in cli(port, "--memkeys")


def test_keys_are_scanned_and_commands_are_piped(port: int) -> None:
    assert len(set(cli(port, "--scan").splitlines())) == 21
    assert cli(port, "--scan", "--pattern", "key1?").count("key1") == 10
    told = cli(port, "--pipe", given="SET piped 1\r\nDEL piped\r\nNOSUCH\r\n")
    assert "errors: 1, replies: 3" in told


def test_latency_is_measured(port: int) -> None:
    least, worst, average, samples = cli(port, "--latency", "--raw", "-i", "0.2").split()
    assert int(least) <= float(average) <= int(worst) and int(samples) > 0


def test_monitor_shows_what_others_ask(port: int) -> None:
    running = Running(port, "monitor")
    lines = running.lines()
    assert next(lines) == "OK\n"
    cli(port, "get", "key1")
    shown = next(line for line in lines if "key1" in line)
    running.stop()
    at_s, _, rest = shown.partition(" ")
    assert abs(float(at_s) - time.time()) < 60 and rest.endswith('"get" "key1"\n')
    assert cli(port, "client", "kill", "type", "normal") == "0\n"
