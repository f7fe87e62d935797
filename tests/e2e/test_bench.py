"""``distrodb bench`` against a real cluster: what it counts adds up, whatever happens meanwhile."""

import json
import os
import re
import signal
import subprocess

import pytest

from distrodb import LocalCluster
from tests.e2e.test_commands import DISTRODB, distrodb
from tests.e2e.test_terminal import Terminal


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(nodes=3, partitions=6) as cluster:
        cluster.wait_healed()
        yield cluster


def at(cluster) -> list[str]:
    return ["bench", "--config", str(cluster.configs["node1"].file)]


def adds_up(report: dict) -> None:
    assert report["asked"] == report["done"] + report["failed"] + report["in_flight"]
    assert report["failed"] == sum(report["errors"].values())
    kinds = report["latency_ms"]
    assert sum(kinds[k]["count"] for k in kinds if k != "all") == report["done"]
    for kind in kinds.values():
        assert 0 < kind["p50"] <= kind["p90"] <= kind["p99"] <= kind["p99.9"] <= kind["max"]


def keys(cluster, prefix: str) -> int:
    """How many there are, by a count of our own."""
    client = cluster.client()
    return len(set(client.scan_iter(match=f"{prefix}*", count=1000)))


def test_so_many_requests_are_done_and_each_is_counted_once(cluster):
    words = ["-n", "2000", "--keys", "300", "--prefix", "a:", "--fill", "-P", "8", "--json"]
    result = distrodb(*at(cluster), *words, "--size", "10,2k")
    report = json.loads(result.stdout)
    assert (result.returncode, result.stderr) == (0, "")
    assert report["asked"] == report["done"] == 2000 and report["errors"] == {}
    assert report["misses"] == 0 and keys(cluster, "a:") == 300
    assert report["redirected"] == 0, "each pipeline goes to the leader of its slots"
    adds_up(report)
    client = cluster.client()
    assert {client.strlen(f"a:{number:012d}") for number in range(300)} == {10, 2048}


def test_a_gateway_is_one_server(cluster):
    port = cluster.gateway_address("node2").rpartition(":")[2]
    words = ["--seconds", "0.5", "-c", "5", "--gets", "0", "--json"]
    report = json.loads(distrodb("bench", "--port", port, *words).stdout)
    adds_up(report)
    assert report["failed"] == 0 and set(report["latency_ms"]) == {"all", "set"}


def test_a_slave_asked_as_if_it_were_one_server_says_what_to_do(cluster):
    port = cluster.addresses["node1"].rpartition(":")[2]
    result = distrodb("bench", "--port", port, "-n", "200", "-c", "5")
    assert "MOVED (a cluster: use --cluster)" in result.stdout and result.returncode == 0
    result = distrodb("bench", "--port", port, "--cluster", "-n", "200", "-c", "5", "--json")
    assert json.loads(result.stdout)["done"] == 200


def test_a_rate_is_kept(cluster):
    words = ["--rate", "200", "--seconds", "2", "--json"]
    report = json.loads(distrodb(*at(cluster), *words).stdout)
    adds_up(report)
    assert report["asked"] == 400, "that is the rate's, however fast replies come"


def test_a_leader_dies_and_the_load_goes_on(cluster, tmp_path):
    words = ["--seconds", "6", "--rate", "1000", "-c", "20", "--json", "--prefix", "d:"]
    picture = tmp_path / "a.png"
    command = [*DISTRODB, *at(cluster), *words, "--plot", str(picture)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        client = cluster.client()
        cluster.wait_until(lambda: has_key(client, "d:"), "it writes")
        status = cluster.status()
        victim = next(row["leader"] for row in status["partitions"])
        cluster.kill(victim)
        out, _ = process.communicate(timeout=60)
    report = json.loads(out)
    adds_up(report)
    assert process.returncode == 0 and report["errors"] and report["failed"] < report["done"]
    last = [row for row in report["samples"] if row["at_s"] < report["seconds"]][-4:]
    assert all(row["a_second"] > 0 for row in last), "it goes on with who leads now"
    assert sum(row["errors"] for row in last) == 0
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    # A leader that is gone is no reason not to begin.
    result = distrodb(*at(cluster), "-n", "500", "--json")
    assert json.loads(result.stdout)["done"] > 0
    cluster.start(victim)
    cluster.wait_healed()


def has_key(client, prefix: str) -> bool:
    return next(client.scan_iter(match=f"{prefix}*", count=1000), None) is not None


def test_ctrl_c_shows_what_was_measured_so_far(cluster):
    command = [*DISTRODB, *at(cluster), "--seconds", "600", "--json", "--prefix", "c:"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    client = cluster.client()
    cluster.wait_until(lambda: has_key(client, "c:"), "it writes")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    report = json.loads(out)
    adds_up(report)
    assert process.returncode == 130 and report["interrupted"] and report["done"] > 0
    assert err == ""


def test_a_server_that_hangs_is_an_error_and_not_the_end(cluster):
    cluster.pause("node3")
    try:
        words = ["--seconds", "2", "-c", "5", "--timeout", "0.3", "--json"]
        report = json.loads(distrodb(*at(cluster), *words).stdout)
    finally:
        cluster.resume("node3")
    adds_up(report)
    assert any("0.3 s" in text or "no answer" in text for text in report["errors"]), report
    cluster.wait_healed()


def test_at_a_terminal_there_is_progress_and_a_chart(cluster):
    terminal = Terminal(*at(cluster), "--seconds", "3", TERM="xterm-256color")
    try:
        status = terminal.end("")
    finally:
        os.close(terminal.fd)
    text = terminal.written.decode()
    assert status == 0
    assert re.search(r"\d+%.*━.*/s  p50 [0-9.]+ ms  p99 [0-9.]+ ms", text)
    assert "commands a second, over time" in text and "█" in text and "┤" in text
    assert "how long they took: up to" in text
