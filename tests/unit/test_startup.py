"""What is decided when a slave starts."""

import dataclasses

import pytest

from distrodb.config import Address, NodeAddress, load, render
from distrodb.errors import ConfigError
from distrodb.ring.clustermap import first_map
from distrodb.ring.levels import OF_MOVES
from distrodb.slave.startup import (
    CONNECTIONS_MIN,
    DESCRIPTORS_RESERVED,
    check_against_map,
    check_protected,
    remedy,
    room_for_connections,
    warnings,
)
from distrodb.slave.tls import user_of


@pytest.fixture
def config(tmp_path):
    nodes = [NodeAddress(f"n{n}", Address("h", n), Address("h", 10 + n)) for n in (1, 2, 3)]
    file = tmp_path / "n1.toml"
    file.write_text(render("n1", "data", nodes, cluster_id="c"))
    return load(file)


def born(client: str = "h:1", peer: str = "h:11", partitions: int = 4):
    rows = [("n1", client, peer), ("n2", "h:2", "h:12"), ("n3", "h:3", "h:13")]
    return first_map(rows, partitions, 3, dict.fromkeys(("n1", "n2", "n3"), "1"))


def test_a_file_that_fits_the_map_is_taken(config):
    check_against_map(config, born())
    check_against_map(dataclasses.replace(config, id="new"), born(client="elsewhere:1"))


@pytest.mark.parametrize(
    ("cluster_map", "words"),
    [
        (born(client="x:1"), "cluster.nodes.client: n1 is at x:1 in the cluster map, not at h:1"),
        (born(peer="x:1"), "cluster.nodes.peer: n1 is at x:1 in the cluster map, not at h:11"),
    ],
)
def test_an_address_that_would_be_ignored_is_named(config, cluster_map, words):
    with pytest.raises(ConfigError, match=f"{words}; .*join under a new id"):
        check_against_map(config, cluster_map)


def test_other_addresses_are_taken_once_all_slaves_know_that_they_may_change(config):
    moved = dataclasses.replace(born(client="x:1", peer="x:2"), level=OF_MOVES)
    check_against_map(config, moved)


def test_a_number_of_partitions_that_would_be_ignored_is_named(config):
    wanting = dataclasses.replace(config, partitions_wanted=7)
    with pytest.raises(ConfigError, match="is 7, and the cluster was born with 4"):
        check_against_map(wanting, born())
    check_against_map(dataclasses.replace(config, partitions_wanted=4), born())


@pytest.mark.parametrize(
    ("wanted", "files_max", "expected"),
    [
        (10_000, None, (10_000 + DESCRIPTORS_RESERVED, 10_000)),
        (10_000, 1024, (1024, 1024 - DESCRIPTORS_RESERVED)),
        (10_000, 256, (256, CONNECTIONS_MIN)),
        (8, 100_000, (8 + DESCRIPTORS_RESERVED, 8)),
    ],
)
def test_files_are_kept_for_the_slave_itself(wanted, files_max, expected):
    assert room_for_connections(wanted, files_max) == expected


def test_a_directory_is_given_up_only_where_others_have_a_majority(config):
    assert "empty directory" in remedy(config)
    assert "not if the cluster was told to keep one copy" in remedy(config)
    one = remedy(dataclasses.replace(config, replicas=1))
    assert one.startswith("bring the directory back") and "empty" not in one


def at(tmp_path, client: str, peer: str, gateway: str = "127.0.0.1", http: str = "::1", **options):
    """A slave that listens at these hosts."""
    row = NodeAddress("n1", Address("h", 1), Address("h", 2), Address(client, 1), Address(peer, 2))
    row = dataclasses.replace(row, gateway_bind=Address(gateway, 3), http_bind=Address(http, 4))
    file = tmp_path / "n1.toml"
    file.write_text(render("n1", "data", [row], **options))
    return load(file)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost", "::ffff:127.0.0.1"])
def test_what_only_this_machine_reaches_needs_no_password(tmp_path, host):
    check_protected(at(tmp_path, host, host, host, host), needs_no_password=True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "host.example", "::ffff:10.0.0.1"])
def test_what_others_reach_needs_a_password_and_a_secret(tmp_path, host):
    here = "127.0.0.1"
    reached = at(tmp_path, host, here), at(tmp_path, here, here, host)
    for config in (*reached, at(tmp_path, here, here, here, host)):
        with pytest.raises(ConfigError, match="clients.requirepass: is empty.* protected_mode"):
            check_protected(config, needs_no_password=True)
        check_protected(config, needs_no_password=False)
        check_protected(dataclasses.replace(config, is_protected=False), needs_no_password=True)
    with pytest.raises(ConfigError, match="cluster.secret: is empty.* each could join in"):
        check_protected(at(tmp_path, here, host), needs_no_password=False)
    check_protected(at(tmp_path, here, host, cluster_secret="s"), needs_no_password=True)


def test_it_warns_of_secrets_that_others_may_read_or_guess(tmp_path):
    here, there = "127.0.0.1", "10.0.0.1"
    open_to_all = at(tmp_path, here, here)
    assert warnings(open_to_all, may_others_read=True) == []
    for options in ({"cluster_secret": "s"}, {"clients_requirepass": "p"}):
        config = at(tmp_path, here, here, **options)
        (line,) = warnings(config, may_others_read=True)
        assert "node1" not in line and "n1.toml: holds a secret or a password" in line
        assert warnings(config, may_others_read=False) == []
    hashed = at(tmp_path, here, here, clients_requirepass="#" + "0" * 64)
    assert warnings(hashed, may_others_read=True) == []
    (line,) = warnings(at(tmp_path, here, there, cluster_secret="short"), may_others_read=False)
    assert "has less than 16 characters" in line and "short" not in line


@pytest.mark.parametrize("clients", ["off", "on"])
def test_users_by_certificates_need_certificates(tmp_path, clients):
    file = tmp_path / "node1.toml"
    rows = '[[cluster.nodes]]\nid = "a"\nclient = "h:1"\npeer = "h:2"\n'
    text = f'[node]\nid = "a"\ndirectory = "d"\n[cluster]\nid = "c"\n{rows}[tls]\nusers = "cn"\n'
    file.write_text(text + f'clients = "{clients}"\n')
    with pytest.raises(ConfigError, match="tls.users: needs the certificates of clients"):
        load(file)


def test_a_certificate_names_one_user_or_none():
    def of(*names):
        return {"subject": tuple((("commonName", name),) for name in names)}

    assert user_of(of("app")) == b"app"
    assert user_of({"subject": ((("countryName", "XX"), ("commonName", "ü")),)}) == "ü".encode()
    assert [user_of(each) for each in (None, {}, of(), of(""), of("a", "b"))] == [None] * 5


def test_of_two_copies_it_is_said_that_they_bear_no_loss(config):
    assert warnings(config, False) == []
    two = dataclasses.replace(config, nodes=config.nodes[:2])
    for each in (two, dataclasses.replace(config, replicas=2)):
        (line,) = warnings(each, False)
        assert "two copies of each partition: it waits while one of its slaves is down" in line
