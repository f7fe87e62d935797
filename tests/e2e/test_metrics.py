"""What /metrics of real slaves says: it can be read, is documented, and follows what happens."""

import json
import math
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections import Counter
from pathlib import Path

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from distrodb import LocalCluster
from distrodb.clock import monotonic, sleep
from distrodb.slave.http.document import KEPT_S

DOCS = Path(__file__).parents[2] / "docs"
KEYS = [f"key{n}" for n in range(60)]  # in every partition


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(nodes=3, partitions=6, raft_dead_after_s=60.0) as cluster:
        cluster.wait_healed()
        yield cluster


# Those whose labels are what has happened: a slave may have none of them yet.
OF_WHAT_HAPPENED = {
    "distrodb_commands_failed_total",
    "distrodb_commands_rejected_total",
    "distrodb_errors_total",
}


_scraped_at: dict[tuple[Path, str], float] = {}


def scrape(cluster: LocalCluster, node: str) -> dict[str, dict[tuple[str, ...], float]]:
    """By name and the values of the labels, in the order of the labels' names."""
    before = _scraped_at.get((cluster.directory, node), -math.inf)
    sleep(max(0.0, before + 1.5 * KEPT_S - monotonic()))  # it is kept for so long
    _scraped_at[cluster.directory, node] = monotonic()
    with urllib.request.urlopen(f"http://{cluster.http_address(node)}/metrics", timeout=10) as got:
        assert got.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = got.read().decode()
    found: dict[str, dict[tuple[str, ...], float]] = {}
    names = Counter(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert set(names.values()) == {1}, names
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            of_name = found.setdefault(sample.name, {})
            assert labels not in of_name, (sample.name, labels)
            of_name[labels] = sample.value
    return found


def total(cluster: LocalCluster, name: str, *labels: str) -> float:
    return sum(scrape(cluster, node)[name].get(labels, 0.0) for node in cluster.running())


def grown(cluster: LocalCluster, name: str, *labels: str):
    """What it is by now more than at first."""
    before = total(cluster, name, *labels)
    return lambda: total(cluster, name, *labels) - before


def test_commands_and_batches_are_counted(cluster):
    writes = grown(cluster, "distrodb_commands_total", "set", "string")
    batches = grown(cluster, "distrodb_write_batch_commands_sum")
    timed = grown(cluster, "distrodb_write_seconds_count")
    reads = grown(cluster, "distrodb_read_seconds_count")
    syncs = grown(cluster, "distrodb_disk_sync_seconds_count")
    with cluster.client() as client:
        for key in KEYS:
            client.set(key, key)
            client.get(key)
    assert writes() == batches() == len(KEYS)
    assert timed() == reads() == len(KEYS)  # one client: one command a batch
    assert syncs() >= 2 * len(KEYS)  # on a majority
    assert total(cluster, "distrodb_keys") == len(KEYS)


def test_errors_and_refusals_are_counted(cluster):
    with cluster.connection("node1") as slave:
        for line in ("GET", "NO SUCH"):
            with pytest.raises(redis.ResponseError):
                slave.execute_command(*line.split())
        found = scrape(cluster, "node1")
    assert found["distrodb_commands_rejected_total"][("get",)] == 1
    assert found["distrodb_errors_total"][("ERR",)] >= 2
    assert found["distrodb_clients"][()] >= 1


def test_failed_logins_and_what_was_refused_are_counted(cluster):
    with cluster.connection("node1") as slave:
        before = scrape(cluster, "node1")["distrodb_access_denied_total"]
        with pytest.raises(redis.AuthenticationError):
            slave.execute_command("AUTH", "nobody" * 1000, "x")
        wrong = {"Authorization": "Basic " + b64encode(b"nobody:x").decode()}
        asked = urllib.request.Request(f"{cluster.http_url('node1')}/metrics", headers=wrong)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(asked)
        after = scrape(cluster, "node1")["distrodb_access_denied_total"]
        names = [entry[b"username"] for entry in slave.execute_command("ACL", "LOG")]
    assert {reason: after[reason] - before[reason] for reason in after} == {
        ("auth",): 2, ("command",): 0, ("key",): 0, ("channel",): 0,
    }  # fmt: skip
    assert names == [b"nobody", b"nobody" * 85 + b"no"]  # of a name a part is kept


def test_expired_keys_and_memory_follow(cluster):
    data = scrape(cluster, "node1")["distrodb_memory_bytes"][("data",)]
    expired = grown(cluster, "distrodb_expired_keys_total")
    with cluster.client() as client:
        for key in KEYS:
            client.set(f"large{key}", b"x" * 10_000)
        assert scrape(cluster, "node1")["distrodb_memory_bytes"][("data",)] > data + 500_000
        for key in KEYS:
            client.pexpire(f"large{key}", 1)
    until = monotonic() + 30
    while expired() < 3 * len(KEYS):  # on three copies
        assert monotonic() < until
    assert scrape(cluster, "node1")["distrodb_memory_bytes"][("data",)] < data + 100_000


def test_partitions_are_told_one_by_one(cluster):
    leads = Counter()
    for node in cluster.nodes:
        found = scrape(cluster, node)
        assert set(found["distrodb_raft_term"]) == {(str(n),) for n in range(6)} | {("map",)}
        leads.update({of: 1 for of, is_led in found["distrodb_raft_leading"].items() if is_led})
        assert set(found["distrodb_raft_uncommitted_entries"].values()) == {0.0}
    assert leads == dict.fromkeys(leads, 1) and len(leads) == 7


def test_a_death_is_seen_and_its_return_too(cluster):
    assert total(cluster, "distrodb_slaves", "up") == 9
    victim = cluster.status()["partitions"][0]["leader"]
    others = [node for node in cluster.nodes if node != victim]
    elections = {node: scrape(cluster, node)["distrodb_elections_total"][()] for node in others}
    before = sum(scrape(cluster, node)["distrodb_leads_total"][("won",)] for node in others)
    cluster.kill(victim)
    cluster.wait_until(
        lambda: all(
            scrape(cluster, node)["distrodb_partitions_leaderless"][()] == 0
            and scrape(cluster, node)["distrodb_slaves"][("suspect",)] == 1
            for node in others
        ),
        "others lead",
    )
    after = [scrape(cluster, node) for node in others]
    assert sum(each["distrodb_leads_total"][("won",)] for each in after) >= before + 2
    assert sum(each["distrodb_elections_total"][()] for each in after) > sum(elections.values())
    assert [each["distrodb_slaves_linked"][()] for each in after] == [1, 1]
    with cluster.client() as client:
        for key in KEYS:
            client.set(key, "again")
    lag = "distrodb_raft_uncommitted_entries"
    assert {value for each in after for value in each[lag].values()} == {0.0}
    cluster.revive(victim)
    cluster.wait_healed()
    assert total(cluster, "distrodb_slaves", "up") == 9


def test_every_metric_is_documented_and_nothing_else(cluster):
    section = (DOCS / "monitoring.md").read_text().partition("## Metrics")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `([a-z_]+)`", section, re.MULTILINE))
    served = {
        re.sub(r"_(bucket|sum|count)$", "", name) if name not in documented else name
        for name in scrape(cluster, "node1")
    }
    assert served <= documented
    assert documented - served <= OF_WHAT_HAPPENED


def test_the_dashboard_and_the_alerts_ask_for_what_is_served(cluster):
    dashboard = json.loads((DOCS / "grafana.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    rules = (DOCS / "alerts.yml").read_text()
    asked += re.findall(r"^ +expr: (.*)$", rules, re.MULTILINE)
    assert len(asked) > 50 and rules.count("- alert:") == rules.count(" expr: ")
    served = scrape(cluster, "node1")
    labels = {name: label_names(cluster, name) for name in ("cause", "status", "what", "state")}
    for expression in asked:
        named = set(re.findall(r"\b(?:distrodb|process)_[a-z_]+\b", expression))
        assert named <= served.keys() | OF_WHAT_HAPPENED, expression
        assert named or expression.startswith("up{"), expression
        for label, value in re.findall(r'(cause|status|what|state)="([a-z]+)"', expression):
            assert value in labels[label], expression


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on this machine")
def test_prometheus_takes_the_alerts():
    done = subprocess.run(
        ["promtool", "check", "rules", DOCS / "alerts.yml"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def label_names(cluster: LocalCluster, label: str) -> set[str]:
    """What values it has."""
    with urllib.request.urlopen(f"http://{cluster.http_address('node1')}/metrics") as got:
        return set(re.findall(f'[{{,]{label}="([a-z]+)"', got.read().decode()))
