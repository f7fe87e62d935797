"""What scripts compute, answer and fail by, beside a real Redis, in both protocols.

scripts.txt has them, one behind the other, with ``====`` in between: whoever finds a difference
adds a script.  All run with two keys and two arguments, on an empty server.
"""

from pathlib import Path

import pytest

from tests.oracle.frames import Frame
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer

SCRIPTS = (Path(__file__).parent / "scripts.txt").read_text().strip("\n").split("\n====\n")
KEYS_AND_ARGUMENTS = [b"2", b"{k}1", b"{k}2", b"a1", b"22"]
# Where ours answers otherwise and is meant to, and why.
MEANT = {
    'local x; return "a"..x': "the name of the variable is not told",
    'return string.gsub("abc","(a","x")': "a capture that is not finished is always an error",
    "return string.dump(function() end)": "no bytecode",
    'return {big_number="12345678901234567890"}': "a string in RESP3 too",
    "local t={} t.t=t return cjson.encode(t)": "180 tables within each other at most",
    'return cmsgpack.unpack_one("abc",-1)': "Redis tells of a limit that was not given",
}


def commands(script: str) -> list[list[bytes]]:
    return [[b"FLUSHALL"], [b"EVAL", script.encode(), *KEYS_AND_ARGUMENTS]]


@pytest.mark.parametrize("protocol", [2, 3])
def test_scripts_answer_as_in_redis(protocol: int, single: RedisServer) -> None:
    theirs = single.connect()
    ours = PureServer(is_cluster=False)
    hello = [b"HELLO", b"%d" % protocol]
    theirs.ask(*hello)
    ours.ask_all([hello])
    differ: list[tuple[str, Frame, Frame]] = []
    for script in SCRIPTS:
        if script in MEANT:
            continue
        redis, distrodb = theirs.ask_all(commands(script))[1], ours.ask_all(commands(script))[1]
        if redis != distrodb:
            differ.append((script, redis, distrodb))
    theirs.close()
    assert differ == []
    assert len(SCRIPTS) > 400


def test_what_is_meant_to_differ_does(single: RedisServer) -> None:
    theirs, ours = single.connect(), PureServer(is_cluster=False)
    theirs.ask(b"HELLO", b"3")
    ours.ask_all([[b"HELLO", b"3"]])
    for script in MEANT:
        assert script in SCRIPTS, "it is gone"
        assert theirs.ask_all(commands(script))[1] != ours.ask_all(commands(script))[1], script
    theirs.close()
