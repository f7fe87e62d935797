"""The linearizability checker: histories known to be good or bad, and all orders of small ones."""

import itertools
import math
import random
from dataclasses import replace

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.support import history as history_module
from tests.support.containers_model import ENDLESS, NEVER, with_choice
from tests.support.history import (
    _SOME,
    VANISHES,
    NotLinearizable,
    Operation,
    Undecided,
    _fits,
    _step,
    check,
    keys_of,
    transaction,
    with_vanishing,
)

UNKNOWN = None


def history(*rows: tuple) -> list[Operation]:
    """Rows of (called, returned, "COMMAND in words", reply), a client each."""
    return [
        Operation(number, called, returned, tuple(words.split()), reply)
        for number, (called, returned, words, reply) in enumerate(rows)
    ]


GOOD = {
    "nothing": [],
    "a read sees the write before it": [(0, 1, "SET x a", "OK"), (2, 3, "GET x", b"a")],
    "a concurrent read may see the old value": [(0, 9, "SET x a", "OK"), (2, 3, "GET x", None)],
    "or the new one": [(0, 9, "SET x a", "OK"), (2, 3, "GET x", b"a")],
    "concurrent writes in either order": [
        (0, 9, "SET x a", "OK"),
        (0, 9, "SET x b", "OK"),
        (10, 11, "GET x", b"a"),
    ],
    "an unknown write appears late": [
        (0, UNKNOWN, "SET x a", None),
        (1, 2, "GET x", None),
        (3, 4, "SET x b", "OK"),
        (5, 6, "GET x", b"b"),
        (7, 8, "GET x", b"a"),
    ],
    "an unknown write never appears": [(0, UNKNOWN, "SET x a", None), (1, 2, "GET x", None)],
    "an unknown count is seen by the next one": [
        (0, 1, "INCR x", 1),
        (2, UNKNOWN, "INCR x", None),
        (3, 4, "INCR x", 3),
    ],
    "an unknown delete makes room for NX": [
        (0, 1, "SET x a", "OK"),
        (2, UNKNOWN, "DEL x", None),
        (3, 4, "SET x b NX", "OK"),
    ],
    "two unknown writes explain two deletes": [
        (0, UNKNOWN, "SET x a", None),
        (0, UNKNOWN, "SET x b", None),
        (1, 2, "DEL x", 1),
        (3, 4, "DEL x", 1),
    ],
    "an unknown read says nothing": [(0, UNKNOWN, "GET x", None), (1, 2, "GET x", None)],
    "MSET and MGET together": [
        (0, 9, "MSET x a y b", True),
        (1, 2, "MGET x y", [None, None]),
        (3, 4, "MGET x y", [b"a", b"b"]),
    ],
    "the value before, with GET": [
        (0, 1, "SET x a GET", None),
        (2, 3, "SET x b GET", b"a"),
        (4, 5, "SET x c NX GET", b"b"),
        (6, 7, "SET y c XX GET", None),
        (8, 9, "MGET x y", [b"b", None]),
    ],
    "text and numbers": [
        (0, 1, "APPEND x 4", 1),
        (2, 3, "INCRBY x 8", 12),
        (4, 5, "DECRBY x 2", 10),
        (6, 7, "APPEND x a", 3),
        (8, 9, "STRLEN x", 3),
        (10, 11, "INCR x", ValueError("not an integer")),
        (12, 13, "EXISTS x x y", 2),
        (14, 15, "GET x", b"10a"),
    ],
    "a hash": [
        (0, 1, "HSET x a 1 b 2", 2),
        (2, 3, "HSET x a 3", 0),
        (4, 5, "HGETALL x", [b"b", b"2", b"a", b"3"]),
        (6, 7, "HGET x a", b"3"),
        (8, 9, "HDEL x a none", 1),
        (10, 11, "HLEN x", 1),
        (12, 13, "HDEL x b", 1),
        (14, 15, "HGETALL x", []),
        (16, 17, "EXISTS x", 0),
    ],
    "an expired key goes at any moment": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "PEXPIRE x 9", 1),
        (4, 5, "PTTL x", 4),
        (6, 7, "GET x", None),
        (8, 9, "PTTL x", -2),
    ],
    "or never": [(0, 1, "SET x a", "OK"), (2, 3, "PEXPIRE x 9", 1), (4, 5, "GET x", b"a")],
    "an unknown expiry does too": [
        (0, 1, "SET x a", "OK"),
        (2, UNKNOWN, "PEXPIRE x 9", None),
        (4, 5, "GET x", None),
    ],
    "an expired key is written again": [
        (0, 1, "HSET x a 1", 1),
        (2, 3, "EXPIRE x 9", 1),
        (4, 5, "HSET x b 1", 1),
        (6, 7, "HGETALL x", [b"b", b"1"]),
        (8, 9, "TTL x", -1),
    ],
    "a copy": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "COPY x y", 1),
        (4, 5, "SET x b", "OK"),
        (6, 7, "COPY x y", 0),
        (8, 9, "MGET x y", [b"b", b"a"]),
        (10, 11, "COPY x y REPLACE", 1),
        (12, 13, "MGET x y", [b"b", b"b"]),
        (14, 15, "UNLINK x y", 2),
        (16, 17, "COPY x y", 0),
    ],
    "an expiry that comes with a value": [
        (0, 1, "SET x a PX 9", "OK"),
        (2, 3, "PEXPIRETIME x", 12345),
        (4, 5, "SET x b KEEPTTL", "OK"),
        (6, 7, "GET x", None),
    ],
    "or with a question": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "GETEX x PX 9", b"a"),
        (4, 5, "TOUCH x", 0),
        (6, 7, "GETEX x PX 9", None),
    ],
    "what changes a value leaves its expiry": [
        (0, 1, "SET x 1", "OK"),
        (2, 3, "PEXPIRE x 9", 1),
        (4, 5, "INCR x", 2),
        (6, 7, "GET x", None),
    ],
}

