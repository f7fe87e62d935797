"""What an entry does and answers follows from the entry and the state, whichever copy applies it.

All commands that the oracle knows go through the log with a gateway's mark, alone and in
transactions, so that the replies are a part of the state; some in a script that writes what it was
answered.  One copy is the leader's, which runs
them one by one between its reads; the other one applies entries, has limits of its own in its file,
and comes from a snapshot again and again.  A process with another hash seed, at another time, does
the same.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from unittest import mock

import pytest

from distrodb.commands.table import MACHINE_COMMANDS
from distrodb.keyspace.chance import Chance
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.entry import decode_batch, encode_batch
from distrodb.keyspace.origins import NoReply
from distrodb.keyspace.store import Store, StoreBuilder
from distrodb.keyspace.transaction import EXEC, Queued, pack
from distrodb.resp.encode import encode
from distrodb.resp.reply import Reply
from tests.oracle.families import FAMILIES, NOT_COMPARED
from tests.oracle.grammar import Command

ENTRIES = 800
COMMANDS_MAX = 6  # of one transaction
LIMITS = 65536, 1 << 20, 16
OTHERS = StoreLimits(100, 1000, 4)
# Three orders of events, each with some three thousand commands.
SEEDS = range(3)
NOW_MS = 1_700_000_000_000
READS = [
    [b"RANDOMKEY"],
    [b"KEYS", b"*"],
    [b"SCAN", b"0"],
    [b"EVAL_RO", b"return math.random()", b"0"],
]
# Runs a command, and writes its reply.
TELLING = b"""
local reply = redis.pcall(unpack(ARGV))
redis.call("RPUSH", "told", cmsgpack.pack(type(reply) == "table" and reply.err or reply))
redis.call("LTRIM", "told", -9, -1)
return reply"""
# Those of these are asked of partitions, but by no line of the oracle.
ASKED_BESIDE = [[b"GETKEYSINSLOT", b"%d" % slot, b"2"] for slot in (15495, 3300, 7365)]


def known() -> list[Command]:
    """The lines whose commands a partition runs."""
    lines = {
        command.line: command
        for family, is_cluster in (
            (family, kind) for family in (*FAMILIES, *NOT_COMPARED) for kind in family.kinds
        )
        for command in family.of_kind(is_cluster).commands
    }
    rows = {line: MACHINE_COMMANDS.get(command.name) for line, command in lines.items()}
    return [
        command
        for line, command in lines.items()
        if command.name not in PASSED and rows[line] is not None
    ]


# No session queues the first ones; the others leave next to nothing, so the test itself has them.
PASSED = {b"EXEC", b"WATCH", b"FLUSHDB", b"FLUSHALL"}


def restored(store: Store, limits: StoreLimits) -> Store:
    builder = StoreBuilder(MACHINE_COMMANDS, limits)
    for chunk in store.snapshot():
        builder.add(chunk)
    return builder.finish()


def entries(choose: random.Random, commands: list[Command]) -> Iterator[bytes]:
    yield encode_batch(NOW_MS, [(-1, (b"GATEWAY", b"OPEN"))], 0, LIMITS)
    now_ms = NOW_MS
    for sequence in range(1, ENTRIES):
        now_ms += choose.randrange(3)
        queued: list[Queued] = []
        while len(queued) < choose.randint(1, COMMANDS_MAX):
            words = choose.choice(commands).words(choose.randrange)
            row = MACHINE_COMMANDS.get(words[0].upper())
            row = None if row is None else row.subcommand(words)
            if row is not None and row.words_min <= len(words) <= row.words_max:
                queued.append((-1, words))
        if sequence % 10 == 0:
            queued.append((-1, choose.choice(ASKED_BESIDE)))
        if sequence % 200 == 0:
            queued.append((-1, (b"FLUSHALL",)))
        command = (-1, [EXEC, *pack(queued)]) if choose.random() < 0.7 else queued[0]
        told = (-1, [b"EVAL", TELLING, b"0", *queued[-1][1]])
        mark = (0, 1, sequence, max(1, sequence - 3))
        yield encode_batch(now_ms, [command, told], choose.randrange(3), LIMITS, 0, [mark])


def lead(store: Store, entry: bytes, reads: Sequence[list[bytes]] = ()) -> "list[Reply | NoReply]":
    """As the leader applies its own entry, with reads in between (raft/proposals.py)."""
    batch = decode_batch(entry)
    store.advance(batch.now_ms, batch.expire_max)
    marks = {number: (origin, *rest) for number, origin, *rest in batch.marks}
    replies: list[Reply | NoReply] = []
    for number, (place, args) in enumerate(batch.commands):
        for words in reads:
            store.execute(place, words, store.now_ms)
        if number in marks:
            replies.append(store.execute_once(marks[number], place, args, store.now_ms))
        else:
            replies.append(store.execute(place, args, store.now_ms))
    return replies


def run(seed: int) -> str:
    """The digest at the end."""
    choose = random.Random(seed)
    commands = known()
    one = Store(0, 16383, MACHINE_COMMANDS, StoreLimits(*LIMITS))
    other = Store(0, 16383, MACHINE_COMMANDS, OTHERS)
    for number, entry in enumerate(entries(random.Random(seed), commands)):
        reads = [choose.choice(READS)] if choose.random() < 0.3 else []
        replies = [lead(one, entry, reads), other.apply(entry)]
        kept, again = ([encode(reply, 3) for reply in each] for each in replies)
        assert kept == again
        if number % 7 == 0:
            assert one.digest() == other.digest()
        if choose.random() < 0.2:
            other = restored(other, OTHERS)
    assert one.key_count() and one.origins.bytes == other.origins.bytes
    return one.digest()


@pytest.mark.parametrize("seed", SEEDS)
def test_copies_agree_however_they_came_there(seed: int) -> None:
    run(seed)


def test_every_line_of_the_oracle_that_a_partition_runs_is_among_them() -> None:
    names = {command.name for command in known()}
    assert {
        b"KEYS",
        b"SCAN",
        b"RANDOMKEY",
        b"SET",
        b"HSET",
        b"LPUSH",
        b"SPOP",
        b"PFADD",
        b"BITFIELD",
        *(b"HEXPIRE", b"HSETEX", b"HGETDEL"),
    } <= names


def both(store: Store, other: Store, *commands: list[bytes], reads: list[list[bytes]]) -> None:
    entry = encode_batch(NOW_MS, [(-1, words) for words in commands], 0, LIMITS)
    replies = lead(store, entry, reads), other.apply(entry)
    assert replies[0] == replies[1] and store.digest() == other.digest()


def two_stores() -> tuple[Store, Store]:
    one, other = (Store(0, 16383, MACHINE_COMMANDS, StoreLimits(*LIMITS)) for _ in range(2))
    return one, other


def test_a_script_that_only_reads_takes_no_number_of_the_entry_in_which_it_runs() -> None:
    one, other = two_stores()
    members = [b"%d" % number for number in range(50)]
    both(one, other, [b"SADD", b"set", *members], reads=[])
    library = b"""#!lua name=reads
