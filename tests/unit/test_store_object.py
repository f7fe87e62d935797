"""OBJECT and MEMORY: what is told of a value."""

import pytest

from distrodb.commands.object import NO_FREQUENCY
from distrodb.resp.reply import Reply, error
from tests.support.resp import pack
from tests.support.stores import ask, new_store
from tests.unit.session_world import World

SYNTAX = error("ERR", "syntax error")


@pytest.mark.parametrize(
    ("line", "encoding", "references"),
    [
        ("SET k 9999", b"int", 2147483647),
        ("SET k 10000", b"int", 1),
        ("SET k -1", b"int", 1),
        ("SET k 01", b"embstr", 1),
        (f"SET k {'x' * 44}", b"embstr", 1),
        (f"SET k {'x' * 45}", b"raw", 1),
        (f"ZADD k 1 {'m' * 64}", b"listpack", 1),
        (f"ZADD k 1 {'m' * 65}", b"skiplist", 1),
        ("ZADD k " + " ".join(f"{n} m{n}" for n in range(128)), b"listpack", 1),
        ("ZADD k " + " ".join(f"{n} m{n}" for n in range(129)), b"skiplist", 1),
        (f"HSET k {'f' * 64} {'v' * 64}", b"listpack", 1),
        (f"HSET k f {'v' * 65}", b"hashtable", 1),
        ("HSET k " + " ".join(f"f{n} v" for n in range(512)), b"listpack", 1),
        ("HSET k " + " ".join(f"f{n} v" for n in range(513)), b"hashtable", 1),
        ("SADD k " + " ".join(str(n) for n in range(512)), b"intset", 1),
        ("SADD k " + " ".join(str(n) for n in range(513)), b"hashtable", 1),
        ("SADD k x " + " ".join(str(n) for n in range(127)), b"listpack", 1),
        ("SADD k x " + " ".join(str(n) for n in range(128)), b"hashtable", 1),
        (f"SADD k x {'x' * 64}", b"listpack", 1),
        (f"SADD k x {'x' * 65}", b"hashtable", 1),
        (f"RPUSH k {'x' * 8190}", b"listpack", 1),
        (f"RPUSH k {'x' * 8191}", b"quicklist", 1),
        ("RPUSH k " + " ".join("x" for n in range(5000)), b"quicklist", 1),
    ],
)
def test_a_value_is_described(line: str, encoding: bytes, references: int) -> None:
    store = new_store(0, 9)
    ask(store, line)
    assert ask(store, "OBJECT encoding k") == encoding
    assert ask(store, "object REFCOUNT k") == references
    assert ask(store, "OBJECT IDLETIME k") == 0
    assert ask(store, "OBJECT FREQ k") == NO_FREQUENCY


@pytest.mark.parametrize("word", ["ENCODING", "REFCOUNT", "IDLETIME", "FREQ"])
def test_a_key_that_is_not_there_has_none(word: str) -> None:
    assert ask(new_store(0, 9), f"OBJECT {word} none") is None
    assert ask(new_store(0, 9), "MEMORY USAGE none") is None


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("SAMPLES 0", None),
        ("samples 5 SAMPLES 6", None),
        ("SAMPLES", SYNTAX),
        ("SAMPLES -1", SYNTAX),
        ("FOO 1", SYNTAX),
        ("SAMPLES x", error("ERR", "value is not an integer or out of range")),
    ],
)
def test_samples(words: str, reply: Reply) -> None:
    assert ask(new_store(0, 9), f"MEMORY USAGE none {words}") == reply


def test_a_larger_value_takes_more() -> None:
    store, sizes = new_store(0, 9), []
    for line in ("SET k 1", f"SET k {'x' * 1000}", f"HSET k f {'x' * 2000}", "PEXPIREAT k 90"):
        if line.startswith("HSET"):
            ask(store, "DEL k")
        ask(store, line)
        sizes.append(ask(store, "MEMORY USAGE k"))
    assert sizes == sorted(sizes) and sizes[1] - sizes[0] == 999  # type: ignore[operator, type-var]


def test_what_a_session_answers_goes_to_the_key_s_partition_or_to_nobody() -> None:
    world = World()
    assert world.ask(pack(b"SET", b"a", b"1")) == b"+OK\r\n"
    assert world.ask(pack(b"OBJECT", b"ENCODING", b"a")) == b"$3\r\nint\r\n"
    assert world.ask(pack(b"MEMORY", b"USAGE", b"a")).startswith(b":")
    assert world.ask(pack(b"MEMORY", b"PURGE")) == b"+OK\r\n"
    assert b"unknown subcommand 'FOO'. Try OBJECT HELP." in world.ask(pack(b"OBJECT", b"FOO"))