BAD = {
    "a stale read": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "SET x b", "OK"),
        (4, 5, "GET x", b"a"),
    ],
    "reads that go back while a write is under way": [
        (0, 9, "SET x a", "OK"),
        (1, 2, "GET x", b"a"),
        (3, 4, "GET x", None),
    ],
    "a lost update": [(0, 5, "INCR x", 1), (0, 5, "INCR x", 1), (6, 7, "GET x", b"1")],
    "a lost acknowledged write": [(0, 1, "SET x a", "OK"), (2, 3, "GET x", None)],
    "a value that nobody wrote": [(0, 1, "SET x a", "OK"), (2, 3, "GET x", b"b")],
    "a value before it was written": [(0, 1, "GET x", b"a"), (2, 3, "SET x a", "OK")],
    "two leaders, each with its own readers": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "SET x b", "OK"),
        (4, 5, "GET x", b"b"),
        (4, 6, "GET x", b"a"),
    ],
    "NX succeeds twice": [(0, 5, "SET x a NX", "OK"), (0, 5, "SET x b NX", "OK")],
    "SETNX succeeds twice": [(0, 5, "SETNX x a", 1), (0, 5, "SETNX x b", 1)],
    "NX is refused without a reason": [(0, 1, "SET x a NX", None)],
    "XX succeeds without a value": [(0, 1, "SET x a XX", "OK")],
    "a counter skips": [(0, 1, "INCR x", 1), (2, 3, "INCR x", 3)],
    "one unknown count is seen twice": [
        (0, UNKNOWN, "INCR x", None),
        (1, 2, "INCR x", 2),
        (3, 4, "INCR x", 4),
    ],
    "a torn MSET": [(0, 1, "MSET x a y b", "OK"), (2, 3, "MGET x y", [b"a", None])],
    "a torn MSET, while it is under way": [
        (0, 9, "MSET x a y b", "OK"),
        (1, 2, "GET x", b"a"),
        (3, 4, "GET y", None),
    ],
    "an unknown write appears and vanishes": [
        (0, UNKNOWN, "SET x a", None),
        (1, 2, "GET x", b"a"),
        (3, 4, "GET x", None),
    ],
    "an unknown write appears twice": [
        (0, UNKNOWN, "SET x a", None),
        (1, 2, "GET x", b"a"),
        (3, 4, "SET x b", "OK"),
        (5, 6, "GET x", b"b"),
        (7, 8, "GET x", b"a"),
    ],
    "an unknown write appears before it was sent": [
        (1, 2, "GET x", b"a"),
        (3, UNKNOWN, "SET x a", None),
    ],
    "two deletes of one value": [
        (0, 1, "SET x a", "OK"),
        (2, 5, "DEL x", 1),
        (2, 5, "DEL x", 1),
    ],
    "two appends of which one is lost": [
        (0, 5, "APPEND x a", 1),
        (0, 5, "APPEND x b", 2),
        (6, 7, "GET x", b"b"),
    ],
    "a torn hash": [
        (0, 1, "HSET x a 1 b 1", 2),
        (2, 3, "HSET x a 2 b 2", 0),
        (4, 5, "HGETALL x", [b"a", b"1", b"b", b"2"]),
    ],
    "a field that was deleted": [
        (0, 1, "HSET x a 1 b 1", 2),
        (2, 3, "HDEL x a", 1),
        (4, 5, "HLEN x", 2),
    ],
    "an expired key that was seen gone comes back": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "PEXPIRE x 9", 1),
        (4, 5, "GET x", None),
        (6, 7, "GET x", b"a"),
    ],
    "a key goes that stays": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "PEXPIRE x 9", 1),
        (4, 5, "PERSIST x", 1),
        (6, 7, "GET x", None),
    ],
    "a key goes whose expiry SET has cleared": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "PEXPIRE x 9", 1),
        (4, 5, "SET x b", "OK"),
        (6, 7, "GET x", None),
    ],
    "a copy of what was before": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "SET x b", "OK"),
        (4, 5, "COPY x y", 1),
        (6, 7, "GET y", b"a"),
    ],
    "a key goes that stays, since SET did not keep its expiry": [
        (0, 1, "SET x a PX 9", "OK"),
        (2, 3, "SET x b", "OK"),
        (4, 5, "GET x", None),
    ],
    "one comes back that GETEX let expire": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "GETEX x PX 9", b"a"),
        (4, 5, "GET x", None),
        (6, 7, "GET x", b"a"),
    ],
    "a key goes before it expires": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "GET x", None),
        (4, 5, "PEXPIRE x 9", 0),
    ],
    "a key with an expiry that says it stays": [
        (0, 1, "SET x a", "OK"),
        (2, 3, "PEXPIRE x 9", 1),
        (4, 5, "TTL x", -1),
    ],
}


