"""What runs at once takes a bounded time: commands are weighed before they are proposed."""

import tracemalloc
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from distrodb.commands.costs import ARRANGED_US
from distrodb.commands.table import DATA_COMMANDS
from distrodb.keyspace.entry import decode_batch
from distrodb.keyspace.origins import NoReply
from distrodb.keyspace.store import Store
from distrodb.keyspace.transaction import EXEC, EXEC_RO, Condition, pack
from distrodb.raft.counts import Counts
from distrodb.raft.interfaces import GroupOptions, Marked
from distrodb.raft.proposals import BATCH_US, Proposals
from distrodb.resp.reply import ErrorReply, Reply
from distrodb.ring.slots import slot_of
from distrodb.slave.machine_factory import new_store
from tests.support.request import Asked

LARGE = 1 << 22  # bytes
KEY, OTHER, FRESH = b"{a}large", b"{a}other", b"{a}fresh"
PLACE = slot_of(KEY)
LAST_BIT = b"%d" % (8 * LARGE - 1)


@pytest.fixture
def store() -> Store:
    store = new_store(0, 16383)
    for key in (KEY, OTHER):
        store.execute(PLACE, [b"SET", key, bytes(LARGE)], 1)
    return store


def _cost_us(store: Store, *commands: Sequence[bytes]) -> float:
    return store.weights().cost_us(PLACE, [EXEC, *pack((PLACE, words) for words in commands)], 0)


# Of those whose arguments are not just keys and numbers.
_WORDS: dict[bytes, Sequence[bytes]] = {
    b"BITFIELD": [KEY, b"SET", b"u8", b"0", b"1"],
    b"BITFIELD_RO": [KEY, b"GET", b"u8", b"0"],
    b"BITOP": [b"NOT", FRESH, KEY],
    b"COPY": [KEY, OTHER, b"REPLACE"],
    b"HSET": [b"{a}hash", b"field", b"1"],
    b"LCS": [KEY, OTHER],
    b"LMOVE": [KEY, OTHER, b"LEFT", b"LEFT"],
    b"LMPOP": [b"1", KEY, b"LEFT"],
    b"SMOVE": [KEY, OTHER, b"1"],
    b"SINTERCARD": [b"1", KEY],
    b"LINSERT": [KEY, b"BEFORE", b"1", b"1"],
    b"MSETEX": [b"1", KEY, b"1"],
    b"RENAME": [KEY, OTHER],
    b"RENAMENX": [KEY, FRESH],
    b"SET": [KEY, b"1", b"IFEQ", b"1"],
    b"DELEX": [KEY, b"IFEQ", b"1"],
    b"SETBIT": [KEY, b"0", b"1"],
}


_FIRST = {b"OBJECT": b"ENCODING", b"MEMORY": b"USAGE", b"SCRIPT": b"LOAD", b"FUNCTION": b"LOAD"}
_FIRST |= {b"XGROUP": b"DESTROY", b"XINFO": b"STREAM"}


