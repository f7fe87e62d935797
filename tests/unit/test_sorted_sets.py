"""A sorted set against a plain dictionary that is sorted whenever it is asked; its walk; bounds."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands import sorted_set_algebra
from distrodb.commands.choosing import CHOSEN_MAX, chosen
from distrodb.commands.scores import ScoreRange, member_range, parse_score, score_range
from distrodb.keyspace.chance import Chance
from distrodb.keyspace.containers.sorted_set import ENTRY_BYTES, SortedSet
from distrodb.keyspace.containers.walk import Walk
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.store import Store
from distrodb.resp.reply import NULL_ARRAY, ErrorReply, Pairs
from tests.support.stores import ask, new_store, restored

members = st.sampled_from([b"a", b"b", b"c", b"d", b"e"]) | st.binary(max_size=3)
scores = st.sampled_from([0.0, -0.0, 1.0, 2.5, math.inf, -math.inf]) | st.floats(allow_nan=False)
ranks = st.integers(0, 9)
writes = st.one_of(
    st.tuples(st.just("set"), members, scores),
    st.tuples(st.just("delete"), members),
    st.tuples(st.just("take"), ranks, ranks),
    st.tuples(st.just("clone")),
    st.tuples(st.just("walk"), st.integers(0, 2**32 - 1)),
)


def checked(value: SortedSet, model: dict[bytes, float]) -> None:
    entries = sorted((score, member) for member, score in model.items())
    assert list(value) == entries and len(value) == len(entries)
    assert value.size == sum(map(len, model)) + ENTRY_BYTES * len(model)
    for rank, (score, member) in enumerate(entries):
        assert value.rank(member) == rank and value.at(rank) == (score, member)
        assert value.score(member) == score and member in value
    for start in range(len(entries) + 1):
        assert value.between(start, start + 3) == entries[start : start + 3]
        assert value.between(start, start + 3, True) == entries[start : start + 3][::-1]
    for score in [*model.values(), 0.0, 1.0]:
        before = sum(other < score for other, _ in entries)
        behind = sum(other <= score for other, _ in entries)
        assert value.rank_of_score(score, False) == before
        assert value.rank_of_score(score, True) == behind


@given(st.lists(writes, max_size=40))
def test_it_is_what_a_sorted_dictionary_is(steps: list[tuple[object, ...]]) -> None:
    value, model = SortedSet(0), dict[bytes, float]()
    clones: list[tuple[SortedSet, dict[bytes, float]]] = []
    for step in steps:
        match step:
            case ("set", bytes(member), float(score)):
                assert value.set(member, score) == (member not in model)
                model[member] = score
            case ("delete", bytes(member)):
                assert value.delete(member) == (model.pop(member, None) is not None)
            case ("take", int(start), int(stop)):
                entries = sorted((score, member) for member, score in model.items())[start:stop]
                assert value.take(start, stop) == entries
                for _, member in entries:
                    del model[member]
            case ("walk", int(position)):
                value.walk(position, 2)
            case _:
                clones.append((value, dict(model)))
                value = value.clone(len(clones))
    for each, plain in (*clones, (value, model)):
        checked(each, plain)
    assert value.canonical() == SortedSet.of(model).canonical()
    assert SortedSet.of(model).size == value.size


@given(st.dictionaries(members, scores, max_size=20), st.integers(1, 60))
def test_it_comes_back_from_its_parts(model: dict[bytes, float], size: int) -> None:
    one, other = SortedSet.of(model, 3), SortedSet(0)
    for part, part_size in one.parts(size):
        assert part_size <= size + 20
        other.add_part(part)
    checked(other, model)


@pytest.mark.parametrize(
    "plain",
    [
        [],
        [b"a"],
        [b"a", 1],
        ["a", 1.0],
        [1.0, b"a"],
        [b"a", 1.0, b"a", 2.0],
        [b"a", math.nan],
        [b"a", True],
    ],
)
def test_what_is_no_part_is_refused(plain: list[object]) -> None:
    with pytest.raises(ValueError, match="a sorted set"):
        SortedSet(0).add_part(plain)


def test_a_large_one_is_no_large_chunk() -> None:
    store = new_store(0, 0)
    pairs = [word for n in range(2000) for word in (b"%d" % n, b"%04d" % n + b"x" * 1000)]
    store.execute(0, [b"ZADD", b"z", *pairs], 0)
    store.execute(0, [b"PEXPIRE", b"z", b"77"], 0)
    chunks = list(store.snapshot())
    assert len(chunks) in range(8, 11) and max(map(len, chunks)) < 300_000
    assert restored(chunks).digest() == store.digest()


# -- walks -----------------------------------------------------------------------------------------

texts = st.integers(0, 400).map(lambda number: b"m%d" % number)


@given(
    st.sets(texts, min_size=1),
    st.sets(texts),
    st.lists(st.tuples(st.booleans(), texts), max_size=40),
    st.integers(1, 30),
)
def test_a_walk_gives_once_what_is_there_all_the_while(
    stay: set[bytes], others: set[bytes], changes: list[tuple[bool, bytes]], count: int
) -> None:
    value = SortedSet.of(dict.fromkeys(stay | others, 1.0))
    position = 0
    given_: list[bytes] = []
    while True:
        position, some = value.walk(position, count)
        given_ += some
        if not position:
            break
        for adds, member in changes[:3]:
            if member not in stay:
                if adds:
                    value.set(member, 2.0)
                else:
                    value.delete(member)
            else:
                value.set(member, 3.0)  # another score changes nothing of its place
        changes = changes[3:]
        if len(changes) % 2:
            value = value.clone(1)  # what was made for the walk is lost, its position is not
    assert sorted(member for member in given_ if member in stay) == sorted(stay)
    assert len(given_) <= len(stay) + len(others) + 40 + 8


def test_a_walk_s_order_does_not_depend_on_how_it_was_filled() -> None:
    names = [b"%d" % number for number in range(5000)]
    one, other = Walk(names), Walk(names[::-1])
    for walk, order in ((one, names), (other, names[::-1])):
        for name in order[:100]:
            walk.remove(name)
            walk.add(name)
    assert one.step(0, 10_000) == other.step(0, 10_000)
    assert one.step(1 << 31, 5) == other.step(1 << 31, 5)


def test_a_walk_that_has_become_too_coarse_is_made_again() -> None:
    value = SortedSet.of({b"%d" % number: 1.0 for number in range(200)})
    position, _ = value.walk(0, 1)
    for number in range(200, 20_000):
        value.set(b"%d" % number, 1.0)
    assert not value.is_walked
    _, some = value.walk(position, 10)
    assert value.is_walked and len(some) < 100


def test_zscan_of_a_large_set_goes_on_where_it_was() -> None:
    store = new_store(0, 0)
    words = [word for n in range(1000) for word in (b"%d" % n, b"m%d" % n)]
    store.execute(0, [b"ZADD", b"z", *words], 0)
    cursor, found = b"0", dict[bytes, bytes]()
    for _ in range(1000):
        reply = store.execute(0, [b"ZSCAN", b"z", cursor, b"COUNT", b"7", b"MATCH", b"m*"], 0)
        cursor, items = reply  # type: ignore[misc, assignment]
        found.update(zip(items[::2], items[1::2], strict=True))  # type: ignore[arg-type]
        if cursor == b"0":
            break
    assert found == {b"m%d" % n: b"%d" % n for n in range(1000)}
    assert ask(store, "ZSCAN z 18446744073709551615") == [b"0", []]


# -- numbers and bounds ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0),
        ("-1.5e3", -1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("+inf", math.inf),
        ("-Infinity", -math.inf),
        ("0x10", 16.0),
        ("0x1p-2", 0.25),
        ("0e5", 0.0),
        ("nan", None),
        ("1e400", None),
        ("-1e400", None),
        ("1e-400", None),
        ("0x1p-9999", None),
        ("0x1p9999", None),
        ("1_0", None),
        (" 1", None),
        ("1 ", None),
        ("", None),
        ("1" * 6000, None),
    ],
)
def test_a_score_is_read_as_c_reads_it(text: str, number: float | None) -> None:
    assert parse_score(text.encode()) == number


def test_a_bound_may_be_too_large_for_a_double_and_a_score_may_not() -> None:
    assert score_range(b"(-1e999", b"1e999") == ScoreRange(-math.inf, math.inf, True, False)
    assert isinstance(score_range(b"1", b"nan"), ErrorReply)


model_sets = st.dictionaries(st.binary(max_size=2), st.just(0.0), max_size=300)


@given(model_sets, st.binary(max_size=2), st.binary(max_size=2), st.booleans(), st.booleans())
def test_a_range_by_members_is_what_it_says(
    model: dict[bytes, float], least: bytes, most: bytes, takes_least: bool, takes_most: bool
) -> None:
    value = SortedSet.of(model)
    asked = member_range(
        (b"[" if takes_least else b"(") + least, (b"[" if takes_most else b"(") + most
    )
    assert not isinstance(asked, ErrorReply)
    wanted = [
        member
        for member in sorted(model)
        if (least < member or (takes_least and least == member))
        and (member < most or (takes_most and most == member))
    ]
    for is_reverse in (False, True):
        start, stop = asked.ranks(value, is_reverse)
        assert [member for _, member in value.between(start, stop)] == wanted


def test_a_large_set_is_halved_where_a_small_one_is_looked_through() -> None:
    value = SortedSet.of({b"%04d" % number: 0.0 for number in range(5000)})
    asked = member_range(b"[1000", b"(2000")
    assert not isinstance(asked, ErrorReply) and asked.ranks(value) == (1000, 2000)


# -- chance ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5, 9, 10, 11])
def test_different_ranks_are_chosen_and_each_of_them_sometimes(count: int) -> None:
    chance, seen = Chance(), set[int]()
    for _ in range(200):
        some = chosen(chance, 10, count)
        assert len(set(some)) == len(some) == min(count, 10)
        seen |= set(some)
    assert seen == set(range(10))


def test_a_negative_count_may_choose_a_member_again() -> None:
    chance = Chance()
    assert sorted(set(chosen(chance, 3, -100))) == [0, 1, 2]


def test_no_more_are_chosen_than_is_bounded() -> None:
    store = new_store(0, 0)
    ask(store, "ZADD z 1 a")
    assert ask(store, f"ZRANDMEMBER z -{CHOSEN_MAX + 1}") == ErrorReply(
        b"ERR value is out of range: no more than 1048576 elements at once"
    )
    assert ask(store, "ZRANDMEMBER z -3 WITHSCORES") == Pairs([(b"a", 1.0)] * 3)


# -- what is newer than the oracle's Redis, and what it does not say -------------------------------


def test_a_rank_with_its_score() -> None:
    """https://redis.io/docs/latest/commands/zrank/, and /zrevrank/."""
    store = new_store(0, 0)
    ask(store, "ZADD myzset 1 one 2 two 3 three")
    assert ask(store, "ZRANK myzset three") == 2
    assert ask(store, "ZRANK myzset four") is None
    assert ask(store, "ZRANK myzset three WITHSCORE") == [2, 3.0]
    assert ask(store, "ZRANK myzset four WITHSCORE") is NULL_ARRAY
    assert ask(store, "ZRANK none four withscore") is NULL_ARRAY
    assert ask(store, "ZREVRANK myzset three WITHSCORE") == [0, 3.0]
    assert ask(store, "ZRANK myzset three SCORE") == ErrorReply(b"ERR syntax error")
    assert isinstance(ask(store, "ZRANK myzset three WITHSCORE x"), ErrorReply)


