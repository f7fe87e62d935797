"""What a partition does with scripts: keys, errors, what it remembers, and that a limit undoes all.

What they compute is compared with Redis itself (tests/oracle/test_scripts.py).
"""

import pytest

from distrodb.commands.table import MACHINE_COMMANDS
from distrodb.keyspace import scripts as kept
from distrodb.keyspace.context import StoreLimits, Unsettled
from distrodb.keyspace.entry import encode_batch
from distrodb.keyspace.keys import NEW
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.scripts import sha_of
from distrodb.keyspace.store import Store, StoreBuilder
from distrodb.resp.reply import OK, ErrorReply, Reply, Status
from distrodb.ring.slots import SLOT_COUNT, slot_of

NOW_MS = 1_700_000_000_123
LIMITS = 65536, 1 << 20, 16
FOREVER = "while true do end"


def new_store(first: int = 0, last: int = SLOT_COUNT - 1) -> Store:
    store = Store(first, last, MACHINE_COMMANDS, StoreLimits(*LIMITS))
    store.advance(NOW_MS, 0)
    return store


def ask(store: Store, *words: str | bytes, now_ms: int = NOW_MS, database: int = 0) -> Reply:
    args = [word.encode() if isinstance(word, str) else word for word in words]
    row = MACHINE_COMMANDS[args[0].upper()].subcommand(args)
    assert row is not None
    keys = row.keys_of(args)
    slot = -1 if not row.is_on_keys else slot_of(keys[0]) if keys else store.first_slot
    return store.execute(place_of(database, slot), args, now_ms)


def eval_(store: Store, text: str, *keys: str) -> Reply:
    return ask(store, "EVAL", text, str(len(keys)), *keys)


def text_of(reply: Reply) -> str:
    assert isinstance(reply, ErrorReply), reply
    return reply.text.decode()


def restored(store: Store) -> Store:
    builder = StoreBuilder(MACHINE_COMMANDS, StoreLimits(*LIMITS))
    for chunk in store.snapshot():
        builder.add(chunk)
    return builder.finish()


# -- what it may do --------------------------------------------------------------------------------


def test_it_reads_and_writes() -> None:
    store = new_store()
    assert eval_(store, "return redis.call('SET', KEYS[1], 'x')", "a") == OK
    assert eval_(store, "return {redis.call('GET', KEYS[1]), KEYS[1]}", "a") == [b"x", b"a"]
    assert ask(store, "GET", "a") == b"x"


def test_what_it_has_done_stays_when_it_fails_by_itself() -> None:
    store = new_store()
    reply = eval_(store, "redis.call('SET', 'a', 1) error('no more')")
    assert text_of(reply).startswith("ERR user_script:1: no more script: ")
    assert ask(store, "GET", "a") == b"1"


def test_time_is_the_entry_s() -> None:
    assert eval_(new_store(), "return redis.call('TIME')") == [b"1700000000", b"123000"]


def test_a_database_that_it_selects_is_its_own() -> None:
    store = new_store()
    text = "redis.call('SELECT', 3) redis.call('SET', 'a', 'x') return redis.call('GET', 'a')"
    assert eval_(store, text) == b"x"
    assert ask(store, "GET", "a") is None and ask(store, "GET", "a", database=3) == b"x"
    assert text_of(eval_(store, "return redis.call('SELECT', 16)")).startswith("ERR DB index is")


def test_keys_of_other_slots_are_refused_where_there_are_several_partitions() -> None:
    one, other = sorted([b"a", b"b"], key=slot_of)
    store = new_store(0, slot_of(one))
    reply = eval_(store, "return redis.call('GET', KEYS[2])", one.decode(), other.decode())
    assert "attempted to access a non local key" in text_of(reply)
    store = new_store(0, slot_of(other))
    text = f"return redis.call('GET', '{other.decode()}')"
    assert "do not hash to the same slot" in text_of(eval_(store, text, one.decode()))
    text = f"return redis.call('MGET', '{one.decode()}', '{other.decode()}')"
    assert "do not hash to the same slot" in text_of(eval_(store, text))
    assert "on all partitions" in text_of(eval_(store, "return redis.call('DBSIZE')"))
    assert eval_(new_store(), "return redis.call('DBSIZE')") == 0