@pytest.mark.parametrize("name", sorted(DATA_COMMANDS))
def test_a_command_that_copies_a_large_value_is_weighed(name: bytes, store: Store) -> None:
    """So is each that comes: a copy is what a value's size costs in any case."""
    row = DATA_COMMANDS[name]
    words = _WORDS.get(name) or [KEY, b"0", b"-1", b"1"][: max(0, abs(row.arity) - 1)]
    if row.subcommands:
        words = [_FIRST[name], KEY]
    weight_us = store.weights().cost_us(PLACE, [name, *words], 0)
    tracemalloc.start()
    store.execute(PLACE, [name, *words], 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < LARGE // 2 or weight_us > 1000, (peak, weight_us)


WALKS = """
LRANGE l 0 -1|LRANGE l -9000 -1|LPOP l 9000|RPOP l 9000|LMPOP 1 l LEFT COUNT 9000|LREM l 0 x
LPOS l x|LINSERT l BEFORE x y|SORT l|SORT l STORE d|SMEMBERS s|SPOP s 9000|SRANDMEMBER s 9000
SRANDMEMBER s -9000|SINTER s s|SUNION s s|SDIFF s s|SUNIONSTORE d s s|SINTERCARD 1 s
SSCAN s 0 COUNT 9000|SORT s ALPHA"""
LIGHT = """
LRANGE l 0 9|LRANGE l -9 -1|LPOP l|RPOP l 2|LMPOP 1 l LEFT|LINDEX l 5000|LSET l 5000 x|LLEN l
LMOVE l l LEFT LEFT|LPUSH l x|SPOP s|SPOP s 5|SRANDMEMBER s|SRANDMEMBER s -5|SADD s x
SMOVE s s 1|SINTER s none|SCARD s
"""


def words_of(lines: str) -> list[str]:
    return lines.strip().replace("\n", "|").split("|")


@pytest.mark.parametrize(
    ("line", "is_light"),
    [(line, False) for line in words_of(WALKS)] + [(line, True) for line in words_of(LIGHT)],
)
def test_a_command_that_walks_a_container_is_weighed(line: str, is_light: bool) -> None:
    """And one that does not is light, however large the container is."""
    store, numbers = new_store(0, 16383), [b"%d" % number for number in range(10_000)]
    store.execute(0, [b"RPUSH", b"l", *numbers], 0)
    store.execute(0, [b"SADD", b"s", *numbers], 0)
    cost_us = store.weights().cost_us(0, line.encode().split(), 0)
    assert (cost_us < 100) if is_light else (400 < cost_us < 200_000)


def test_an_element_that_a_transaction_moves_makes_the_other_list_larger() -> None:
    store = new_store(0, 16383)
    store.execute(PLACE, [b"RPUSH", KEY, *[bytes(1 << 16)] * 50], 0)
    moves = [[b"LMOVE", KEY, FRESH, b"LEFT", b"LEFT"]] * 50
    assert _cost_us(store, *moves, [b"LRANGE", FRESH, b"0", b"-1"]) > 1000


def test_a_name_is_weighed_however_it_is_written(store: Store) -> None:
    weights = store.weights()
    for name in (b"BITCOUNT", b"bitcount", b"BitCount"):
        assert name not in weights.light
        assert weights.cost_us(PLACE, [name, KEY], 0) > 1000
    assert b"GET" in weights.light and b"get" in weights.light


@pytest.mark.parametrize(
    "makes",
    [
        [b"SET", FRESH, bytes(LARGE)],
        [b"MSET", FRESH, bytes(LARGE)],
        [b"SETBIT", FRESH, LAST_BIT, b"1"],
        [b"SETRANGE", FRESH, b"%d" % (LARGE - 1), b"x"],
        [b"BITFIELD", FRESH, b"SET", b"u8", b"#%d" % (LARGE - 1), b"1"],
        [b"APPEND", FRESH, bytes(LARGE)],
        [b"BITOP", b"OR", FRESH, KEY],
        [b"COPY", KEY, FRESH],
        [b"RENAME", KEY, FRESH],
    ],
)
def test_what_a_transaction_makes_large_is_large_to_what_follows(
    makes: list[bytes], store: Store
) -> None:
    count = [b"BITCOUNT", FRESH]
    small, large = _cost_us(store, count), _cost_us(store, makes, count)
    assert small < 100 and large - _cost_us(store, makes) > 1000
    store.execute(PLACE, makes, 1)
    assert store.weights().cost_us(PLACE, count, 0) <= large


def test_a_hash_that_a_transaction_fills_gets_larger(store: Store) -> None:
    fill = [[b"HSET", FRESH, b"%d" % number, bytes(1 << 16)] for number in range(16)]
    all_ = [b"HGETALL", FRESH]
    assert _cost_us(store, *fill, all_) - _cost_us(store, *fill) > 1000


def test_a_sorted_set_that_a_transaction_fills_gets_larger(store: Store) -> None:
    """By its members, however short they are."""
    words = [word for number in range(5000) for word in (b"1", b"%x" % number)]
    fill = [b"ZADD", FRESH, *words]
    for all_ in (
        [b"ZRANGE", FRESH, b"0", b"-1"],
        [b"ZUNIONSTORE", FRESH, b"1", FRESH],
        [b"ZREMRANGEBYSCORE", FRESH, b"-inf", b"inf"],
        [b"GEOSEARCH", FRESH, b"FROMLONLAT", b"0", b"0", b"BYRADIUS", b"1", b"m"],
        [b"ZRANDMEMBER", FRESH, b"5000"],
        [b"ZPOPMAX", FRESH, b"5000"],
        [b"ZMPOP", b"1", FRESH, b"MIN", b"COUNT", b"5000"],
    ):
        weight_us = _cost_us(store, fill, all_) - _cost_us(store, fill)
        assert weight_us > 2000, all_
        store.execute(PLACE, fill, 1)
        assert 0.9 < store.weights().cost_us(PLACE, all_, 0) / weight_us <= 1.1, all_
        store.execute(PLACE, [b"DEL", FRESH], 1)


def test_of_a_large_sorted_set_what_is_asked_for_weighs(store: Store) -> None:
    words = [word for number in range(5000) for word in (b"1", b"%x" % number)]
    store.execute(PLACE, [b"ZADD", FRESH, *words], 1)
    for asked in (
        [b"ZRANGE", FRESH, b"0", b"9"],
        [b"ZRANGE", FRESH, b"-10", b"-1", b"REV"],
        [b"ZRANGEBYSCORE", FRESH, b"0", b"9", b"LIMIT", b"4000", b"10"],
        [b"ZREMRANGEBYRANK", FRESH, b"0", b"9"],
        [b"ZINTERCARD", b"2", FRESH, b"{a}none"],
        [b"ZPOPMIN", FRESH],
        [b"ZRANK", FRESH, b"1"],
    ):
        assert _cost_us(store, asked) < 100, asked


def test_what_will_be_refused_weighs_nothing(store: Store) -> None:
    weights = store.weights()
    assert weights.cost_us(PLACE, [b"SETBIT", KEY, b"4294967295", b"1"], 0) == 0
    assert weights.cost_us(PLACE, [b"BITOP", b"OR", FRESH, *[KEY] * 65], 0) == 0
    assert weights.cost_us(PLACE, [b"LCS", KEY, OTHER], 0) == 0
    assert weights.cost_us(PLACE, [b"BITCOUNT"], 0) == 0


# -- what the leader makes of it -------------------------------------------------------------------


class _Forwarded(Asked, Marked):
    def __init__(self, *args: bytes) -> None:
        super().__init__(*args)
        self.mark = (1, 1, 0)

    def fail(self, why: NoReply) -> None:
        raise AssertionError(why)


class _Leader:
    """The queue of a group whose entries are committed at once."""

    def __init__(self, store: Store, transaction_ms_max: int = 500) -> None:
        options = GroupOptions(
            heartbeat_s=1,
            election_timeout_s=1,
            unknown_after_s=1,
            snapshot_log_bytes=1 << 24,
            batch_bytes_max=1 << 20,
            transaction_ms_max=transaction_ms_max,
            queue_max=100_000,
            queue_bytes_max=1 << 27,
        )
        self._log = SimpleNamespace(last_index=0, term_at=lambda index: 1)
        self._store = store
        self._proposals = Proposals(1, options, self._log, Counts())  # type: ignore[arg-type]
        self._member: Any = SimpleNamespace(
            term=1,
            propose=self._propose,
            start_round=self._start_round,
            confirmed_round=lambda: self.rounds,
            has_lease=lambda now: False,
            is_settled=True,
        )
        self.rounds = 0  # of reads
        self.entries: list[list[bytes]] = []  # the names of the commands in each
        self.weights_us: list[float] = []

    def _propose(self, now: float, payload: bytes, settled: object) -> tuple[int, int]:
        self._log.last_index += 1
        commands = decode_batch(payload).commands
        weights = self._store.weights()
        self.entries.append([args[0] for _, args in commands])
        self.weights_us.append(sum(weights.of_command(place, args) for place, args in commands))
        self._payload = payload
        return self._log.last_index, 1

    def _start_round(self, now: float) -> int:
        self.rounds += 1
        return self.rounds

    def run(self, *requests: Asked) -> list[Reply]:
        for request in requests:
            request.place = PLACE
            self._proposals.submit(request)
        while self._proposals.has_waiting:
            self._proposals.pump(0, 1, True, self._member, self._store)
            if self._proposals.is_busy:
                self._proposals.apply(1.0, self._log.last_index, self._payload, self._store)
        return [request.reply for request in requests]


def test_a_batch_ends_before_what_would_make_it_take_too_long(store: Store) -> None:
    leader = _Leader(store)
    bits = [Asked(b"SETBIT", KEY, b"%d" % bit, b"1") for bit in range(100)]
    assert leader.run(*bits) == [0] * 100
    assert sum(map(len, leader.entries)) == 100 and len(leader.entries) > 3
    assert max(leader.weights_us) <= BATCH_US


def test_many_words_are_bounded_though_they_have_few_bytes(store: Store) -> None:
    leader = _Leader(store)
    assert leader.run(*(Asked(b"DEL", *[FRESH] * 40_000) for _ in range(4))) == [0] * 4
    assert leader.entries == [[b"DEL"] * 2] * 2
    words = [b"GET", b"u8", b"0"] * 10_000
    leader.run(*(Asked(b"BITFIELD", KEY, *words) for _ in range(2)))
    assert leader.entries[2:] == [[b"BITFIELD"]] * 2


def test_reads_are_bounded_too(store: Store) -> None:
    leader = _Leader(store)
    counts = [Asked(b"BITCOUNT", KEY, is_write=False) for _ in range(100)]
    assert leader.run(*counts) == [0] * 100
    assert leader.rounds > 10


def test_a_transaction_that_would_take_too_long_is_refused_and_does_nothing(store: Store) -> None:
    leader = _Leader(store)
    commands = [(PLACE, [b"SETBIT", KEY, b"%d" % bit, b"1"]) for bit in range(1000)]
    few = Asked(EXEC, *pack(commands[:10]))
    many = Asked(EXEC, *pack(commands[10:]))
    watching = Asked(EXEC, *pack(commands[10:], [Condition(b"1.1", PLACE, KEY)]))
    counts = [(PLACE, [b"BITCOUNT", KEY])] * 1000
    reading = Asked(EXEC_RO, *pack(counts), is_write=False)
    last = Asked(b"BITCOUNT", KEY, is_write=False)
    replies = leader.run(few, many, watching, reading, last)
    assert replies[0] == [0] * 10 and replies[4] == 10
    for reply in replies[1:4]:
        assert isinstance(reply, ErrorReply) and reply.code == "EXECABORT"
        assert b"transaction_ms_max is 500" in reply.text


def test_what_a_refused_transaction_would_have_made_large_is_not(store: Store) -> None:
    counts = [(PLACE, [b"BITCOUNT", FRESH])] * 100
    refused = Asked(EXEC, *pack([(PLACE, [b"COPY", KEY, FRESH]), *counts]))
    replies = _Leader(store).run(refused, Asked(EXEC, *pack(counts)))
    assert isinstance(replies[0], ErrorReply) and replies[1] == [0] * 100


def test_a_transaction_is_not_refused_for_what_runs_before_it(store: Store) -> None:
    """What deletes a value makes nothing behind it lighter, so it is weighed again by itself."""
    leader = _Leader(store, transaction_ms_max=10)
    count = Asked(EXEC, *pack([(PLACE, [b"BITCOUNT", FRESH])]))
    replies = leader.run(Asked(b"COPY", KEY, FRESH), Asked(b"UNLINK", FRESH), count)
    assert replies == [1, 1, [0]]


def test_one_that_a_gateway_forwards_is_refused_only_if_it_has_not_run(store: Store) -> None:
    """Its number is kept in the log, since others follow it."""
    assert store.origins.open() == 1
    leader = _Leader(store)
    commands = [(PLACE, [b"SETBIT", KEY, b"%d" % bit, b"1"]) for bit in range(1000)]
    request = _Forwarded(EXEC, *pack(commands))
    leader._proposals.submit_marked(request)
    (reply,) = leader.run(Asked(b"BITCOUNT", KEY, is_write=False))
    assert reply == 0 and leader.entries == [[b"GATEWAY"]]
    assert isinstance(request.reply, ErrorReply) and request.reply.code == "EXECABORT"


@pytest.mark.parametrize("words", [[b"KEYS", b"*"], [b"RANDOMKEY"]])
def test_what_looks_at_keys_in_their_order_costs_more(words: list[bytes], store: Store) -> None:
    for number in range(20_000):
        store.execute(PLACE, [b"SET", b"{a}%d" % number, b""], 1)
    weights = store.weights()
    read, logged, again = (weights.cost_us(PLACE, words, 0, how) for how in (False, True, False))
    assert read == again < logged and logged >= 20_000 * ARRANGED_US
