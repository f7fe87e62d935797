"""Keys as lines of JSON."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.backup import json_lines, writes
from distrodb.backup.json_lines import line_of, record_of
from distrodb.backup.records import Record
from distrodb.backup.redis_source import _READERS
from distrodb.commands.hash_expiry import MOMENT_MS_MAX
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.containers.kinds import CONTAINERS
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.stream_ids import ID_MAX
from distrodb.ring.slots import slot_of
from distrodb.slave.machine_factory import new_store


def hash_of(pairs):
    value = Hash(0)
    for field, text in pairs.items():
        value.set(field, text)
    return value


def expiring_hash_of(contents):
    value = hash_of({field: text for field, (text, _) in contents.items()})
    for field, (_, at_ms) in contents.items():
        if at_ms:
            value.expire_at(field, at_ms)
    return value


def list_of(items):
    value = List(0)
    value.extend(items)
    return value


STREAM_LINES = [
    *(b"XADD s * f v", b"XADD s * f \xff g w", b"XDEL s 0-1", b"XTRIM s MAXLEN 2"),
    *(b"XGROUP CREATE s g 0", b"XGROUP CREATE s h $", b"XREADGROUP GROUP g c STREAMS s >"),
    *(b"XREADGROUP GROUP g d COUNT 1 STREAMS s >", b"XSETID s 99-0", b"XGROUP SETID s g 0"),
]


def stream_of(lines):
    store = new_store(0, 0)
    for now_ms, (line, _) in enumerate([(b"XADD s 0-1 f v", 0), *lines], 1):
        store.execute(0, line.split(b" "), now_ms)
    return store._places[0].container(b"s", Stream)


data = st.one_of(st.binary(max_size=20), st.text(max_size=20).map(str.encode))
scores = st.dictionaries(data, st.floats(allow_nan=False), min_size=1, max_size=5)
expiring = st.tuples(data, st.integers(0, MOMENT_MS_MAX))
values = st.one_of(
    data,
    st.dictionaries(data, data, min_size=1, max_size=5).map(hash_of),
    st.dictionaries(
        data, st.tuples(data, st.integers(0, MOMENT_MS_MAX)), min_size=1, max_size=5
    ).map(expiring_hash_of),
    st.lists(data, min_size=1, max_size=5).map(list_of),
    scores.map(SortedSet.of),
    st.sets(data, min_size=1, max_size=5).map(lambda members: Set.of(sorted(members))),
)
streams = st.lists(
    st.tuples(st.sampled_from(STREAM_LINES), st.integers(0, 9)), min_size=1, max_size=12
).map(stream_of)
values = st.one_of(values, streams)
expiries = st.one_of(st.none(), st.integers(1, 1 << 62))
records = st.builds(Record, st.integers(0, 1023), data, values, expiries)


def plain(record):
    value = record.value
    shown = value
    if isinstance(value, Hash):
        shown = [(field, text, value.expiry(field)) for field, text in value.fields.items()]
    shown = list(value) if isinstance(value, List) else shown
    if isinstance(value, SortedSet):
        shown = repr(list(value))
    shown = list(value.members) if isinstance(value, Set) else shown
    if isinstance(value, Stream):
        # Blocks are made anew, so not as they lie in those.
        parts = [part for part, _ in value.parts(1 << 30) if part[0] != 1]
        shown = list(value.range(0, ID_MAX)), parts
    return record.database, record.key, shown, record.expires_at_ms


@given(records)
def test_a_record_comes_back_as_it_went(record):
    line = line_of(record)
    assert "\n" not in line and "\r" not in line
    assert plain(record_of(line)) == plain(record)
    assert plain(record_of(line.encode().decode())) == plain(record)


def test_lines_are_as_the_docs_show_them():
    assert line_of(Record(0, b"a", b"1", None)) == '{"key": "a", "value": "1"}'
    assert (
        line_of(Record(3, "ä".encode(), b"\xff", 5))
        == '{"key": "ä", "value": {"base64": "/w=="}, "expires_at_ms": 5, "database": 3}'
    )
    value = hash_of({b"f": b"1", b"\xfe": b""})
    assert (
        line_of(Record(0, b"h", value, None))
        == '{"key": "h", "hash": [["f", "1"], [{"base64": "/g=="}, ""]]}'
    )
    value = SortedSet.of({b"m": 1.5, b"n": math.inf, b"o": -2.0})
    assert (
        line_of(Record(0, b"z", value, None))
        == '{"key": "z", "zset": [["o", -2.0], ["m", 1.5], ["n", "inf"]]}'
    )


def test_text_that_looks_like_base64_stays_text():
    for key in (b"/w==", b'{"base64": "/w=="}', b"base64"):
        record = record_of(line_of(Record(0, key, key, None)))
        assert (record.key, record.value) == (key, key)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no JSON: Expecting value at column 1"),
        ("[1]", "no JSON object"),
        ("{", "no JSON: "),
        ('{"key": "a"}', "it needs a key, and one of value, hash, list, zset"),
        ('{"value": "a"}', "it needs a key"),
        ('{"key": "a", "value": "1", "hash": [["a", "b"]]}', "one of value, hash, list, zset"),
        ('{"key": "a", "value": 1}', 'keys and values are strings, or {"base64": "…"}'),
        ('{"key": 1, "value": "1"}', "keys and values are strings"),
        ('{"key": "a", "value": null}', "keys and values are strings"),
        ('{"key": "a", "value": {"base64": "%"}}', "what should be Base64 is not"),
        ('{"key": "a", "value": {"base64": "ä"}}', "what should be Base64 is not"),
        ('{"key": "a", "value": {"base64": "/w==", "x": "1"}}', "keys and values are strings"),
        ('{"key": "a", "value": {"Base64": "/w=="}}', "keys and values are strings"),
        ('{"key": "a", "value": "1", "ttl": 5}', "'ttl' is not known"),
        ('{"key": "a", "key": "b", "value": "1"}', "a name twice in one object"),
        ('{"key": "a", "value": "1", "database": -1}', "database is no number from 0 to 1023"),
        ('{"key": "a", "value": "1", "database": true}', "database is no number"),
        ('{"key": "a", "value": "1", "expires_at_ms": 1.5}', "expires_at_ms is no number from 1"),
        ('{"key": "a", "value": "1", "expires_at_ms": 0}', "expires_at_ms is no number from 1"),
        ('{"key": "a", "value": "1", "expires_at_ms": 9223372036854775808}', "expires_at_ms is no"),
        ('{"key": "\\ud800", "value": "1"}', "a lone surrogate"),
        ('{"key": "a", "hash": []}', "a hash is a list of pairs"),
        ('{"key": "a", "set": []}', "a set is a list of strings"),
        ('{"key": "a", "set": "b"}', "a set is a list of strings"),
        ('{"key": "a", "set": ["b", {"base64": "Yg=="}]}', "a member twice in one set"),
        ('{"key": "a", "stream": []}', "a stream is an object"),
        ('{"key": "a", "stream": {"entries": [], "x": 1}}', "a stream is an object"),
        ('{"key": "a", "stream": {"entries": [["1-1"]]}}', "an entry is"),
        ('{"key": "a", "stream": {"entries": [["x", "f", "v"]]}}', "milliseconds-sequence"),
        ('{"key": "a", "stream": {"entries": [["0-0", "f", "v"]]}}', "in the order"),
        ('{"key": "a", "stream": {"entries": [["1-1", "f", "v"]], "last": "1-0"}}', "below that"),
        ('{"key": "a", "stream": {"entries": [], "added": -1}}', "a count or a time"),
        ('{"key": "a", "stream": {"entries": [], "groups": [{}]}}', "a group is an object"),
        (
            '{"key": "a", "stream": {"entries": [], "groups": [{"name": "g", "last": "0-0",'
            ' "pending": [["1-1", "c", 5, 1]]}]}}',
            "a consumer that is not there",
        ),
        ('{"key": "a", "list": []}', "a list is one of strings"),
        ('{"key": "a", "list": "b"}', "a list is one of strings"),
        ('{"key": "a", "list": [1]}', "keys and values are strings"),
        ('{"key": "a", "hash": {"f": "v"}}', "a hash is a list of pairs"),
        ('{"key": "a", "hash": [["f"]]}', "a hash is a list of pairs"),
        ('{"key": "a", "hash": [["f", "1", 5, 6]]}', "a hash is a list of pairs"),
        ('{"key": "a", "hash": [["f", "1", "5"]]}', "when a field expires is no number from 1"),
        ('{"key": "a", "hash": [["f", "1", 0]]}', "when a field expires is no number from 1"),
        ('{"key": "a", "hash": [["f", "1", 70368744177664]]}', "to 70368744177663"),
        ('{"key": "a", "hash": [["f", "1"], ["f", "2"]]}', "a field twice in one hash"),
        ('{"key": "a", "zset": []}', "a sorted set is a list of pairs"),
        ('{"key": "a", "zset": [["m"]]}', "a sorted set is a list of pairs"),
        ('{"key": "a", "zset": [["m", 1], ["m", 2]]}', "a member twice in one sorted set"),
        ('{"key": "a", "zset": [["m", "1"]]}', "a score is a number"),
        ('{"key": "a", "zset": [["m", true]]}', "a score is a number"),
        ('{"key": "a", "zset": [["m", NaN]]}', "a score is a number"),
        ('{"key": "a", "zset": [["m", 1e999]]}', "a score is a number"),
        ('{"key": "a", "zset": [["m", 1%s]]}' % ("0" * 400), "a score is a number"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_line_that_is_none_says_why(line, why):
    with pytest.raises(ValueError, match="^") as told:
        record_of(line)
    assert why in str(told.value) and "\n" not in str(told.value)


@given(st.text(max_size=60))
def test_noise_is_refused_in_one_way(text):
    with pytest.raises(ValueError, match="^"):
        record_of(text)


# Whatever JSON has.
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["base64", "x"]), inner)
    ),
    max_leaves=5,
)


NAMES = ["key", "value", "hash", "list", "set", "zset", "database", "expires_at_ms"]


@given(anything, st.sampled_from(NAMES))
def test_whatever_stands_in_a_place_is_refused_or_taken(what, name):
    with contextlib.suppress(ValueError):
        record_of(json.dumps({"key": "a", "value": "1", name: what}))


# -- records as commands ---------------------------------------------------------------------------


def run(store, record, times=1):
    """Each command so many times: its outcome may be unknown."""
    place = place_of(record.database, slot_of(record.key))
    for words in writes.commands_of(record):
        args = [word if isinstance(word, bytes) else b"%d" % word for word in words]
        for _ in range(times):
            reply = store.execute(place, args, 1000)
        assert not hasattr(reply, "code"), reply


@given(
    records, st.sampled_from(["nothing", "a string", "a hash"]), st.booleans(), st.integers(1, 2)
)
def test_commands_make_the_key_whatever_was_there(record, before, is_large, times):
    store, wanted = new_store(0, 16383), new_store(0, 16383)
    place = place_of(record.database, slot_of(record.key))
    if before == "a string":
        store.execute(place, [b"SET", record.key, b"old", b"PXAT", b"9999999"], 1000)
    elif before == "a hash":
        store.execute(place, [b"HSET", record.key, b"old", b"old"], 1000)
    with pytest.MonkeyPatch.context() as patch:
        if is_large:  # made of several commands
            patch.setattr(writes, "WHOLE_BYTES_MAX", 0)
            patch.setattr(writes, "PART_BYTES", 40)
        for _ in range(times):
            run(store, record, times)
    keys = wanted._open(place)
    keys.put_value(record.key, record.value)
    if record.expires_at_ms is not None:
        keys.expire_at(record.key, record.expires_at_ms)
    for each in (store, wanted):  # what has expired is gone in both
        each.advance(1000, 10)
    assert store.digest() == wanted.digest()


def test_a_new_kind_is_thought_of_everywhere():
    assert set(writes._ADD_PART) == set(CONTAINERS)
    kinds = {kind.kind for kind in CONTAINERS.values()}
    assert {name.encode() for name in json_lines._KINDS} == {b"value", *kinds}
    assert set(_READERS) == {b"string", *kinds}