redis.register_function{
    function_name="reads", callback=function() return math.random() end, flags={"no-writes"}}"""
    both(one, other, [b"FUNCTION", b"LOAD", library], reads=[])
    for reads in (
        [b"EVAL_RO", b"return math.random()", b"1", b"set"],
        [b"EVAL_RO", b"return redis.call('SRANDMEMBER', KEYS[1])", b"1", b"set"],
        [b"FCALL_RO", b"reads", b"1", b"set"],
    ):
        both(one, other, [b"SPOP", b"set"], reads=[reads])
        tells = [b"EVAL", TELLING, b"0", b"SRANDMEMBER", b"set", b"3"]
        both(one, other, tells, tells, reads=[reads])


@pytest.mark.parametrize(
    ("adds", "asks"),
    [
        (lambda n: [b"HSET", b"key", b"field%d" % n, b"v"], [b"HSCAN", b"key", b"0"]),
        (lambda n: [b"ZADD", b"key", b"%d" % n, b"member%d" % n], [b"ZSCAN", b"key", b"0"]),
        (lambda n: [b"SADD", b"key", b"member%d" % n], [b"SSCAN", b"key", b"0"]),
        (lambda n: [b"RPUSH", b"key", b"element%d" % n], [b"MEMORY", b"USAGE", b"key"]),
    ],
    ids=["HSCAN", "ZSCAN", "SSCAN", "MEMORY USAGE"],
)
def test_a_script_is_told_the_same_however_a_copy_keeps_what_it_asks_for(adds, asks) -> None:
    one, other = two_stores()
    for number in range(3000):
        entry = encode_batch(NOW_MS, [(-1, adds(number))], 0, LIMITS)
        assert lead(one, entry) == other.apply(entry)
        if number == 600:
            one.read(-1, asks, one.now_ms)  # a walk begins
    both(one, restored(other, OTHERS), [b"EVAL", TELLING, b"0", *asks], reads=[])


@pytest.mark.parametrize(
    "spoiled",
    [
        mock.patch.object(Chance, "arranged", lambda self, things: things),
        mock.patch.object(Chance, "begin", lambda self, mark: None),
        mock.patch.object(Store, "_use_limits", lambda self, limits: None),
    ],
    ids=["the order of a dictionary", "numbers of this slave", "limits of this slave"],
)
def test_a_copy_that_differs_is_noticed(spoiled: "mock._patch[object]") -> None:
    with spoiled, pytest.raises(AssertionError):
        for seed in range(4):  # few commands come to a limit
            run(seed)


def test_the_hash_seed_changes_nothing() -> None:
    code = "from tests.unit.test_replicas_agree import run; print(run(0))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(outputs) == 1
