"""What the commands on lists answer and leave; the oracle compares them with Redis'."""

import pytest

from distrodb.commands.keys import NO_SUCH_KEY
from distrodb.commands.lists import BEYOND, NO_RANK, OUT_OF_RANGE
from distrodb.commands.numbers import NOT_POSITIVE
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.store import WRONG_TYPE, Store
from distrodb.resp.reply import NULL_ARRAY, OK, Reply, Status, error
from tests.support.stores import ask, new_store, restored

SYNTAX = error("ERR", "syntax error")
NOT_AN_INTEGER = error("ERR", "value is not an integer or out of range")
LONG_KEY = error("ERR", "key exceeds key_bytes_max (10 bytes)")
LONG_VALUE = error("ERR", "value exceeds value_bytes_max (20 bytes)")
UNCHANGED = "unchanged"


def make() -> Store:
    store = new_store(0, 16383, StoreLimits(key_bytes_max=10, value_bytes_max=20))
    ask(store, "RPUSH l a b c b a")
    ask(store, "RPUSH one x")
    ask(store, "SET s 7")
    return store


@pytest.mark.parametrize(
    ("line", "reply", "left"),
    [
        ("LPUSH l x y", 7, "y x a b c b a"),
        ("RPUSH l x y", 7, "a b c b a x y"),
        ("LPUSHX l x", 6, "x a b c b a"),
        ("RPUSHX l x", 6, "a b c b a x"),
        ("LPUSHX none x", 0, UNCHANGED),
        ("LPOP l", b"a", "b c b a"),
        ("RPOP l 2", [b"a", b"b"], "a b c"),
        ("LPOP l 2", [b"a", b"b"], "c b a"),
        ("RPOP l 9", [b"a", b"b", b"c", b"b", b"a"], ""),
        ("LPOP l 0", [], UNCHANGED),
        ("LPOP l -1", NOT_POSITIVE, UNCHANGED),
        ("LPOP l x", NOT_POSITIVE, UNCHANGED),
        ("LPOP none", None, UNCHANGED),
        ("LPOP none 0", NULL_ARRAY, UNCHANGED),
        ("LPOP l 1 1", error("ERR", "wrong number of arguments for 'lpop' command"), UNCHANGED),
        ("LLEN l", 5, UNCHANGED),
        ("LLEN none", 0, UNCHANGED),
        ("LRANGE l 1 2", [b"b", b"c"], UNCHANGED),
        ("LRANGE l -2 -1", [b"b", b"a"], UNCHANGED),
        ("LRANGE l -100 100", [b"a", b"b", b"c", b"b", b"a"], UNCHANGED),
        ("LRANGE l 3 1", [], UNCHANGED),
        ("LRANGE l 5 9", [], UNCHANGED),
        ("LRANGE l 0 -9", [], UNCHANGED),
        ("LRANGE none 0 -1", [], UNCHANGED),
        ("LRANGE l x 1", NOT_AN_INTEGER, UNCHANGED),
        ("LINDEX l -2", b"b", UNCHANGED),
        ("LINDEX l 5", None, UNCHANGED),
        ("LINDEX l -6", None, UNCHANGED),
        ("LINDEX none x", None, UNCHANGED),
        ("LINDEX l x", NOT_AN_INTEGER, UNCHANGED),
        ("LSET l -1 x", OK, "a b c b x"),
        ("LSET l 5 x", OUT_OF_RANGE, UNCHANGED),
        ("LSET none 0 x", NO_SUCH_KEY, UNCHANGED),
        ("LTRIM l 1 -2", OK, "b c b"),
        ("LTRIM l 3 1", OK, ""),
        ("LTRIM l 9 9", OK, ""),
        ("LTRIM none 0 1", OK, UNCHANGED),
        ("LREM l 1 b", 1, "a c b a"),
        ("LREM l -1 b", 1, "a b c a"),
        ("LREM l 0 b", 2, "a c a"),
        ("LREM l 0 z", 0, UNCHANGED),
        ("LREM l x b", NOT_AN_INTEGER, UNCHANGED),
        ("LINSERT l BEFORE c x", 6, "a b x c b a"),
        ("LINSERT l after b x", 6, "a b x c b a"),
        ("LINSERT l BEFORE z x", -1, UNCHANGED),
        ("LINSERT none BEFORE z x", 0, UNCHANGED),
        ("LINSERT l BESIDE b x", SYNTAX, UNCHANGED),
        ("LPOS l b", 1, UNCHANGED),
        ("LPOS l b RANK -1", 3, UNCHANGED),
        ("LPOS l b RANK 2", 3, UNCHANGED),
        ("LPOS l b COUNT 0", [1, 3], UNCHANGED),
        ("LPOS l b COUNT 0 RANK -1", [3, 1], UNCHANGED),
        ("LPOS l b COUNT 9 MAXLEN 3", [1], UNCHANGED),
        ("LPOS l b MAXLEN 2 RANK -1", 3, UNCHANGED),
        ("LPOS l b RANK 9", None, UNCHANGED),
        ("LPOS l z COUNT 2", [], UNCHANGED),
        ("LPOS none z COUNT 2", [], UNCHANGED),
        ("LPOS l b RANK 0", NO_RANK, UNCHANGED),
        ("LPOS l b RANK -9223372036854775808", BEYOND, UNCHANGED),
        ("LPOS l b COUNT -1", error("ERR", "COUNT can't be negative"), UNCHANGED),
        ("LPOS l b MAXLEN x", error("ERR", "MAXLEN can't be negative"), UNCHANGED),
        ("LPOS l b COUNT", SYNTAX, UNCHANGED),
        ("LMOVE one l LEFT RIGHT", b"x", "a b c b a x"),
        ("LMOVE l l LEFT RIGHT", b"a", "b c b a a"),
        ("LMOVE one one RIGHT LEFT", b"x", UNCHANGED),
        ("LMOVE none l LEFT LEFT", None, UNCHANGED),
        ("LMOVE l one LEFT UP", SYNTAX, UNCHANGED),
        ("LMOVE l s LEFT LEFT", WRONG_TYPE, UNCHANGED),
        ("LMOVE l waytoolongakey LEFT LEFT", LONG_KEY, UNCHANGED),
        ("RPOPLPUSH one l", b"x", "x a b c b a"),
        ("RPOPLPUSH s l", WRONG_TYPE, UNCHANGED),
        ("LMPOP 2 none l RIGHT COUNT 2", [b"l", [b"a", b"b"]], "a b c"),
        ("LMPOP 1 l LEFT", [b"l", [b"a"]], "b c b a"),
        ("LMPOP 1 none LEFT", NULL_ARRAY, UNCHANGED),
        ("LMPOP 2 s l LEFT", WRONG_TYPE, UNCHANGED),
        ("LMPOP 0 l LEFT", error("ERR", "numkeys should be greater than 0"), UNCHANGED),
        ("LMPOP 1 l LEFT COUNT 0", error("ERR", "count should be greater than 0"), UNCHANGED),
        ("LMPOP 1 l LEFT COUNT 1 COUNT 1", SYNTAX, UNCHANGED),
        ("LMPOP 2 l LEFT", SYNTAX, UNCHANGED),
        ("TYPE l", Status(b"list"), UNCHANGED),
        ("RPUSH l x yyyyyyyyyyyyyyyyyyyyy", LONG_VALUE, UNCHANGED),
        ("LSET l 0 yyyyyyyyyyyyyyyyyyyyy", LONG_VALUE, UNCHANGED),
        ("LINSERT l AFTER a yyyyyyyyyyyyyyyyyyyyy", LONG_VALUE, UNCHANGED),
        ("RPUSH waytoolongakey x", LONG_KEY, UNCHANGED),
    ],
)  # fmt: skip
def test_command(line: str, reply: Reply, left: str) -> None:
    store = make()
    before = store.digest()
    assert ask(store, line) == reply
    if left is UNCHANGED:
        assert store.digest() == before
    else:
        assert ask(store, "LRANGE l 0 -1") == left.encode().split()
        assert ask(store, "EXISTS l") == bool(left)


@pytest.mark.parametrize(
    "line", ["LPOP one", "LTRIM one 1 0", "LREM one 0 x", "LMOVE one l LEFT LEFT"]
)
def test_a_list_without_elements_is_gone(line: str) -> None:
    store = make()
    ask(store, "PEXPIREAT one 50")
    ask(store, line)
    assert ask(store, "EXISTS one") == 0
    assert ask(store, "RPUSH one 1") == 1 and ask(store, "PTTL one") == -1


def test_a_list_keeps_its_expiry_and_its_order_through_a_snapshot() -> None:
    store = make()
    ask(store, "PEXPIREAT l 50")
    again = restored(store.snapshot())
    assert again.digest() == store.digest()
    assert ask(again, "LRANGE l 0 -1") == [b"a", b"b", b"c", b"b", b"a"]
    assert ask(again, "PTTL l") == 50