@pytest.mark.parametrize("name", ["EXEC", "EXEC_RO", "WATCH", "GATEWAY", "GETKEYSINSLOT", "EVAL"])
def test_what_partitions_ask_each_other_is_no_command_of_scripts(name: str) -> None:
    reply = eval_(new_store(), f"return redis.call('{name}', 'RUN', '0', '1', 'PING')")
    assert text_of(reply).startswith(("ERR This Redis command", "ERR Unknown Redis", "ERR Wrong"))


def test_a_script_that_reads_changes_nothing() -> None:
    store = new_store()
    before = store.digest()
    for text in (
        "return redis.call('SET', 'a', 1)",
        "#!lua flags=no-writes\nredis.call('DEL', 'a')",
    ):
        name = "EVAL" if text.startswith("#!") else "EVAL_RO"
        assert "not allowed from read-only scripts" in text_of(ask(store, name, text, "0"))
    assert ask(store, "EVALSHA_RO", sha_of(b"return 1"), "0") == ErrorReply(
        b"NOSCRIPT No matching script. Please use EVAL."
    )
    assert ask(store, "EVAL_RO", "return 1", "0") == 1
    store.scripts.flush()
    assert store.digest() == before


def test_a_read_that_meets_what_expires_just_now_waits_for_a_tick() -> None:
    store = new_store()
    ask(store, "SET", "a", "x", "PX", "100")
    words = [b"EVAL_RO", b"return redis.call('GET', 'a')", b"1", b"a"]
    assert store.read(slot_of(b"a"), words, NOW_MS + 50) == b"x"
    assert isinstance(store.read(slot_of(b"a"), words, NOW_MS + 150), Unsettled)


def test_random_numbers_are_of_the_entry() -> None:
    text = b"return {math.random(1000000), math.random(1000000)}"
    replies = []
    for _ in range(2):
        store = new_store()
        store.execute(0, [b"RANDOMKEY"], NOW_MS)  # this slave's own numbers go on
        commands = [(0, [b"EVAL", text, b"0"])] * 2
        replies.append(store.apply(encode_batch(NOW_MS + 1, commands, 0, LIMITS)))
    one, other = replies
    assert one == other and one[0] != one[1]


# -- what is remembered ----------------------------------------------------------------------------


def test_evalsha_runs_what_was_loaded_or_evaluated() -> None:
    store = new_store()
    text = "return ARGV[1]"
    sha = sha_of(text.encode())
    assert text_of(ask(store, "EVALSHA", sha, "0", "x")).startswith("NOSCRIPT No matching")
    assert ask(store, "SCRIPT", "LOAD", text) == sha
    assert ask(store, "EVALSHA", sha.upper(), "0", "x") == b"x"
    assert ask(store, "SCRIPT", "FLUSH") == OK and ask(store, "SCRIPT", "EXISTS", sha) == [0]
    assert ask(store, "EVAL", text, "0", "x") == b"x"
    assert ask(store, "EVALSHA", sha, "0", "x") == b"x"
    assert ask(store, "SCRIPT", "EXISTS", sha, "0" * 40) == [1, 0]


def test_a_snapshot_has_all_scripts() -> None:
    store = new_store()
    ask(store, "SCRIPT", "LOAD", "return 1")
    eval_(store, "return 2")
    store.scripts.put_library(b"lib", b"#!lua name=lib\n" + b"-" * 600_000)
    again = restored(store)
    assert again.digest() == store.digest() and again.used_bytes == store.used_bytes
    assert ask(again, "EVALSHA", sha_of(b"return 2"), "0") == 2
    assert ask(again, "SCRIPT", "EXISTS", sha_of(b"return 1")) == [1]
    chunks = list(store.snapshot())
    for number in range(1, len(chunks)):
        builder = StoreBuilder(MACHINE_COMMANDS)
        for chunk in chunks[:number] + chunks[number + 1 :]:
            builder.add(chunk)
        if len(chunks) - 2:
            with pytest.raises(ValueError, match="lacks"):
                builder.finish()


