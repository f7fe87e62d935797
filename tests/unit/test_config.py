"""A wrong file gets one line: the file, the key, what is wrong, the remedy."""

from pathlib import Path

import pytest

from distrodb.config import load
from distrodb.errors import ConfigError

GOOD = (Path(__file__).parents[2] / "conf" / "node1.toml").read_text()


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