@pytest.mark.parametrize("rows", GOOD.values(), ids=GOOD)
def test_good(rows):
    check(history(*rows))


@pytest.mark.parametrize("rows", BAD.values(), ids=BAD)
def test_bad(rows):
    with pytest.raises(NotLinearizable):
        check(history(*rows))


def test_the_explanation_names_the_key_and_the_operations_it_is_about():
    rows = [(n, n + 0.5, "INCR other", n + 1) for n in range(50)]
    rows += [(0, 1, "SET x a", "OK"), (2, 3, "SET x b", "OK"), (4, 5, "GET x", b"a")]
    rows += [(6 + n, 6.5 + n, f"SET x c{n}", "OK") for n in range(50)]
    with pytest.raises(NotLinearizable) as caught:
        check(history(*rows))
    assert str(caught.value).splitlines() == [
        "not linearizable: x",
        "2 of 53 answered operations can be put in an order, at most; it ends with",
        "    client 50: SET x a -> OK [0.000000, 1.000000]",
        "    client 51: SET x b -> OK [2.000000, 3.000000]",
        "which leaves x = b'b'",
        "and there is no moment for",
        "    client 52: GET x -> b'a' [4.000000, 5.000000]",
    ]


# -- against all orders --------------------------------------------------------------------------


def brute_force(operations: list[Operation]) -> bool:
    known = [operation for operation in operations if operation.returned is not None]
    unknown = [operation for operation in operations if operation.returned is None]
    keys = sorted({key for operation in operations for key in keys_of(operation.command)})
    places = {key: place for place, key in enumerate(keys)}
    return any(
        respects_time(order) and explains(order, places)
        for count in range(len(unknown) + 1)
        for happened in itertools.combinations(unknown, count)
        for chosen in itertools.product(*map(choices, [*known, *happened]))
        for order in itertools.permutations(chosen)
    )