def test_what_eval_has_brought_is_bounded_and_what_was_loaded_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = new_store()
    monkeypatch.setattr(kept, "EVALUATED_MAX", 3)
    ask(store, "SCRIPT", "LOAD", "return 'loaded'")
    for number in range(3):
        eval_(store, f"return {number}")
    ask(store, "EVALSHA", sha_of(b"return 0"), "0")  # it was used last
    eval_(store, "return 3")
    texts = [b"return 'loaded'", *(b"return %d" % number for number in range(4))]
    assert [sha_of(text) in store.scripts for text in texts] == [True, True, False, True, True]
    monkeypatch.setattr(kept, "BYTES_MAX", 40)
    eval_(store, "return 4")
    assert store.scripts.bytes <= 40 and sha_of(b"return 'loaded'") in store.scripts


def test_the_digest_sees_scripts() -> None:
    one, other = new_store(), new_store()
    eval_(one, "return 1")
    assert one.digest() != other.digest()


# -- limits ----------------------------------------------------------------------------------------


def state(store: Store) -> tuple[str, int, int, float]:
    store.scripts.flush()
    return store.digest(), store.used_bytes, store.expiring_count, store.next_expiry_ms


@pytest.mark.parametrize(
    "done",
    [
        "redis.call('SET', 'a', 'y')",
        "redis.call('SET', 'new', 'y')",
        "redis.call('DEL', 'a')",
        "redis.call('APPEND', 'a', 'y')",
        "redis.call('PERSIST', 'b') redis.call('PEXPIRE', 'a', 50)",
        "redis.call('HSET', 'h', 'f', 'changed', 'g', 1) redis.call('HDEL', 'h', 'f')",
        "redis.call('HDEL', 'h', 'f')",
        "redis.call('DEL', 'h') redis.call('HSET', 'h', 'z', 1)",
        "redis.call('RENAME', 'h', 'i') redis.call('HSET', 'i', 'z', 1)",
        "redis.call('COPY', 'h', 'i') redis.call('HSET', 'i', 'z', 1)",
        "redis.call('FLUSHALL') redis.call('SET', 'a', 'y')",
        "redis.call('SET', 'a', 1) redis.call('FLUSHDB') redis.call('HSET', 'h', 'q', 1)",
        "redis.call('SELECT', 2) redis.call('SET', 'a', 1)",
        "redis.call('SELECT', 1) redis.call('FLUSHDB')",
        "redis.call('MSET', 'x', 1, 'y', 2) redis.call('GETDEL', 'b')",
        "pcall(redis.call, 'INCR', 'a') redis.call('SETRANGE', 'a', 100, 'x')",
        "redis.call('HPEXPIRE', 'h', 500, 'FIELDS', 1, 'f') redis.call('HSET', 'i', 'f', 1)",
        "redis.call('HPERSIST', 'x', 'FIELDS', 1, 'f') redis.call('HDEL', 'x', 'f')",
        "redis.call('HPEXPIRE', 'x', 5, 'FIELDS', 1, 'f') redis.call('DEL', 'x')",
        "redis.call('HPEXPIRE', 'x', 5, 'FIELDS', 1, 'f') redis.call('FLUSHALL')",
        "redis.call('ZADD', 'z', 1, 'a') redis.call('RPUSH', 'l', 1) redis.call('LPOP', 'm')",
        "for i = 1, 1000 do redis.call('SET', 'k' .. i, i, 'PX', 1000) end",
    ],
)
def test_a_limit_undoes_all(done: str) -> None:
    store = new_store()
    ask(store, "SET", "a", "x")
    ask(store, "SET", "b", "x", "PX", "100000")
    ask(store, "SET", "a", "x", "PX", "5000", database=1)
    ask(store, "HSET", "h", "f", "v", "e", "w")
    ask(store, "PEXPIRE", "h", "777")
    ask(store, "HSET", "x", "f", "v", "g", "w")
    ask(store, "HPEXPIRE", "x", "900", "FIELDS", "1", "f")
    ask(store, "RPUSH", "m", "1", "2")
    before = state(store)
    kept_before = [ask(store, "GET", "a"), ask(store, "HGETALL", "h"), ask(store, "PTTL", "h")]
    reply = eval_(store, f"{done} {FOREVER}")
    assert "does more than it may; nothing of it was done" in text_of(reply)
    assert state(store) == before
    assert kept_before == [
        ask(store, "GET", "a"),
        ask(store, "HGETALL", "h"),
        ask(store, "PTTL", "h"),
    ]
    assert not isinstance(eval_(store, f"{done} return 1"), ErrorReply)
    assert state(store) != before, "it does nothing that could be undone"


