"""Each difference that is meant is really there, and docs/redis.md says so."""

import shlex
from pathlib import Path

import pytest

from tests.oracle.compare import begin
from tests.oracle.differences import DIFFERENCES, Difference, is_equal
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer
from tests.unit.session_world import PARTITIONS

PAGE = (Path(__file__).parents[2] / "docs/redis.md").read_text()


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.title)
def test_it_is_there(difference: Difference, node: RedisServer, single: RedisServer) -> None:
    theirs = (node if difference.is_cluster else single).connect()
    commands = [
        [word.encode("latin-1") for word in shlex.split(line)] for line in difference.example
    ]
    replies = []
    for server in (theirs, PureServer(difference.is_cluster, PARTITIONS)):
        server.ask_all(begin(3))
        replies.append(server.ask_all(commands)[-1])
    assert not is_equal(commands[-1], *replies), "no difference any more"
    assert difference.is_meant(commands[-1], *replies)
    theirs.close()


def test_the_page_lists_them_all() -> None:
    table = PAGE.partition("### Replies that differ")[2].partition("\n## ")[0]
    listed = " ".join(table.split())
    for difference in DIFFERENCES:
        assert f"- {difference.title}." in listed
    assert listed.count("- ") == len(DIFFERENCES)
