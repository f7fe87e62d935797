from dataclasses import astuple

import pytest

from distrodb.commands.table import DATA_COMMANDS
from distrodb.errors import InvariantViolation, VersionError
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.entry import encode_batch
from distrodb.keyspace.store import Store
from distrodb.keyspace.transaction import EXEC, EXEC_RO, pack
from distrodb.resp.reply import OK, ErrorReply, Reply, Status, error
from distrodb.ring.slots import SLOT_COUNT, slot_of
from distrodb.slave.machine_factory import new_store

LIMITS = 65536, 1 << 24  # bytes of a key, of a value


def run(store: Store, line: str, slot: int = 0) -> Reply:
    return store.execute(slot, line.encode().split(b" "), 0)


def make() -> Store:
    store = new_store(0, SLOT_COUNT - 1)
    run(store, "MSET a 1 b 2")
    run(store, "SET c 3", 7)
    return store


@pytest.mark.parametrize(
    ("line", "reply", "left"),
    [
        ("DEL a", 1, 2),
        ("DEL a b none", 2, 1),
        ("DEL a a", 1, 2),
        ("EXISTS a a none", 2, 3),
        ("TYPE a", Status(b"string"), 3),
        ("TYPE none", Status(b"none"), 3),
    ],
)
def test_command_on_keys(line: str, reply: Reply, left: int) -> None:
    store = make()
    assert run(store, line) == reply
    assert store.key_count() == left


def test_commands_on_the_partition() -> None:
    store = make()
    assert run(store, "DBSIZE", -1) == 3
    assert run(store, "COUNTKEYSINSLOT 0", -1) == store.share(0).count_in(0) == 2
    assert run(store, "COUNTKEYSINSLOT 99999", -1) == error("ERR", "Invalid slot")
    assert run(store, "COUNTKEYSINSLOT x", -1) == error("ERR", "Invalid slot")
    assert run(store, "FLUSHALL NOW", -1) == error("ERR", "syntax error")
    assert store.key_count() == 3
    assert run(store, "FLUSHALL async", -1) == OK
    assert store.key_count() == 0


def test_a_key_of_another_partition_is_our_own_bug() -> None:
    store = new_store(10, 19)
    for slot in (-1, 9, 20):
        with pytest.raises(InvariantViolation):
            run(store, "SET a 1", slot)


def test_apply_answers_each_command_and_time_never_goes_back() -> None:
    store = new_store(0, SLOT_COUNT - 1)
    slot = slot_of(b"a")
    commands = [b"SET", b"a", b"1"], [b"incr", b"a"], [b"SET", b"a", b"", b"?"]
    batch = [(slot, args) for args in commands]
    first, second, third = store.apply(encode_batch(50, batch, 0, LIMITS))
    assert (first, second) == (OK, 2)
    assert isinstance(third, ErrorReply)
    assert store.apply(encode_batch(40, [], 0, LIMITS)) == []
    assert store.now_ms == 50


def test_a_damaged_entry_changes_nothing() -> None:
    store = make()
    before = store.digest()
    with pytest.raises(ValueError, match="a log entry"):
        store.apply(encode_batch(50, [(0, [b"DEL", b"a"])], 0, LIMITS)[:-1])
    assert store.digest() == before


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ([b"vadd", b"a", b"1", b"x"], "the command 'vadd'"),
        ([b"\xff\n" * 1000], r"the command '(\\ufffd\\n){32}'"),
        ([b"INCR", b"a", b"2"], "the command 'INCR' of 3 words"),
        ([b"set", b"a"], "the command 'set' of 2 words"),
        ([EXEC, *pack([(slot_of(b"a"), [b"vadd", b"a", b"1", b"x"])])], "the command 'vadd'"),
        ([EXEC_RO, *pack([(slot_of(b"a"), [b"vcard", b"a"])])], "the command 'vcard'"),
    ],
)
def test_an_entry_with_a_command_of_a_newer_version_is_not_skipped(
    command: list[bytes], what: str
) -> None:
    """Before, it was answered with an error that nobody heard, and replicas differed."""
    store = make()
    before = store.digest()
    for commands in ([command], [[b"SET", b"a", b"2"], command]):
        batch = [(slot_of(b"a"), args) for args in commands]
        with pytest.raises(VersionError, match=f"^{what}$"):
            store.apply(encode_batch(50, batch, 0, LIMITS))
    assert store.digest() == before


ROWS = {name: row for name, row in DATA_COMMANDS.items() if not row.subcommands} | {
    sub.name.upper().encode(): sub
    for row in DATA_COMMANDS.values()
    for sub in row.subcommands.values()
    if sub.scope != "session"
}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_row_is_consistent(name: bytes) -> None:
    row = ROWS[name]
    assert name == row.name.upper().encode()
    if row.group != "scripting":  # what a script does is not known before it runs: no flag says it
        assert row.is_write == ("write" in row.flags) != ("readonly" in row.flags)
    assert (row.scope == "key") == bool(row.keys)
    assert not row.arity_ok([name] * (abs(row.arity) - 1))
    assert row.arity_ok([name] * abs(row.arity))
    assert row.arity_ok([name] * (abs(row.arity) + 1)) == (row.arity < 0)


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("GET a", [b"a"]),
        ("SET a 1 NX", [b"a"]),
        ("MGET a b c", [b"a", b"b", b"c"]),
        ("MSET a 1 b 2", [b"a", b"b"]),
        ("DBSIZE", []),
    ],
)
def test_keys_of_a_command(line: str, keys: list[bytes]) -> None:
    args = line.encode().split(b" ")
    assert DATA_COMMANDS[args[0]].keys_of(args) == keys


@pytest.mark.parametrize("theirs", [StoreLimits(3, 5), StoreLimits(100, 100)])
def test_an_entry_is_applied_within_its_own_limits_whatever_a_slave_s_file_says(
    theirs: StoreLimits,
) -> None:
    """Else an acknowledged write would be missing on a slave whose limits are lower."""
    stores = [new_store(0, 16383, limits) for limits in (StoreLimits(10, 20), theirs)]
    batch = [
        (0, [b"SET", b"k", b"x" * 15]),
        (0, [b"APPEND", b"k", b"x" * 5]),
        (0, [b"APPEND", b"k", b"x"]),
        (0, [b"SET", b"a key that is long", b"x"]),
        (0, [b"HSET", b"h", b"field", b"x" * 25]),
    ]
    replies = [store.apply(encode_batch(50, batch, 0, stores[0].limits)) for store in stores]
    assert replies[0] == replies[1] and stores[0].digest() == stores[1].digest()
    assert replies[0][:2] == [OK, 20] and stores[0].key_count() == 1
    assert stores[1].limits == astuple(theirs)