MEMBERS = ("a", "b")


def choices(operation: Operation) -> list[Operation]:
    """The same with each member that SPOP can have chosen."""
    is_known = operation.returned is not None
    found = with_choice(operation.command, operation.reply, is_known, MEMBERS)
    return [replace(operation, command=command) for command in found]


def respects_time(order: tuple[Operation, ...]) -> bool:
    latest_call = -math.inf
    for operation in order:
        if operation.returned is not None and operation.returned < latest_call:
            return False
        latest_call = max(latest_call, operation.called)
    return True


def explains(order: tuple[Operation, ...], places: dict[str, int]) -> bool:
    values: tuple[bytes | None, ...] = (None,) * len(places)
    for operation in order:
        values, reply = _step(operation.command, places)(values)
        if operation.returned is not None and not _fits(reply, operation.reply):
            return False
    return True


def is_linearizable(operations: list[Operation]) -> bool:
    try:
        check(operations)
    except NotLinearizable:
        return False
    return True


KINDS = {
    "registers": ["SET x {}", "SET x {}", "GET x", "GET x"],
    "options": ["SET x {} NX", "SET x {} XX", "SET x {} GET", "SETNX x {}", "DEL x", "GET x"],
    "counters": ["INCR x", "INCR x", "INCRBY x 2", "DECRBY x 1", "GET x", "SET x 1", "DEL x"],
    "texts": ["APPEND x {}", "APPEND x {}", "STRLEN x", "GET x", "SET x {}", "EXISTS x"],
    "deletes": ["SET x {}", "SET x {}", "DEL x", "EXISTS x", "SETNX x {}", "GET x"],
    "several keys": ["MSET x {} y {}", "MGET x y", "SET x {}", "GET y", "DEL x y", "EXISTS x y"],
    "a mixture": ["APPEND x {}", "INCR x", "SET x {}", "SET x 1", "GET x", "DEL x", "SETNX x {}"],
    "hashes": ["HSET x a {}", "HSET x a {} b {}", "HDEL x a", "HGETALL x", "HLEN x", "DEL x"],
    "expiring": ["SET x {}", "SET x {} NX", "PEXPIRE x 9", "PERSIST x", "PTTL x", "GET x", "GET x"],
    "expiring hashes": ["HSET x a {}", "HSET x a {}", "PEXPIRE x 9", "HGET x a", "PTTL x"],
}
# Of these short histories alone: what is pushed and never taken makes long ones slow.
SHORT_KINDS = {
    **KINDS,
    "lists": ["RPUSH x {}", "LPUSH x {}", "LPOP x", "LRANGE x 0 -1", "LMOVE x y LEFT RIGHT"],
    "queues": ["RPUSH x {}", "LPUSH y {}", "BLPOP x y 0", "BLMPOP 0 2 y x RIGHT", "LLEN x"],
    "sets": ["SADD x a", "SADD x b", "SPOP x", "SPOP x", "SREM x a", "SMEMBERS x", "SMOVE x y a"],
}
ALL_ORDERS_MAX = 7  # operations of which all orders are tried


def played(
    chance: random.Random, commands: list[str], count: int, clients: int, unknown: float
) -> list[Operation]:
    """What ``clients`` saw of a single Redis; some outcomes unknown, of which half happened."""
    places = {"x": 0, "y": 1}
    values: tuple[bytes | None, ...] = (None, None)
    free = [0.0] * clients
    moments = []
    numbers = itertools.count()
    for _ in range(count):
        client = min(range(clients), key=free.__getitem__)
        called = free[client] + chance.random() / 10
        moment = called + chance.random()
        returned = moment + chance.random()
        free[client] = returned
        words = chance.choice(commands)
        while "{}" in words:
            words = words.replace("{}", f"v{next(numbers)}", 1)
        moments.append((moment, client, called, returned, tuple(words.split())))
        if words.startswith("PEXPIRE"):
            gone = moment + 3 * chance.random()
            moments.append((gone, -1, called, returned, (VANISHES, "x")))
    operations = []
    for _, client, called, returned, command in sorted(moments):
        if command[0] == VANISHES:
            values, _ = _step(command, places)(values)
            continue
        if command[0] == "SPOP":
            found = [command, *with_choice(command, None, False, MEMBERS)]
            chosen = [each for each in found if _step(each, places)(values)[1] is not NEVER]
            taken = chance.choice(chosen)
        else:
            taken = command
        lost = chance.random() < unknown
        if lost and chance.random() < 0.5:
            operations.append(Operation(client, called, None, command))
            continue
        values, reply = _step(taken, places)(values)
        reply = sorted(reply) if isinstance(reply, frozenset) else reply
        reply = 5 if reply is _SOME else reply
        reply = ValueError("not an integer") if type(reply) is object else reply
        operations.append(Operation(client, called, None if lost else returned, command, reply))
    return operations