def test_limits_are_kept_by_members_and_keys() -> None:
    store = new_store(0, 0)
    limits = StoreLimits()
    long_key = b"k" * (limits.key_bytes_max + 1)
    long_member = b"m" * (limits.value_bytes_max + 1)
    for words in (
        [b"ZADD", long_key, b"1", b"a"],
        [b"ZADD", b"z", b"1", b"a", b"1", long_member],
        [b"ZINCRBY", b"z", b"1", long_member],
        [b"ZUNIONSTORE", long_key, b"1", b"z"],
        [b"ZRANGESTORE", long_key, b"z", b"0", b"1"],
    ):
        assert isinstance(store.execute(0, words, 0), ErrorReply)
    assert store.key_count() == 0


def of_numbers(store: Store, key: bytes, count: int) -> None:
    words = [word for n in range(count) for word in (b"%d" % n, b"%d" % n)]
    store.execute(0, [b"ZADD", key, *words], 0)


def test_what_looks_at_too_many_members_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store(0, 0)
    of_numbers(store, b"a", 60)
    of_numbers(store, b"b", 41)
    monkeypatch.setattr(sorted_set_algebra, "MEMBERS_MAX", 100)
    digest = store.digest()
    assert ask(store, "ZUNIONSTORE c 2 a b") == sorted_set_algebra.TOO_MANY
    assert ask(store, "ZINTERCARD 3 a b b") == sorted_set_algebra.TOO_MANY
    assert ask(store, "ZDIFF 2 a b") == sorted_set_algebra.TOO_MANY
    assert store.digest() == digest
    assert ask(store, "ZINTERCARD 2 a b") == 41
    assert ask(store, "ZUNIONSTORE c 1 a") == 60


def test_an_error_changes_nothing() -> None:
    store = new_store(0, 0)
    ask(store, "ZADD z inf a 1 b")
    digest = store.digest()
    for line in ("ZINCRBY z -inf a", "ZADD z 5 b x c", "ZADD z INCR -inf a", "ZADD z NX GT 1 b"):
        assert isinstance(ask(store, line), ErrorReply), line
        assert store.digest() == digest


def test_sums_do_not_depend_on_how_a_set_was_filled() -> None:
    """Doubles added in another order may give another sum."""
    digests = set()
    for seed in range(5):
        store, choose = new_store(0, 0), random.Random(seed)
        for key in (b"a", b"b", b"c"):
            words = [(b"0.%d" % (n * 7 + len(key) * 3), b"m%d" % n) for n in range(30)]
            choose.shuffle(words)
            for score, member in words:
                store.execute(0, [b"ZADD", key, score, member], 0)
        ask(store, "ZUNIONSTORE d 3 a b c WEIGHTS 0.1 0.3 0.7")
        ask(store, "ZINTERSTORE e 3 a b c WEIGHTS 0.1 0.3 0.7")
        digests.add(store.digest())
    assert len(digests) == 1
