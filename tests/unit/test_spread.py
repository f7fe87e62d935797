"""Keys of several slots, seen through one command, behave as keys of one place do."""

from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.resp.reply import ErrorReply
from distrodb.ring.slots import slot_of
from tests.support.stores import new_store

KEYS = [b"a", b"b", b"c", b"{a}d"]
LINES = """
SET k v|SET k v NX|SET k v XX GET|SETNX k v|MSET k v k v|APPEND k v|INCR k|GET k|MGET k k k|STRLEN k
HSET k v v|HDEL k v|HGETALL k|DEL k k|UNLINK k|EXISTS k k|TOUCH k|TYPE k|RENAME k k|RENAMENX k k
ZADD k v v|ZREM k v|ZPOPMIN k|ZRANGE k 0 -1|ZUNIONSTORE k 2 k k|ZRANGESTORE k k 0 -1
ZINTERCARD 2 k k
COPY k k|COPY k k REPLACE|COPY k k DB 1|COPY k k DB 0 REPLACE|MOVE k 1|MOVE k 0|PEXPIRE k 20
PEXPIRE k 20 NX|PEXPIREAT k 1|PERSIST k|PTTL k|PEXPIRETIME k
"""
words = {"k": st.sampled_from(KEYS), "v": st.sampled_from([b"1", b"x", b"7"])}


def commands(line: str) -> st.SearchStrategy[list[bytes]]:
    return st.tuples(*(words.get(word, st.just(word.encode())) for word in line.split(" "))).map(
        list
    )


lines = [line for row in LINES.split("\n") for line in row.split("|") if line]
steps = st.lists(
    st.tuples(st.integers(0, 15), st.integers(0, 1), st.one_of(*map(commands, lines))), max_size=25
)


@settings(max_examples=150)
@given(steps)
def test_it_does_what_a_place_does(steps: list[tuple[int, int, list[bytes]]]) -> None:
    """One store has all keys in one place, as if they shared a hash tag; in the other each is in
    its own slot, and the command says no more than "somewhere in this partition"."""
    together, spread, now_ms = new_store(0, 16383), new_store(0, 16383), 1
    for passed_ms, database, args in steps:
        now_ms += passed_ms
        reply = run(together, place_of(database, 5), args, now_ms)
        assert run(spread, place_of(database, -1), args, now_ms) == reply, args
    for database in (0, 1):
        for key in KEYS:
            for name in (b"TYPE", b"GET", b"HGETALL", b"PTTL"):
                own = place_of(database, slot_of(key))
                ours = spread.execute(own, [name, key], now_ms)
                assert ours == together.execute(place_of(database, 5), [name, key], now_ms)


def run(store: Store, place: int, args: list[bytes], now_ms: int) -> object:
    store.advance(now_ms, 0)
    reply = store.execute(place, args, now_ms)
    return reply.text if isinstance(reply, ErrorReply) else reply
