"""The HTTP ports of real slaves."""

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from distrodb import LocalCluster
from distrodb.config import load
from tests.e2e.test_commands import distrodb

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(nodes=3, partitions=4, raft_dead_after_s=60.0) as cluster:
        cluster.wait_healed()
        yield cluster


def ask(cluster: LocalCluster, node: str, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(
            f"http://{cluster.http_address(node)}{path}", timeout=10
        ) as got:
            return got.status, got.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def test_every_slave_s_page_is_in_the_status(cluster):
    for node in cluster.nodes:
        status, body = ask(cluster, node, "/cluster")
        told = json.loads(body)
        assert status == 200 and told["asked"]["node"] == node
        assert {n: row["http"] for n, row in told["nodes"].items()} == {
            n: f"http://{cluster.http_address(n)}" for n in cluster.nodes
        }
    shown = json.loads(distrodb("status", "--json", "--connect", cluster.addresses["node2"]).stdout)
    assert shown["nodes"]["node3"]["http"] == cluster.http_url("node3")


def test_it_listens_at_the_loopback_address_only(cluster):
    assert {config.me.http_bind.host for config in cluster.configs.values()} == {"127.0.0.1"}


def test_the_cluster_s_json_is_documented_field_by_field(cluster):
    text = (DOCS / "monitoring.md").read_text()
    section = text.partition("## The cluster as JSON")[2].partition("\n## ")[0]
    documented = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    assert documented == set(fields(json.loads(ask(cluster, "node1", "/cluster")[1]))) | {
        f"moves[].{name}" for name in ("group", "from", "to", "done", "total")
    }  # nothing moves here


def fields(value: object, path: str = "") -> list[str]:
    """The names of what is not an object or a list of objects, with where they are."""
    if isinstance(value, dict) and value:
        inner = {"nodes": "{}"}.get(path)
        if inner:
            return [each for one in value.values() for each in fields(one, f"{path}{inner}")]
        return [
            each
            for name, one in value.items()
            for each in fields(one, f"{path}.{name}" if path else name)
        ]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [each for one in value for each in fields(one, f"{path}[]")]
    return [path] if path != "moves" else []


def test_a_key_s_place_is_what_redis_says(cluster):
    found = json.loads(ask(cluster, "node2", "/key?name=unicorn")[1])
    with cluster.connection("node1") as slave:
        assert found["slot"] == slave.execute_command("CLUSTER KEYSLOT unicorn")
    row = cluster.status()["partitions"][found["partition"]]
    assert found["leader"] == row["leader"] and found["slots"] == row["slots"]


def test_a_slave_is_ready_until_its_majority_is_gone(cluster):
    assert [ask(cluster, node, "/readyz") for node in cluster.nodes] == [(200, b"ready\n")] * 3
    cluster.kill("node2")
    cluster.kill("node3")
    cluster.wait_until(lambda: ask(cluster, "node1", "/readyz")[0] == 503, "node1 is not ready")
    status, reasons = ask(cluster, "node1", "/readyz")
    assert status == 503 and b"hears 1 of the 3 slaves of the ring, no majority" in reasons
    assert ask(cluster, "node1", "/healthz") == (200, b"ok\n")
    for node in ("node2", "node3"):
        cluster.revive(node)
    cluster.wait_healed()
    cluster.wait_until(lambda: ask(cluster, "node1", "/readyz")[0] == 200, "node1 is ready again")


def test_a_slave_whose_http_port_is_taken_does_its_work(tmp_path):
    with LocalCluster(nodes=1, directory=tmp_path) as cluster:
        at = cluster.configs["node1"].me.http_bind
    with socket.create_server((at.host, at.port)), LocalCluster(directory=tmp_path) as cluster:
        with cluster.client() as client:
            assert client.set("a", "1") and client.get("a") == b"1"
        said = (tmp_path / "node1" / "slave.log").read_text()
        assert f"nothing is served at http://{at}: it is in use, perhaps by a slave" in said


def test_a_slave_without_the_row_has_no_http_port(tmp_path):
    with LocalCluster(nodes=1, directory=tmp_path) as cluster:
        file = cluster.configs["node1"].file
    file.write_text(
        "".join(line for line in file.read_text().splitlines(True) if not line.startswith("http"))
    )
    assert load(file).me.http is None
    with LocalCluster(directory=tmp_path) as cluster:
        assert cluster.http_address("node1") is None
        assert cluster.status()["nodes"]["node1"]["http"] is None


def test_a_web_page_elsewhere_cannot_read_it(cluster):
    """Its name may be made to mean this address; what the browser then says as Host gives it away.
    And no answer allows another origin to read it."""
    at = f"http://{cluster.http_address('node1')}/cluster"
    for headers, code in (
        ({"Host": "evil.example:58551"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(at, headers=headers))
        assert refused.value.code == code
    with urllib.request.urlopen(at) as got:
        assert "Access-Control-Allow-Origin" not in got.headers


def test_a_value_is_read_at_its_leader_from_whatever_slave_is_asked(cluster):
    with cluster.client() as client:
        client.set("tale", b"once \xff" + b"x" * 2000, px=600_000)
    for node in cluster.nodes:
        value = json.loads(ask(cluster, node, "/key?name=tale")[1])["value"]
        assert 0 < value.pop("ttl_ms") <= 600_000
        shown = "once \\xff" + "x" * (1024 - 6)
        assert value == {"type": "string", "length": 2006, "text": shown}
    assert json.loads(ask(cluster, "node1", "/key?name=none")[1])["why"] == "there is no such key"


def test_what_is_wrong_is_told_by_the_port_and_by_the_command(cluster):
    told = json.loads(ask(cluster, "node2", "/doctor")[1])
    assert {each["code"] for each in told} == {"no_secret", "no_password"}
    assert {each["severity"] for each in told} == {"note"}
    shown = distrodb("doctor", "--json", "--connect", cluster.addresses["node2"])
    assert {each["code"] for each in json.loads(shown.stdout)} == {"no_secret", "no_password"}
    in_shell = distrodb("master", "--connect", cluster.addresses["node2"], "-c", "doctor")
    assert in_shell.stdout.startswith("note: ") and in_shell.returncode == shown.returncode == 0


def test_what_a_slave_tells_of_itself_is_measured(cluster):
    values = {}
    for line in ask(cluster, "node1", "/metrics")[1].decode().splitlines():
        name, _, value = line.rpartition(" ")
        values[name] = value
    free, total = (float(values[f'distrodb_disk_bytes{{what="{w}"}}']) for w in ("free", "total"))
    assert 0 < free < total
    assert float(values["distrodb_tls_certificate_expires_seconds"]) == 0
    assert float(values["distrodb_clock_skew_seconds"]) < 2