def test_what_was_expired_before_is_expired_when_it_is_undone() -> None:
    store = new_store()
    ask(store, "SET", "a", "x", "PX", "100")
    store.advance(NOW_MS + 200, 0)
    words = ["EVAL", f"redis.call('SET', 'a', 'y') {FOREVER}", "0"]
    assert "nothing of it was done" in text_of(ask(store, *words, now_ms=NOW_MS + 200))
    assert ask(store, "GET", "a", now_ms=NOW_MS + 200) is None
    assert store.expiring_count == 1


def test_whoever_watches_is_told_of_what_is_undone() -> None:
    told = []

    class Observer:
        def changed(self, place: int, key: bytes) -> None:
            told.append(key)

        def flushed(self, database: int | None) -> None: ...

        def event(self, place: int, kind: str, name: bytes, key: bytes) -> None:
            assert kind == NEW or name == b"set"

    store = new_store()
    store.observe(Observer())
    eval_(store, f"redis.call('SET', 'a', 1) {FOREVER}")
    assert told == [b"a", b"a"]


def test_a_snapshot_that_is_being_written_is_not_changed_by_what_is_undone() -> None:
    store = new_store()
    ask(store, "HSET", "h", "f", "v")
    chunks = store.snapshot()
    eval_(store, f"redis.call('HSET', 'h', 'f', 'changed') {FOREVER}")
    ask(store, "HSET", "h", "f", "later")
    builder = StoreBuilder(MACHINE_COMMANDS)
    for chunk in chunks:
        builder.add(chunk)
    assert ask(builder.finish(), "HGET", "h", "f") == b"v"


def test_commands_of_a_script_are_bounded_too() -> None:
    store = new_store()
    ask(store, "SET", "large", b"x" * 1_000_000)
    text = "for i = 1, 1000 do redis.call('GET', 'large') end"
    assert "does more than it may" in text_of(eval_(store, text))
    text = "for i = 1, 10000 do redis.call('BITCOUNT', 'large') end"
    assert "does more than it may" in text_of(eval_(store, text))
    text = "for i = 1, 20000 do redis.call('GET', 'nothing') end return 1"
    assert eval_(store, text) == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("EVAL", "return 1", "x"), "value is not an integer or out of range"),
        (("EVAL", "return 1", "1"), "Number of keys can't be greater than number of args"),
        (("EVAL", "return 1", "-1"), "Number of keys can't be negative"),
        (
            ("EVAL", "x y", "0"),
            "Error compiling script (new function): user_script:1: '=' expected",
        ),
        (("SCRIPT", "LOAD", "x y"), "Error compiling script (new function): user_script:1:"),
        (("SCRIPT", "FLUSH", "NOW"), "SCRIPT FLUSH only support SYNC|ASYNC option"),
        (("EVAL", "#!lua flags=zz\n", "0"), "Unexpected flag in script shebang: zz"),
        (("EVAL_RO", "#!lua\nreturn 1", "0"), "Can not execute a script with write flag"),
        (("EVAL", "x=" * 600_000, "0"), "the script is longer than 1048576 bytes"),
    ],
)
def test_words_that_make_no_sense(words: tuple[str, ...], why: str) -> None:
    assert text_of(ask(new_store(), *words)).startswith(f"ERR {why}") or why in text_of(
        ask(new_store(), *words)
    )


