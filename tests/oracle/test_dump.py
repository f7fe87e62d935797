"""What DUMP gives here RESTORE takes there, and the other way round."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.compare import COUNTED, Server, begin
from tests.oracle.frames import Frame
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer

KEY, COPY = b"{t}key", b"{t}copy"
# Values that Redis writes in different ways: integers of each size, short and long, compressed.
numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 70000)
texts = st.one_of(
    st.binary(max_size=70),
    numbers.map(lambda number: b"%d" % number),
    st.tuples(st.binary(min_size=1, max_size=4), st.integers(1, 5000)).map(lambda t: t[0] * t[1]),
)


def value(server: Server, key: bytes) -> Frame:
    return server.ask_all([[b"GET", key]])[0]


def moved(giver: Server, taker: Server, made: list[bytes]) -> None:
    giver.ask_all([[b"FLUSHALL"], made])
    (dump,) = giver.ask_all([[b"DUMP", KEY]])
    assert dump[0] == b"$" and dump[1], dump
    taken = taker.ask_all([[b"FLUSHALL"], [b"RESTORE", COPY, b"0", dump[1]]])
    assert taken[1] == (b"+", b"OK"), taken[1]
    read = [b"GET"] if made[0] == b"SET" else [b"HGETALL"]
    (was,), (now,) = giver.ask_all([[*read, KEY]]), taker.ask_all([[*read, COPY]])
    assert _unordered(was) == _unordered(now)
    COUNTED["dumps"] += 1


def _unordered(frame: Frame) -> object:
    if not isinstance(frame[1], list):
        return frame
    return sorted(zip(frame[1][::2], frame[1][1::2], strict=True))


def test_dumps_are_taken_both_ways(node: RedisServer) -> None:
    theirs, ours = node.connect(), PureServer()
    for server in (theirs, ours):
        server.ask_all(begin(2))

    @settings(max_examples=200)
    @given(texts)
    def strings(text: bytes) -> None:
        made = [b"SET", KEY, text]
        moved(theirs, ours, made)
        moved(ours, theirs, made)

    @settings(max_examples=100)
    @given(st.dictionaries(texts.map(lambda text: text[:200]), texts, min_size=1, max_size=20))
    def hashes(fields: dict[bytes, bytes]) -> None:
        made = [b"HSET", KEY, *(word for pair in fields.items() for word in pair)]
        moved(theirs, ours, made)
        moved(ours, theirs, made)

    strings()
    hashes()
    theirs.close()