def spoilt(chance: random.Random, operations: list[Operation]) -> list[Operation]:
    """Two replies exchanged, a write left out, or a reply that comes before its time."""
    operations = list(operations)
    if len(operations) < 2:
        return operations
    n, m = chance.sample(range(len(operations)), 2)
    a, b = operations[n], operations[m]
    how = chance.randrange(3)
    if how == 0 and a.command[0] == b.command[0]:
        operations[n] = Operation(a.process, a.called, a.returned, a.command, b.reply)
    elif how == 1:
        del operations[n]
    elif a.returned is not None:
        early = a.called + (a.returned - a.called) * 0.05
        operations[n] = Operation(a.process, a.called, early, a.command, a.reply)
    return operations


@pytest.mark.parametrize("kind", SHORT_KINDS)
@settings(max_examples=150, deadline=None)
@example(seed=1, count=6, clients=3, unknown=0.5, damage=1)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 6),
    clients=st.integers(1, 4),
    unknown=st.sampled_from([0.0, 0.3, 0.6]),
    damage=st.integers(0, 4),
)
def test_it_finds_what_trying_all_orders_finds(kind, seed, count, clients, unknown, damage):
    chance = random.Random(seed)
    operations = played(chance, SHORT_KINDS[kind], count, clients, unknown)
    for _ in range(damage):
        operations = spoilt(chance, operations)
    operations_and_expiries = with_vanishing(operations)
    assume(len(operations_and_expiries) <= ALL_ORDERS_MAX)
    assert is_linearizable(operations) == brute_force(operations_and_expiries)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_history_takes_no_time(kind):
    """Two thousand operations of eight clients, a twentieth of them unknown."""
    commands = KINDS[kind] if kind != "texts" else KINDS[kind] + ["DEL x", "GET x", "GET x"]
    check(played(random.Random(kind), commands, 2000, 8, 0.05))


@pytest.mark.parametrize("kind", ["registers", "options", "deletes", "several keys", "a count"])
def test_a_long_history_with_one_wrong_reply_is_told_soon(kind):
    chance = random.Random(kind)
    commands = {**KINDS, "a count": ["INCR x", "INCR x", "GET x"]}[kind]
    operations = played(chance, commands, 1000, 8, 0.03)
    late = max(o.returned for o in operations if o.returned is not None)
    operations.append(Operation(9, late / 2, late / 2 + 1, ("GET", "x"), b"never written"))
    with pytest.raises(NotLinearizable, match="client 9: GET x -> b'never written'"):
        check(operations)


def test_a_search_that_grows_too_large_says_what_it_could_not_get_past(monkeypatch):
    monkeypatch.setattr(history_module, "CONFIGURATIONS_MAX", 1000)
    operations = played(random.Random(1), KINDS["counters"], 300, 8, 0.2)
    late = max(o.returned for o in operations if o.returned is not None)
    operations.append(Operation(9, late / 2, late / 2 + 1, ("GET", "x"), b"never written"))
    with pytest.raises(Undecided, match="client 9: GET x -> b'never written'"):
        check(operations)


# -- transactions --------------------------------------------------------------------------------

MOVED = transaction([("DECRBY", "a", "1"), ("INCRBY", "b", "1")])
WATCHED = transaction([("SET", "x", "new"), ("GET", "y")], [("x", "old")])


