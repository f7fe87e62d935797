"""What slaves announce is what clients and slaves are told and can use: IPv6, host names, and
addresses other than those at which they listen."""

import shutil
import socket
import subprocess
import sys

import pytest
import redis
from redis.cluster import RedisCluster

from distrodb import LocalCluster, local
from distrodb.config import Address, NodeAddress, load, render
from distrodb.ports import obstacle

KEYS = [f"key{n}" for n in range(40)]  # in every partition

# They listen where others than this machine could reach them.
OPTIONS = {"cluster_id": "addresses", "node_protected_mode": False}


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def cluster_at(directory, announced: str, listens: str) -> LocalCluster:
    """Three slaves that listen at one host and announce another."""
    rows = [
        NodeAddress(
            f"node{number + 1}",
            *(Address(announced, port) for port in ports[:2]),
            *(Address(listens, port) for port in ports),
        )
        for number, ports in enumerate(local._ports(3, None))
    ]
    (directory / "conf").mkdir()
    for row in rows:
        text = render(row.id, f"../{row.id}", rows, **OPTIONS)
        (directory / "conf" / f"{row.id}.toml").write_text(text)
    return LocalCluster(directory=directory)


@pytest.fixture(scope="module", params=["::1", "localhost"])
def cluster(request, tmp_path_factory):
    if request.param == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    listens = "::" if request.param == "::1" else "0.0.0.0"
    directory = tmp_path_factory.mktemp("cluster")
    with cluster_at(directory, request.param, listens) as cluster:
        cluster.host = request.param
        yield cluster


def port_of(cluster, node="node1") -> int:
    return cluster.configs[node].me.client.port


def test_redis_py_finds_every_slave_by_what_it_announces(cluster):
    with RedisCluster(host=cluster.host, port=port_of(cluster)) as client:
        assert all(client.set(key, key) for key in KEYS)
        assert [client.get(key) for key in KEYS] == [key.encode() for key in KEYS]
        nodes = client.get_nodes()
        assert sorted(node.port for node in nodes) == sorted(
            port_of(cluster, n) for n in cluster.nodes
        )
        # redis-py writes localhost as an address by itself
        assert {node.host for node in nodes} == {"127.0.0.1" if "local" in cluster.host else "::1"}


def test_moved_names_it_as_redis_does(cluster):
    told = set()
    with cluster.connection("node1") as slave:
        for key in KEYS:
            try:
                slave.set(key, "1")
            except redis.exceptions.MovedError as moved:
                told.add(moved.message.rpartition(" ")[2])
    assert told == {f"{cluster.host}:{port_of(cluster, node)}" for node in ("node2", "node3")}


def test_redis_cli_follows_it(cluster):
    command = ["redis-cli", "-h", cluster.host, "-p", str(port_of(cluster)), "-c"]
    words = "".join(f"set {key} {key}\n" for key in KEYS)
    done = subprocess.run(command, input=words, capture_output=True, text=True, timeout=60)
    assert done.stdout.split().count("OK") == len(KEYS) and not done.stderr
    assert f"located at {cluster.host}:" in done.stdout


def test_cluster_nodes_and_shards_name_it(cluster):
    with cluster.connection("node1") as slave:
        slave.set_response_callback("CLUSTER NODES", bytes.decode)
        rows = slave.execute_command("CLUSTER NODES")
        shards = slave.execute_command("CLUSTER SHARDS")  # redis-py makes dictionaries of it
        slots = slave.execute_command("CLUSTER SLOTS")
    is_named = cluster.host == "localhost"
    for node in cluster.nodes:
        me = cluster.configs[node].me
        name = f"{cluster.host}:{me.client.port}@{me.peer.port}" + ",localhost" * is_named
        assert name in rows
    for row in slots:
        assert row[2][0] == cluster.host.encode()
    for shard in shards:
        for fields in shard[b"nodes"]:
            assert fields[b"endpoint"] == fields[b"ip"] == cluster.host.encode()
            assert fields.get(b"hostname", b"") == b"localhost" * is_named


def test_the_shell_and_the_status_go_there(cluster):
    connect = str(cluster.configs["node2"].me.client)
    command = [sys.executable, "-m", "distrodb", "master", "--connect", connect]
    asked = [*command, "-c", "SET shell 1", "-c", "GET shell"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, 'OK\nJust "1"\n')
    nodes = cluster.status("node3")["nodes"]
    assert {row["client"] for row in nodes.values()} == set(cluster.addresses.values())


def test_a_slave_joins_by_it(cluster, tmp_path):
    listens = "0.0.0.0" if cluster.host == "localhost" else "::"
    port, peer = next(
        pair[:2]
        for _ in range(100)
        for pair in local._ports(1, None)
        if not any(obstacle(Address(listens, port)) for port in pair)
    )
    row = NodeAddress(
        "node4",
        Address(cluster.host, port),
        Address(cluster.host, peer),
        Address(listens, port),
        Address(listens, peer),
    )
    join = [str(Address(cluster.host, cluster.configs["node2"].me.peer.port))]
    file = tmp_path / "node4.toml"
    file.write_text(render("node4", "data", [row], node_join=join, **OPTIONS))
    log = tmp_path / "node4.log"
    with log.open("wb") as output:
        slave = subprocess.Popen(
            [sys.executable, "-m", "distrodb", "slave", str(file)], stderr=output
        )
    try:
        cluster.wait_until(
            lambda: slave.poll() is not None or "node4" in cluster.status("node1")["ring"],
            "node4 is in the ring",
        )
    finally:
        slave.kill()
        slave.wait()
        print(log.read_text())  # shown if the test fails
    assert "node4" in cluster.status("node1")["ring"]