def test_a_reply_is_never_deeper_than_what_is_kept() -> None:
    text = "local t = {1} for i = 1, %d do t = {t} end return t"
    store = new_store()
    origin = store.execute(-1, [b"GATEWAY", b"OPEN"], NOW_MS)
    assert isinstance(origin, int)
    words = [b"EVAL", (text % 100).encode(), b"0"]
    reply = store.execute_once((origin, 1, 1), 0, words, NOW_MS)
    assert "reached lua stack limit" in repr(reply)
    assert restored(store).digest() == store.digest()
    assert eval_(store, "return {{{{{{{{{{'deep'}}}}}}}}}}") == [[[[[[[[[[b"deep"]]]]]]]]]]
    assert eval_(store, "return {ok = 'fine\\r\\n'}") == Status(b"fine")


def test_what_it_publishes_is_told_once_it_has_ended() -> None:
    store, told = new_store(), []
    store.publisher = lambda *message: told.append(message)
    text = "local a = redis.call('GET', 'a') redis.call('PUBLISH', 'c', 'm')"
    text += " return redis.call('spublish', 's', a)"
    ask(store, "SET", "a", "x")
    assert eval_(store, text) == 0
    assert told == [(b"c", b"m", False), (b"s", b"x", True)]
    eval_(store, f"redis.call('PUBLISH', 'c', 'n') {FOREVER}")
    assert len(told) == 2


def test_a_script_that_says_so_uses_other_slots_of_its_partition() -> None:
    first, second = slot_of(b"b"), slot_of(b"a")
    store = new_store(first, second)
    text = "return redis.call('SET', '%s', KEYS[1])"
    across = "#!lua flags=allow-cross-slot-keys\n"
    assert "do not hash to the same slot" in text_of(eval_(store, text % "b", "a"))
    assert "same slot" in text_of(eval_(store, "#!lua flags=allow-oom\n" + text % "b", "a"))
    assert eval_(store, across + text % "b", "a") == OK
    elsewhere = next(str(n) for n in range(100) if slot_of(b"%d" % n) > second)
    assert "non local key" in text_of(eval_(store, across + text % elsewhere, "a"))


def test_a_script_that_is_for_no_cluster_runs_where_one_partition_has_all() -> None:
    text = "#!lua flags=no-cluster\nreturn 1"
    assert eval_(new_store(), text, "a") == 1
    half = new_store(0, slot_of(b"a"))
    assert text_of(eval_(half, text, "a")) == (
        "ERR Can not run script on cluster, 'no-cluster' flag is set."
    )


@pytest.mark.parametrize(
    "text, most",
    [
        ("redis.call('PFADD', 'p', 1) while true do redis.call('PFCOUNT', 'p') end", 1000),
        ("while true do redis.call('BITFIELD', 'b', 'INCRBY', 'u8', 0, 1) end", 30_000),
        ("while true do redis.call('DBSIZE') end", 312),
    ],
)
def test_what_takes_long_however_small_it_is_counts(
    text: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PFCOUNT of one element took 90 s: it is unpacked each time."""
    store, runs = new_store(), []
    execute = store.execute
    monkeypatch.setattr(store, "execute", lambda *args: runs.append(1) or execute(*args))
    assert "does more than it may" in text_of(eval_(store, text))
    assert 0 < len(runs) <= most
