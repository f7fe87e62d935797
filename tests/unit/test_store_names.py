"""Keys that get another name, another database, a copy; and what is told of it."""

import pytest

from distrodb.keyspace.keys import NEW
from distrodb.keyspace.place import Observer
from distrodb.keyspace.place_number import database_of, place_of
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, Reply, error
from tests.support.stores import ask, new_store, restored

SAME = error("ERR", "source and destination objects are the same")
NO_KEY = error("ERR", "no such key")
BAD_INDEX = error("ERR", "DB index is out of range")
OTHER = place_of(1, 0)


class Notes(Observer):
    def __init__(self) -> None:
        self.changes: list[tuple[int, bytes]] = []
        self.events: list[tuple[int, bytes, bytes]] = []
        self.flushes: list[int | None] = []

    def changed(self, place: int, key: bytes) -> None:
        self.changes.append((database_of(place), key))

    def event(self, place: int, kind: str, name: bytes, key: bytes) -> None:
        if kind != NEW:  # beside what a command says itself
            self.events.append((database_of(place), name, key))

    def flushed(self, database: int | None) -> None:
        self.flushes.append(database)


def make() -> Store:
    """s is a string that expires at 5000, h a hash, o a string of database 1; it is 1000."""
    store = new_store(0, 9)
    for line in ("SET s 1", "PEXPIREAT s 5000", "HSET h a 1"):
        ask(store, line, 1000)
    ask(store, "SET o 1", place=OTHER)
    return store


@pytest.mark.parametrize(
    ("line", "reply", "events", "seen"),
    [
        ("DEL s none h", 2, ["0 del s", "0 del h"], "TTL s = -2"),
        ("UNLINK s", 1, ["0 del s"], "TTL s = -2"),
        ("TOUCH s none s", 2, [], "PTTL s = 4000"),
        ("RENAME s t", OK, ["0 rename_from s", "0 rename_to t"], "PTTL t = 4000"),
        ("RENAME h s", OK, ["0 rename_from h", "0 rename_to s"], "PTTL s = -1"),
        ("RENAME h h", OK, [], "HLEN h = 1"),
        ("RENAME none h", NO_KEY, [], "HLEN h = 1"),
        ("RENAME none none", NO_KEY, [], "HLEN h = 1"),
        ("RENAMENX h s", 0, [], "HLEN h = 1"),
        ("RENAMENX h h", 0, [], "HLEN h = 1"),
        ("RENAMENX h t", 1, ["0 rename_from h", "0 rename_to t"], "HLEN t = 1"),
        ("COPY s t", 1, ["0 copy_to t"], "PTTL t = 4000"),
        ("COPY s h", 0, [], "HLEN h = 1"),
        ("COPY h s replace", 1, ["0 copy_to s"], "PTTL s = -1"),
        ("COPY h h", SAME, [], "HLEN h = 1"),
        ("COPY h h DB 0", SAME, [], "HLEN h = 1"),
        ("COPY none t", 0, [], "TTL t = -2"),
        ("COPY h h DB 16", BAD_INDEX, [], "HLEN h = 1"),
        ("COPY h t FOO", error("ERR", "syntax error"), [], "TTL t = -2"),
        ("COPY h t DB", error("ERR", "syntax error"), [], "TTL t = -2"),
        ("COPY s s DB 1", 1, ["1 copy_to s"], "1 PTTL s = 4000"),
        ("COPY s o DB 1", 0, [], "1 PTTL o = -1"),
        ("COPY s o DB 1 REPLACE", 1, ["1 copy_to o"], "1 PTTL o = 4000"),
        ("MOVE s 1", 1, ["0 move_from s", "1 move_to s"], "1 PTTL s = 4000"),
        ("MOVE none 1", 0, [], "1 TTL none = -2"),
        ("MOVE s 0", SAME, [], "PTTL s = 4000"),
        ("MOVE s 16", BAD_INDEX, [], "PTTL s = 4000"),
        ("PERSIST s", 1, ["0 persist s"], "TTL s = -1"),
        ("PERSIST h", 0, [], "TTL h = -1"),
        ("EXPIRE h 9", 1, ["0 expire h"], "TTL h = 9"),
        ("EXPIRE h 0", 1, ["0 del h"], "TTL h = -2"),
        ("EXPIRETIME s", 5, [], "PEXPIRETIME s = 5000"),
        ("EXPIRETIME h", -1, [], "PEXPIRETIME none = -2"),
    ],
)
def test_command(line: str, reply: Reply, events: list[str], seen: str) -> None:
    store, notes = make(), Notes()
    store.observe(notes)
    assert ask(store, line) == reply
    told = [f"{database} {name.decode()} {key.decode()}" for database, name, key in notes.events]
    assert told == events
    assert {(db, key) for db, _, key in notes.events} <= set(notes.changes)
    assert bool(notes.changes) == bool(events)
    where, _, rest = seen.rpartition("1 ")
    question, _, answer = (rest if where == "" else seen).partition(" = ")
    place = OTHER if seen.startswith("1 ") else 0
    assert ask(store, question, place=place) == int(answer)


