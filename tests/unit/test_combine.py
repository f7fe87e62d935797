"""How the answers of several partitions add up: it stands in the row."""

import pytest

from distrodb.commands.combine import ALL_OK, ANY_KEY, CONCATENATED, FROM_CURSOR, TOTAL, Led
from distrodb.commands.command import data_row
from distrodb.commands.key_specs import NO_KEYS, READS
from distrodb.commands.spread import may_be_spread
from distrodb.commands.table import DATA_COMMANDS, DISPATCHED, MACHINE_COMMANDS
from distrodb.errors import InvariantViolation
from distrodb.resp.reply import OK, ErrorReply, Reply, error
from tests.support.resp import pack, read_replies
from tests.unit.session_world import KEYS, World

LED = [Led(0, 0, 99), Led(2, 200, 299)]


def test_a_row_on_partitions_must_say_how_its_replies_add_up() -> None:
    with pytest.raises(InvariantViolation, match="add up"):
        data_row("sizes", lambda *_: [1], 1, "readonly fast", NO_KEYS, "server", "")
    with pytest.raises(InvariantViolation, match="add up"):
        data_row("size", lambda *_: 1, 2, "readonly fast", READS, "server", "", combine=TOTAL)


def test_a_new_command_on_partitions_answers_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row is all that it takes."""
    row = data_row(
        "largest",
        lambda store, args, context: [b"%d" % store.key_count()],
        1,
        "readonly fast",
        NO_KEYS,
        "server",
        "",
        combine=CONCATENATED,
    )
    monkeypatch.setitem(MACHINE_COMMANDS, b"LARGEST", row)
    world = World(table=DISPATCHED | {b"LARGEST": row})
    world.ask(b"".join(pack(b"SET", key, b"1") for key in KEYS))
    counts = [b"%d" % each.key_count() for each in world.stores]
    assert read_replies(world.ask(pack(b"LARGEST"))) == [counts]
    assert sum(map(int, counts)) == len(KEYS) and min(map(int, counts)) > 0


def test_every_command_on_partitions_is_asked_and_added_up() -> None:
    world = World()
    world.ask(b"".join(pack(b"SET", key, b"1") for key in KEYS))
    assert world.ask(pack(b"DBSIZE")) == b":%d\r\n" % len(KEYS)
    cursor, found = b"0", []
    for _ in range(10):
        ((cursor, keys),) = read_replies(world.ask(pack(b"SCAN", cursor, b"COUNT", b"1000")))
        found += keys
        if cursor == b"0":
            break
    assert sorted(found) == sorted(KEYS)
    ((*all_keys,),) = read_replies(world.ask(pack(b"KEYS", b"*")))
    assert sorted(all_keys) == sorted(KEYS)
    some = {read_replies(world.ask(pack(b"RANDOMKEY")))[0] for _ in range(200)}
    assert some == set(KEYS)
    assert world.ask(pack(b"SELECT", b"1") + pack(b"FLUSHDB") + pack(b"DBSIZE")).endswith(b":0\r\n")
    assert world.ask(pack(b"SELECT", b"0") + pack(b"DBSIZE")) == b"+OK\r\n:%d\r\n" % len(KEYS)
    assert world.ask(pack(b"FLUSHALL") + pack(b"DBSIZE")) == b"+OK\r\n:0\r\n"
    assert {name for name, row in DATA_COMMANDS.items() if row.combine} == {
        b"DBSIZE",
        b"FLUSHALL",
        b"FLUSHDB",
        b"KEYS",
        b"RANDOMKEY",
        b"SCAN",
    }


@pytest.mark.parametrize(
    ("combine", "replies", "whole"),
    [
        (TOTAL, [1, 2], 3),
        (TOTAL, [], 0),
        (ALL_OK, [OK, OK], OK),
        (ALL_OK, [], OK),
        (CONCATENATED, [[b"a"], [b"b", 1]], [b"a", b"b", 1]),
        (CONCATENATED, [], []),
        (ANY_KEY, [], None),
        (ANY_KEY, [[], []], None),
        (ANY_KEY, [[], [1, 5, b"a"]], b"a"),
    ],
)
def test_replies_add_up(combine: object, replies: list[Reply], whole: Reply) -> None:
    assert combine.whole([b"X"], LED, replies) == whole  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("combine", "replies"),
    [
        (TOTAL, [1, OK]),
        (TOTAL, [1, True]),
        (ALL_OK, [OK, 1]),
        (CONCATENATED, [[], 1]),
        (ANY_KEY, [[1]]),
    ],
)
def test_what_does_not_add_up_is_an_error_and_never_ok(
    combine: object, replies: list[Reply]
) -> None:
    whole = combine.whole([b"X"], LED, replies)  # type: ignore[attr-defined]
    assert isinstance(whole, ErrorReply) and b"do not add up" in whole.text


def test_the_first_error_is_the_answer_and_unknown_before_others() -> None:
    world = World()
    for failed, expected in (
        ([error("TRYAGAIN", "full"), error("TRYAGAIN", "full"), error("MOVED", "1 a:1")], b"-TRY"),
        ([1, error("TRYAGAIN", "full"), 2], b"-UNKNOWN this write was done in part, and not where"),
        ([error("TRYAGAIN", "full"), error("UNKNOWN", "perhaps"), OK], b"-UNKNOWN"),
    ):
        world.session.receive(pack(b"FLUSHALL"))
        for queue, reply in zip(world.queues, failed, strict=True):
            queue.popleft().resolve(reply)
        assert world.take().startswith(expected)
        world.session.go_on()


def test_a_cursor_goes_from_one_led_partition_to_the_next() -> None:
    def scan(cursor: bytes, reply: Reply) -> tuple[object, Reply]:
        args = [b"SCAN", cursor, b"COUNT", b"5"]
        parts = FROM_CURSOR.parts(args, LED)
        return parts, FROM_CURSOR.whole(args, LED, [reply] if parts else [])

    rest = [b"COUNT", b"5"]
    assert scan(b"0", [b"64", [b"a"]]) == ([(0, [b"SCAN", b"0", *rest])], [b"64", [b"a"]])
    assert scan(b"64", [b"0", [b"b"]]) == ([(0, [b"SCAN", b"64", *rest])], [b"12800", [b"b"]])
    assert scan(b"6400", [b"0", []]) == ([(2, [b"SCAN", b"12800", *rest])], [b"0", []])
    assert scan(b"19200", [b"0", []]) == ([(2, [b"SCAN", b"19200", *rest])], [b"0", []])
    assert scan(b"0" * 30, [b"0", []]) == scan(b"0", [b"0", []])
    for cursor in (b"x", b"1.5", b"9" * 21, b"0" * 30 + b"9" * 21):
        assert scan(cursor, None) == ([], error("ERR", "invalid cursor"))


def test_what_a_gateway_shares_out_over_partitions() -> None:
    """And nothing else: MSETNX would be half done."""
    assert {row.name for row in DATA_COMMANDS.values() if may_be_spread(row)} == {
        *("mget", "mset", "del", "unlink", "exists", "touch"),
    }