@pytest.mark.parametrize(
    ("is_good", "rows"),
    [
        (True, [(MOVED, [-1, 1]), (("MGET", "a", "b"), [b"-1", b"1"])]),
        (False, [(MOVED, [-1, 1]), (("MGET", "a", "b"), [b"-1", None])]),  # half of it
        (False, [(MOVED, [-1]), (("MGET", "a", "b"), [b"-1", b"1"])]),
        (True, [(("SET", "x", "old"), "OK"), (WATCHED, ["OK", None]), (("GET", "x"), b"new")]),
        (False, [(("SET", "x", "other"), "OK"), (WATCHED, ["OK", None])]),
        (False, [(WATCHED, ["OK", None])]),
        (True, [(transaction([("SET", "x", "new")], [("x",)]), ["OK"])]),
        (False, [(("SET", "x", "a"), "OK"), (transaction([], [("x",)]), [])]),
    ],
)
def test_a_transaction_is_one_operation(is_good: bool, rows: list) -> None:
    operations = [Operation(0, n, n + 0.5, *row) for n, row in enumerate(rows)]
    if is_good:
        check(operations)
    else:
        with pytest.raises(NotLinearizable):
            check(operations)


@pytest.mark.parametrize(("value", "happened"), [("old", True), ("old", False), ("other", False)])
def test_one_of_unknown_outcome_happens_as_a_whole_if_it_may(value: str, happened: bool) -> None:
    operations = [
        Operation(0, 0, 1, ("SET", "x", value), "OK"),
        Operation(1, 2, None, WATCHED),
        Operation(0, 3, 4, ("GET", "x"), b"new" if happened else value.encode()),
    ]
    check(operations)
    wrong = b"new" if value == "other" else b"nonsense"
    with pytest.raises(NotLinearizable):
        check([*operations[:2], Operation(0, 3, 4, ("GET", "x"), wrong)])


def said(*rows: tuple[str, object]) -> list[Operation]:
    """One after another; ``...`` is an unknown outcome."""
    return [
        Operation(0, n, None if reply is ... else n + 0.5, tuple(words.split()), reply)
        for n, (words, reply) in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("is_good", "rows"),
    [
        (True, [("RPUSH q 1", 1), ("BLPOP q 0", [b"q", b"1"]), ("BLPOP q 0.1", None)]),
        (False, [("RPUSH q 1", 1), ("BLPOP q 0", [b"q", b"1"]), ("BLPOP q 0", [b"q", b"1"])]),
        (False, [("RPUSH q 1", 1), ("BLPOP q 0.1", None)]),  # it was there
        (True, [("RPUSH q 1", 1), ("LPOP q", ...), ("BLPOP q 0.1", None)]),
        (False, [("RPUSH q 1 2", 2), ("LPOP q", ...), ("BLPOP q 0.1", None)]),  # one at most
        (True, [("SADD s a b", 2), ("SPOP s", ...), ("SMEMBERS s", [b"b"])]),
        (False, [("SADD s a b", 2), ("SPOP s", ...), ("SMEMBERS s", [])]),
        (False, [("SADD s a", 1), ("SPOP s", b"b")]),
        (False, [("HSET h f 1", 1), ("HGETALL h", [])]),
        (True, [("HSET h f 1", 1), ("HPEXPIRE h 9 FIELDS 1 f", [1]), ("HGETALL h", [])]),
        (
            False,  # it was seen gone
            [
                *[("HSET h f 1", 1), ("HPEXPIRE h 9 FIELDS 1 f", [1]), ("HGET h f", None)],
                ("HGET h f", b"1"),
            ],
        ),
    ],
)
def test_containers_are_judged(is_good: bool, rows: list) -> None:
    assert is_linearizable(said(*rows)) == is_good


@pytest.mark.parametrize(("left", "is_good"), [([b"1"], True), ([], False), ([b"never"], False)])
def test_a_script_that_its_limit_ended_has_left_nothing(left: list, is_good: bool) -> None:
    script = ("EVAL", ENDLESS, "2", "q", "r", "never")
    operations = [
        Operation(0, 0, 1, ("RPUSH", "q", "1"), 1),
        Operation(0, 2, 3, script, ValueError("it does more than it may")),
        Operation(0, 4, 5, ("LRANGE", "q", "0", "-1"), left),
    ]
    assert is_linearizable(operations) == is_good