def test_a_key_moves_between_databases_but_not_onto_another() -> None:
    store = make()
    ask(store, "SET s other", place=OTHER)
    assert ask(store, "MOVE s 1") == 0 and ask(store, "GET s") == b"1"
    assert ask(store, "MOVE o 0", place=OTHER) == 1 and ask(store, "GET o") == b"1"
    assert ask(store, "EXISTS o", place=OTHER) == 0


def test_an_expired_key_is_in_nobodys_way() -> None:
    store = make()
    ask(store, "SET t 2")
    assert ask(store, "RENAMENX t s", 6000) == 1 and ask(store, "PTTL s") == -1
    assert ask(store, "COPY t u") == 0
    store = make()
    assert ask(store, "RENAME s t", 6000) == NO_KEY
    assert ask(store, "COPY h s") == 1


def test_two_copies_of_a_container_are_two() -> None:
    store = make()
    ask(store, "COPY h i")
    ask(store, "HSET h b 2")
    ask(store, "HSET i a 9")
    assert ask(store, "HGETALL h") == {b"a": b"1", b"b": b"2"}
    assert ask(store, "HGETALL i") == {b"a": b"9"}


@pytest.mark.parametrize("line", ["RENAME h i", "COPY h i", "MOVE h 1"])
def test_a_snapshot_keeps_what_was(line: str) -> None:
    store = make()
    before, chunks = store.digest(), store.snapshot()
    ask(store, line)
    place = OTHER if line.startswith("MOVE") else 0
    ask(store, f"HSET {'h' if place else 'i'} a 2", place=place)
    assert restored(chunks).digest() == before


def test_one_database_is_flushed_with_what_expires_in_it() -> None:
    store, notes = make(), Notes()
    ask(store, "PEXPIREAT o 7000", place=OTHER)
    store.observe(notes)
    assert ask(store, "FLUSHDB", place=-1) == OK
    assert store.key_count() == store.expiring_count == 1 and store.next_expiry_ms == 7000
    assert ask(store, "FLUSHALL", place=-1) == OK
    assert store.key_count() == store.expiring_count == 0
    assert notes.flushes == [0, None]


def test_how_many_databases_there_are_is_the_leaders_word() -> None:
    """As with the other limits: an entry does the same on every replica."""
    from distrodb.keyspace.context import StoreLimits
    from distrodb.keyspace.entry import encode_batch

    leader = new_store(0, 9, StoreLimits(databases=4))
    other = new_store(0, 9, StoreLimits(databases=32))
    batch = [(0, [b"SET", b"a", b"1"]), (0, [b"MOVE", b"a", b"4"]), (0, [b"MOVE", b"a", b"3"])]
    payload = encode_batch(50, batch, 0, leader.limits)
    replies = [store.apply(payload) for store in (leader, other)]
    assert replies[0] == replies[1] == [OK, BAD_INDEX, 1]
    assert leader.digest() == other.digest()


def test_any_key_is_chosen_and_none_that_has_expired() -> None:
    store = new_store(0, 9)
    for number in range(20):
        ask(store, f"SET k{number} 1", 1000, place=number % 3)
        if number % 2:
            ask(store, f"PEXPIREAT k{number} 2000", place=number % 3)
    found = {ask(store, "RANDOMKEY", 2000, place=-1)[2] for _ in range(300)}  # type: ignore[index]
    assert found == {b"k%d" % number for number in range(0, 20, 2)}
    assert ask(store, "RANDOMKEY", place=-2) == []