def test_where_it_listens_may_change(cluster):
    if cluster.host != "localhost":
        pytest.skip("one kind of address is enough")
    file = cluster.configs["node3"].file
    before = file.read_text()
    everywhere, here = "0.0.0.0", "127.0.0.1"
    me = cluster.configs["node3"].me
    port = me.client.port
    cluster.kill("node3")
    try:
        for text, changed in (
            (str(me.client_bind), str(Address(here, port))),
            (str(me.peer_bind), str(Address(here, me.peer.port))),
        ):
            assert everywhere in text
            file.write_text(file.read_text().replace(f'"{text}"', f'"{changed}"'))
        assert load(file).me.listens["client"] == Address(here, port)
        cluster.start("node3")
        cluster.wait_ready()
        cluster.kill("node3")
    finally:
        file.write_text(before)
        cluster.start("node3")
        cluster.wait_ready()


def give_other_ports(cluster, node, to="", files=()):
    """In these files, or its own.  ``to``: the file of a slave that is no part of the cluster."""
    me = cluster.configs[node].me
    client, peer = local._ports(1, None)[0][:2]
    for file in [cluster.configs[each].file for each in files or [node]]:
        text = file.read_text()
        for old, new in ((me.client, client), (me.peer, peer)):
            text = text.replace(f':{old.port}"', f':{new}"')
        (file.with_name(to) if to else file).write_text(text)


def read_files(cluster):
    cluster.configs = {node: load(each.file) for node, each in cluster.configs.items()}


def is_followed(cluster) -> bool:
    """All maps say what the files of all say of themselves."""
    wanted = {node: (str(c.me.client), str(c.me.peer)) for node, c in cluster.configs.items()}
    for node in cluster.nodes:
        status = cluster.status(node)
        if status is None or wanted != {
            id_: (row["client"], row["peer"]) for id_, row in status["nodes"].items()
        }:
            return False
    return True


@pytest.fixture
def moving(tmp_path):
    with LocalCluster(nodes=3, directory=tmp_path / "cluster", **OPTIONS) as cluster:
        cluster.wait_until(lambda: cluster.status("node1")["level"] >= 2, "addresses may change")
        for key in KEYS:
            cluster.client().set(key, key)
        yield cluster


def has_all(cluster) -> bool:
    cluster.wait_ready()
    with cluster.client() as client:
        return [client.get(key) for key in KEYS] == [key.encode() for key in KEYS]


@pytest.mark.soak  # tests/faults/test_machines.py has one of them in the gate
def test_the_map_follows_one_slave_and_then_all_at_once(moving):
    cluster = moving
    cluster.kill("node1")
    give_other_ports(cluster, "node1")
    read_files(cluster)
    cluster.start("node1")
    cluster.wait_until(lambda: is_followed(cluster), "the map follows node1")
    assert has_all(cluster)
    with cluster.connection("node2") as slave, pytest.raises(redis.exceptions.MovedError) as moved:
        for key in KEYS:
            slave.get(key)
    assert moved.value.message.rpartition(" ")[2] in cluster.addresses.values()
    for node in cluster.nodes:
        cluster.kill(node)
    for node in cluster.nodes:
        give_other_ports(cluster, node, files=cluster.nodes)
    read_files(cluster)
    for node in cluster.nodes:
        cluster.start(node)
    cluster.wait_until(lambda: is_followed(cluster), "the map follows all")
    assert has_all(cluster)


@pytest.mark.soak
def test_a_copy_of_a_directory_is_refused_and_not_used_again(moving):
    cluster = moving
    config = cluster.configs["node3"]
    cluster.kill("node3")
    copied = cluster.directory / "copied"
    shutil.copytree(config.directory, copied)
    cluster.start("node3")
    assert has_all(cluster)
    give_other_ports(cluster, "node3", to="copied.toml")
    file = config.file.with_name("copied.toml")
    lines = file.read_text().splitlines(keepends=True)
    lines = [line for line in lines if not line.startswith(("gateway =", "http ="))]
    text = "".join(lines).replace(f'"../{config.directory.name}"', '"../copied"')
    assert '"../copied"' in text
    file.write_text(text)
    command = [sys.executable, "-m", "distrodb", "slave", str(file)]
    for words in ("two of a directory are never to run", "is a copy of a directory"):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and words in done.stderr.splitlines()[-1]
        cluster.kill("node3")  # even though nobody is there any more
    file.unlink()
    cluster.start("node3")
    assert has_all(cluster) and is_followed(cluster)
