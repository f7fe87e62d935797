"""A wrong file gets one line: the file, the key, what is wrong, the remedy."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.certs import hosts_of
from distrodb.config import Address, NodeAddress, check_directory, load, render
from distrodb.config.options import OPTIONS
from distrodb.errors import ConfigError

GOOD = (Path(__file__).parents[2] / "conf" / "node1.toml").read_text()
NODES = [NodeAddress("a", Address("h", 1), Address("h", 2))]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("replicas = 3", "replicas = 2", "cluster.replicas: is 2; use one of 1, 3, 5"),
        ("replicas = 3", 'replicas = "3"', "cluster.replicas: '3' is not a whole number"),
        ("heartbeat_ms", "heartbeet_ms", "raft.heartbeet_ms: is unknown; did you mean heartbeat"),
        ("[raft]", "[rafd]", "rafd: is unknown; did you mean raft?"),
        ('id = "node2"', 'id = "node1"', "cluster.nodes[1].id: two slaves have the id node1"),
        ('id = "node1"', 'id = "node7"', "node.id: 'node7' is not among [[cluster.nodes]]"),
        ("127.0.0.1:55552", "127.0.0.1:55551", "cluster.nodes[1].client: 127.0.0.1:55551 is also"),
        ("127.0.0.1:55552", "127.0.0.1", "cluster.nodes[1].client: '127.0.0.1' is not an address"),
        ("127.0.0.1:55552", "127.0.0.1:0", "is not an address"),
        ("election_timeout_ms = 1000", "election_timeout_ms = 200", "is not above three heartbeat"),
        ("partitions = 0", "partitions = 20000", "cluster.partitions: is 20000; use 0 to 16384"),
        ('level = "info"', 'level = "loud"', "log.level: is 'loud'; use one of debug, info"),
        ("[limits]", "[limits", "is not TOML"),
        ("dead_after_s = 10.0", "dead_after_s = nan", "raft.dead_after_s"),
        ("replicas = 3", "replicas = true", "cluster.replicas: True is not a whole number"),
        ("127.0.0.1:56552", "127.0.0.1:55551", "55551 is also cluster.nodes[0].client"),
        # what Python itself stumbles over
        ("partitions = 0", f"partitions = 1{'0' * 400}", "cluster.partitions: is 1000"),
        ("partitions = 0", f"partitions = 0x{'f' * 5000}", "cluster.partitions: is a very long"),
        ("partitions = 0", f"partitions = 1{'0' * 5000}", "is not TOML"),
        ("dead_after_s = 10.0", f"dead_after_s = 1{'0' * 400}", "raft.dead_after_s: is 1000"),
        ("127.0.0.1:55552", f"h:{'9' * 5000}", "cluster.nodes[1].client: 'h:9999"),
        ("../data/node1", r"a\u0000b", "node.directory: is not a path"),
        ("[raft]", f"x = {'[' * 5000}", "is not TOML"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, old, new, words):
    file = tmp_path / "slave.toml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load(file)
    line = str(caught.value)
    assert line.startswith(f"{file}: ") and words in line and "\n" not in line
    assert caught.value.exit_status == 2


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_left_out_options_have_their_defaults(tmp_path):
    file = tmp_path / "slave.toml"
    file.write_text(
        '[node]\nid = "a"\ndirectory = "d"\n'
        '[[cluster.nodes]]\nid = "a"\nclient = "[::1]:1"\npeer = "h:2"\n'
    )
    config = load(file)
    assert config.partitions == 2 and config.replicas == 3
    assert config.directory == tmp_path / "d"
    assert str(config.nodes[0].client) == "[::1]:1"


JOINS = {"node_join": ["h:9", "[::1]:9"]}


def test_a_slave_that_joins_has_its_own_row_only(tmp_path):
    file = tmp_path / "slave.toml"
    file.write_text(render("a", "d", NODES, **JOINS, healing_moves_at_once=2))
    config = load(file)
    assert config.join == (Address("h", 9), Address("::1", 9))
    assert (config.nodes, config.me) == (tuple(NODES), NODES[0])
    assert (config.healing.moves_at_once, config.healing.copy_bytes_per_s) == (2, 1 << 26)
    assert "# This slave's own row." in file.read_text()


@pytest.mark.parametrize(
    ("changed", "nodes", "words"),
    [
        ({"node_join": ["h"]}, 1, "node.join[0]: 'h' is not an address"),
        ({"node_join": ["h:9", ""]}, 1, "node.join[1]: '' is not an address"),
        ({"node_join": [9]}, 1, "node.join: is not a list of strings; write it as"),
        ({"node_join": "h:9"}, 1, "node.join: 'h:9' is not a list"),
        ({"node_join": ["h:2"]}, 1, "node.join: names nobody but this slave"),
        (JOINS, 2, "cluster.nodes: has other slaves beside node.join; leave only the row of a"),
        ({**JOINS, "cluster_partitions": 4}, 1, "cluster.partitions: is set beside node.join"),
        ({"healing_moves_at_once": 0}, 1, "healing.moves_at_once: is 0; use 1 to"),
        ({"healing_copy_bytes_per_s": 1}, 1, "healing.copy_bytes_per_s: is 1; use 65536 to"),
    ],
)
def test_a_wrong_joiner_is_one_line(tmp_path, changed, nodes, words):
    file = tmp_path / "slave.toml"
    rows = [*NODES, NodeAddress("b", Address("h", 3), Address("h", 4))]
    file.write_text(render("a", "d", rows[:nodes], **changed))
    with pytest.raises(ConfigError) as caught:
        load(file)
    line = str(caught.value)
    assert line.startswith(f"{file}: {words}") and "\n" not in line


ROW = 'id = "a"\nclient = "0.0.0.0:1"\npeer = "[::]:2"\n'
GIVEN = '[node]\nid = "a"\ndirectory = "d"\n[[cluster.nodes]]\n'


@pytest.mark.parametrize(
    ("announced", "client", "peer"),
    [
        ('announce = "h"', "h:1", "h:2"),
        ('announce = "h:7"', "h:7", "h:2"),
        ('announce = "::1"', "[::1]:1", "[::1]:2"),
        ('announce = "h"\nannounce_peer = "p"', "h:1", "p:2"),
        ('announce = "h:7"\nannounce_peer = "[::1]:8"', "h:7", "[::1]:8"),
    ],
)
def test_a_slave_listens_at_one_address_and_announces_another(tmp_path, announced, client, peer):
    file = tmp_path / "slave.toml"
    file.write_text(GIVEN + ROW + announced)
    me = load(file).me
    assert (str(me.client), str(me.peer)) == (client, peer)
    assert {name: str(at) for name, at in me.listens.items()} == {
        "client": "0.0.0.0:1",
        "peer": "[::]:2",
    }
    file.write_text(render("a", "d", [me]))
    assert load(file).me == me


def test_what_is_announced_to_clients_leaves_a_peer_address_that_others_can_use(tmp_path):
    file = tmp_path / "slave.toml"
    file.write_text(GIVEN + 'id = "a"\nclient = "10.0.0.1:1"\npeer = "10.0.0.1:2"\nannounce = "h"')
    assert (str(load(file).me.client), str(load(file).me.peer)) == ("h:1", "10.0.0.1:2")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ROW, "cluster.nodes[0].client: 0.0.0.0:1 is no address that clients and slaves can"),
        (ROW.replace("0.0.0.0", "h"), "cluster.nodes[0].peer: [::]:2 is no address that"),
        (ROW + 'announce = "0"', "cluster.nodes[0].client: 0.0.0.0:1 is no address that clients"),
        (ROW + 'announce = "a b"', "cluster.nodes[0].announce: 'a b' is not an address"),
        (ROW + 'announce = "h"\nannounce_peer = "h:0"', "[0].announce_peer: 'h:0' is not an addr"),
        (ROW + "announce = 7", "cluster.nodes[0].announce: 7 is not a string; write it as"),
        (ROW + 'anounce = "h"', "cluster.nodes[0].anounce: is unknown; did you mean announce?"),
        (ROW.replace("[::]:2", "0.0.0.0:1"), "[0].peer: 0.0.0.0:1 is also cluster.nodes[0].client"),
    ],
)
def test_a_row_that_sends_others_nowhere_is_one_line(tmp_path, row, words):
    file = tmp_path / "slave.toml"
    file.write_text(GIVEN + row)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [file]


@given(st.binary(max_size=200))
def test_no_bytes_get_anything_but_a_config_error(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(data)
    with pytest.raises(ConfigError):
        load(file)


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives_rendering(text):
    assert tomllib.loads(render("a", "d", NODES, cluster_secret=text))["cluster"]["secret"] == text


def test_rendering_an_unknown_option_is_a_mistake():
    with pytest.raises(TypeError, match="'raft_election_timeout'"):
        render("a", "d", NODES, raft_election_timeout=5)


def test_a_directory_is_made_or_refused(tmp_path):
    file = tmp_path / "slave.toml"
    file.write_text(render("a", "data/a", NODES))
    config = load(file)
    check_directory(config)
    assert not list(config.directory.iterdir())
    config.directory.rmdir()
    config.directory.write_text("a file in the way")
    with pytest.raises(ConfigError, match=r"slave.toml: node.directory: .*cannot be written to"):
        check_directory(config)


def test_each_number_has_its_unit_and_its_bounds():
    for option in OPTIONS:
        if option.type in (int, float) and not option.choices:
            assert option.unit and option.low is not None and option.high is not None, option.key


@pytest.mark.parametrize(
    ("text", "listens", "found"),
    [
        ("8001", "127.0.0.1:8001", "127.0.0.1:8001"),
        ("10.0.0.1:8001", "10.0.0.1:8001", "10.0.0.1:8001"),
        ("0.0.0.0:8001", "0.0.0.0:8001", "h:8001"),
    ],
)
def test_http_is_this_machine_s_own_unless_a_host_is_named(tmp_path, text, listens, found):
    file = tmp_path / "a.toml"
    file.write_text(GIVEN + ROW + f'announce = "h"\nhttp = "{text}"')
    me = load(file).me
    assert (str(me.http_bind), str(me.http)) == (listens, found)
    assert "http" not in me.listens  # without it the slave does its work too
    again = tmp_path / "b.toml"
    again.write_text(render("a", "data", [me]))
    assert load(again).me == me


def test_gateway_and_http_may_be_found_elsewhere(tmp_path):
    file = tmp_path / "a.toml"
    ports = 'gateway = "0.0.0.0:3"\nhttp = "4"\n'
    told = 'announce_gateway = "lb.example:6379"\nannounce_http = "page.example"\n'
    file.write_text(GIVEN + ROW + 'announce = "h"\n' + ports + told)
    me = load(file).me
    assert (str(me.gateway), str(me.http)) == ("lb.example:6379", "page.example:4")
    assert (str(me.gateway_bind), str(me.http_bind)) == ("0.0.0.0:3", "127.0.0.1:4")
    assert load(file).http_url == "http://page.example:4"
    assert {"lb.example", "page.example"} <= set(hosts_of(load(file)))
    again = tmp_path / "b.toml"
    again.write_text(render("a", "data", [me]))
    assert load(again).me == me


def test_one_gateway_may_be_announced_for_all(tmp_path):
    """Behind it something spreads clients over the slaves."""
    rows = "".join(
        f'[[cluster.nodes]]\nid = "{n}"\nclient = "{n}:1"\npeer = "{n}:2"\ngateway = "{n}:3"\n'
        'announce_gateway = "lb.example:6379"\n'
        for n in "abc"
    )
    file = tmp_path / "a.toml"
    file.write_text(GIVEN + rows.removeprefix("[[cluster.nodes]]\n"))
    assert {str(node.gateway) for node in load(file).nodes} == {"lb.example:6379"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('announce_gateway = "h"', "there is no gateway in this row"),
        ('announce_http = "h"', "there is no http in this row"),
        ('http = "3"\nannounce_http = "0.0.0.0"', "no address that anybody can be sent to"),
        ('gateway = "h:3"\nannounce_gateway = "h:x"', "announce_gateway"),
    ],
)
def test_what_is_announced_of_them_must_make_sense(tmp_path, more, words):
    file = tmp_path / "a.toml"
    file.write_text(GIVEN + ROW + 'announce = "h"\n' + more)
    with pytest.raises(ConfigError, match=words):
        load(file)


def test_machines_may_have_the_same_http_port(tmp_path):
    rows = "".join(
        f'[[cluster.nodes]]\nid = "{n}"\nclient = "{n}:1"\npeer = "{n}:2"\nhttp = "3"\n'
        for n in "abc"
    )
    file = tmp_path / "a.toml"
    file.write_text(f'[node]\nid = "a"\ndirectory = "d"\n{rows}')
    assert [str(node.http) for node in load(file).nodes] == ["127.0.0.1:3"] * 3


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (
            'announce = "h"\nhttp = "0"',
            "cluster.nodes[0].http: '127.0.0.1:0' is not an address (its port",
        ),
        ('announce = "h"\nhttp = "x"', "cluster.nodes[0].http: 'x' is not an address"),
        ("http = 8001", "cluster.nodes[0].http: 8001 is not a string"),
        ('announce = "h"\nhttp = "0.0.0.0:1"', "[0].http: 0.0.0.0:1 is also cluster.nodes[0].cli"),
    ],
)
def test_an_http_port_that_cannot_be(tmp_path, row, what):
    file = tmp_path / "a.toml"
    file.write_text(GIVEN + ROW + row)
    with pytest.raises(ConfigError) as refused:
        load(file)
    assert what in str(refused.value)
