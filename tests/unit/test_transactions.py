"""Transactions of one connection: what is queued, what fails, what runs, and in which order.

What Redis answers to MULTI, EXEC and their kind is compared with a real one in tests/oracle.
"""

import pytest

from distrodb.commands.api import PENDING
from distrodb.commands.command import session_row
from distrodb.commands.table import DISPATCHED, MACHINE_COMMANDS
from distrodb.errors import PeerError
from distrodb.keyspace.store import StoreBuilder
from distrodb.keyspace.transaction import Condition, parts_of
from distrodb.keyspace.transaction import pack as pack_words
from distrodb.keyspace.watched import KEYS_MAX, TERM_MAX, Watched
from distrodb.resp.reply import OK, ErrorReply, Reply
from distrodb.ring.slots import slot_of
from distrodb.slave.forwarding.forwarded import Answers, Forwarded, Inbox
from distrodb.slave.machine_factory import new_store
from tests.support.resp import pack, read_replies
from tests.unit.session_world import World


def ask(world: World, *lines: str) -> list[Reply]:
    return read_replies(world.ask(b"".join(pack(*line.encode().split()) for line in lines)))


def begin(world: World, *lines: str) -> None:
    """Send, and let nobody answer."""
    world.session.receive(b"".join(pack(*line.encode().split()) for line in lines))


def code(reply: Reply) -> str:
    assert isinstance(reply, ErrorReply), reply
    return reply.code


# -- MULTI and EXEC ------------------------------------------------------------------------------


def test_a_transaction_is_one_request() -> None:
    world = World()
    begin(world, "MULTI", "SET c 1", "INCR c", "APPEND {c}d x", "EXEC")
    (request,) = [request for queue in world.queues for request in queue]
    assert request.is_write
    assert read_replies(world.finish())[-1] == [OK, 2, 1]


def test_one_that_only_reads_is_a_read() -> None:
    world = World()
    ask(world, "SET c 1")
    begin(world, "MULTI", "GET c", "STRLEN c", "EXEC")
    (request,) = [request for queue in world.queues for request in queue]
    assert not request.is_write
    assert read_replies(world.finish())[-1] == [b"1", 1]


def test_an_error_at_run_time_does_not_stop_the_others() -> None:
    replies = ask(World(), "MULTI", "SET c x", "INCR c", "HGET c f", "SET c y", "EXEC", "GET c")
    assert replies[5][0] == replies[5][3] == OK and replies[6] == b"y"
    assert [code(reply) for reply in replies[5][1:3]] == ["ERR", "WRONGTYPE"]


@pytest.mark.parametrize(
    "wrong", ["BREW c", "GET", "COMMAND BREW", "MGET a c", "SHUTDOWN", "DBSIZE"]
)
def test_an_error_while_it_is_queued_aborts_it(wrong: str) -> None:
    world = World()
    replies = ask(world, "MULTI", "SET c 1", wrong, "SET c 2", "EXEC", "EXISTS c", "EXEC")
    assert isinstance(replies[2], ErrorReply) and code(replies[4]) == "EXECABORT"
    assert replies[5] == 0 and code(replies[6]) == "ERR"


def test_what_is_led_elsewhere_is_said_when_it_is_queued() -> None:
    replies = ask(World(led=(0, 1)), "MULTI", "GET a", "EXEC")
    assert code(replies[1]) == "MOVED" and code(replies[2]) == "EXECABORT"


def test_keys_of_two_slots_are_no_transaction() -> None:
    world = World()
    replies = ask(world, "MULTI", "SET a 1", "SET b 1", "EXEC", "EXISTS a", "EXISTS b")
    assert code(replies[3]) == "CROSSSLOT" and replies[4:] == [0, 0]


def test_what_the_slave_answers_has_its_place_among_the_replies() -> None:
    world = World()
    lines = ["ECHO x", "SET c 1", "CLIENT SETNAME me", "GET c", "CLIENT GETNAME"]
    assert ask(world, "MULTI", *lines, "EXEC")[-1] == [b"x", OK, OK, b"1", b"me"]
    assert ask(world, "MULTI", "ECHO x", "EXEC", "MULTI", "EXEC")[2::2] == [[b"x"], []]


def test_what_the_slave_answers_does_not_run_without_the_transaction() -> None:
    world = World()
    ask(world, "WATCH c", "SET c 1")
    assert ask(world, "MULTI", "CLIENT SETNAME me", "GET c", "EXEC")[-1] is None
    assert ask(world, "CLIENT GETNAME") == [None]


def test_a_reply_that_comes_later_takes_its_place() -> None:
    waiting = []

    def wait(session, args):
        resolve = session.later()
        if args[1] == b"now":
            resolve(b"now")
        else:
            waiting.append(resolve)
        return PENDING

    row = session_row("later", wait, 2, "", "server", "")
    world = World(table=DISPATCHED | {b"LATER": row})
    many = ["LATER now"] * 2000  # none of them goes deeper than the one before
    begin(world, "MULTI", "LATER a", "SET c 1", "LATER b", *many, "EXEC", "PING")
    before = world.finish()
    assert before.count(b"+QUEUED") == 2003 and len(waiting) == 1
    waiting[0](b"first")
    assert world.finish() == b"" and len(waiting) == 2
    waiting[1](b"second")
    whole, _ = read_replies(world.finish())
    assert whole[:4] == [b"first", OK, b"second", b"now"] and len(whole) == 2003


@pytest.mark.parametrize("end", ["DISCARD", "RESET"])
def test_what_is_queued_and_watched_is_forgotten(end: str) -> None:
    world = World()
    replies = ask(world, "WATCH c", "MULTI", "SET c 1", end, "SET c 2", "MULTI", "GET c", "EXEC")
    assert replies[-1] == [b"2"]
    assert world.session.transactions.queued_bytes == 0


def test_quit_ends_it() -> None:
    world = World()
    assert ask(world, "MULTI", "SET c 1", "QUIT")[-1] == OK
    assert world.session.is_finished and not any(world.queues)


def test_a_command_without_keys_to_be_found_finds_its_own_error() -> None:
    """It goes where the others go."""
    for key in ("a", "b", "c"):
        replies = ask(World(), "MULTI", f"MSET {key} 1 {key}", f"GET {key}", "EXEC")
        assert code(replies[3][0]) == "ERR" and replies[3][1] is None


@pytest.mark.parametrize(
    ("limits", "name"),
    [({"command_bytes_max": 2048}, "command_bytes_max"), ({"arguments_max": 16}, "arguments_max")],
)
def test_all_of_it_is_bounded_like_one_command(limits: dict[str, int], name: str) -> None:
    world = World(**limits)
    lines = [f"SET c {'x' * 300}"] * 20
    replies = ask(world, "MULTI", *lines, "EXEC", "EXISTS c")
    assert name in str(next(reply for reply in replies if isinstance(reply, ErrorReply)))
    assert code(replies[-2]) == "EXECABORT" and replies[-1] == 0


def test_replies_without_bound_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distrodb.commands.transactions.REPLIES_BYTES_MAX", 1000)
    ask(world := World(), f"SET c {'x' * 600}")
    (*_, replies) = ask(world, "MULTI", *["GET c"] * 5, "APPEND c y", "GET c", "EXEC")
    assert [type(reply) for reply in replies] == [bytes] * 2 + [ErrorReply] * 3 + [int, ErrorReply]


def test_a_write_s_reply_that_is_too_long_is_unknown() -> None:
    world = World(output_bytes_max=65536)
    ask(world, f"SET c {'x' * 60000}")
    replies = ask(world, "MULTI", "GET c", "GET c", "APPEND c y", "EXEC")
    assert code(replies[-1]) == "UNKNOWN"


def test_on_a_slave_of_one_partition_it_may_be_on_all_keys() -> None:
    world = World()
    world.map.partitions = world.map.partitions[:1]
    replies = ask(world, "MULTI", "SET b 1", "DBSIZE", "SCAN 0", "SCAN x", "FLUSHALL", "EXEC")
    ok, count, (_, found), wrong, flushed = replies[-1]
    assert (ok, count, found, flushed) == (OK, 1, [b"b"], OK) and code(wrong) == "ERR"


def test_reads_of_a_copy() -> None:
    world = World(led=(0, 1), has_copies=(2,))
    world.stores[2].execute(slot_of(b"a"), [b"SET", b"a", b"1"], 0)
    assert ask(world, "READONLY", "MULTI", "GET a", "PING", "EXEC")[-1][0] == b"1"
    assert code(ask(world, "MULTI", "SET a 1", "EXEC")[1]) == "MOVED"
    world.stores[2].execute(slot_of(b"a"), [b"SET", b"a", bytes(1 << 24)], 0)
    replies = ask(world, "MULTI", *["BITCOUNT a"] * 100, "EXEC")
    assert code(replies[-1]) == "EXECABORT"  # else it would run while nobody is served


# -- WATCH -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("touch", "runs"),
    [
        ("SET c 1", False),  # the same value
        ("GET c", True),
        ("SETNX c 2", True),
        ("PERSIST c", True),
        ("PEXPIRE c 9999", False),
        ("DEL c", False),
        ("DEL {c}other", True),
        ("FLUSHALL", False),
        ("UNWATCH", True),
    ],
)
def test_a_touched_key_stops_the_transaction(touch: str, runs: bool) -> None:
    world = World()
    replies = ask(world, "SET c 1", "WATCH c", touch, "MULTI", "SET c 3", "EXEC")
    assert replies[-1] == ([OK] if runs else None)


def test_a_key_that_was_not_there_is_not_touched_by_what_clears_all() -> None:
    assert ask(World(), "WATCH c", "FLUSHALL", "MULTI", "GET c", "EXEC")[-1] == [None]


def test_the_first_watch_of_a_key_counts() -> None:
    assert ask(World(), "WATCH c", "SET c 1", "WATCH c", "MULTI", "EXEC")[-1] is None


@pytest.mark.parametrize("end", ["EXEC", "DISCARD"])
def test_watches_end_with_the_transaction(end: str) -> None:
    world = World()
    ask(world, "WATCH c", "SET c 1", "MULTI", end)
    assert ask(world, "MULTI", "GET c", "EXEC")[-1] == [b"1"]


def test_two_that_watch_the_same_key() -> None:
    one = World()
    other = one.service.open_session(lambda: None)
    ask(one, "WATCH c")
    other.receive(pack(b"WATCH", b"c") + pack(b"MULTI") + pack(b"SET", b"c", b"1") + pack(b"EXEC"))
    one.finish()
    other.go_on()
    one.finish()
    other.go_on()
    one.finish()
    assert read_replies(b"".join(other.take(1 << 20)))[-1] == [OK]
    assert ask(one, "MULTI", "SET c 2", "EXEC", "GET c")[-2:] == [None, b"1"]


def test_a_null_in_both_protocols() -> None:
    world = World()
    lines = [pack(b"WATCH", b"c"), pack(b"DEL", b"c"), pack(b"SET", b"c", b"1"), pack(b"MULTI")]
    assert world.ask(b"".join(lines) + pack(b"EXEC")).endswith(b"*-1\r\n")
    assert world.ask(pack(b"HELLO", b"3") + b"".join(lines) + pack(b"EXEC")).endswith(b"_\r\n")


def test_what_stands_before_a_hello_in_a_transaction_is_in_the_protocol_of_before() -> None:
    """As in Redis 7.0, where each command answers as it runs."""
    world = World()
    world.ask(pack(b"HSET", b"a", b"f", b"v"))
    reads = pack(b"HGETALL", b"a") + pack(b"GET", b"{a}no")
    old, new = b"*2\r\n$1\r\nf\r\n$1\r\nv\r\n$-1\r\n", b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n_\r\n"
    for wanted, before, after in ((b"3", old, new), (b"2", new, old)):
        asked = pack(b"MULTI") + reads + pack(b"HELLO", wanted) + reads + pack(b"EXEC")
        told = world.ask(asked).partition(b"*5\r\n")[2]
        hello = b"%7\r\n" if wanted == b"3" else b"*14\r\n"
        assert told.startswith(before + hello + b"$6\r\nserver\r\n") and told.endswith(after)


def test_watched_keys_of_another_partition() -> None:
    world = World()
    assert code(ask(world, "WATCH a", "WATCH b")[1]) == "CROSSSLOT"
    assert code(ask(world, "MULTI", "GET b", "EXEC")[2]) == "CROSSSLOT"
    assert ask(world, "MULTI", "GET b", "EXEC")[2] == [None]


def test_a_connection_watches_so_many_keys_at_most() -> None:
    world = World()
    for number in range(2):
        keys = [b"{c}%d.%d" % (number, n) for n in range(5000)]
        assert world.ask(pack(b"WATCH", *keys)) == b"+OK\r\n"
    assert code(ask(world, "WATCH c")[0]) == "ERR"


# -- what a leader knows of watched keys -----------------------------------------------------------


def holds(watched: Watched, token: bytes, place: int, key: bytes) -> bool:
    return watched.holds([Condition(token, place, key)], 0)


def test_a_token_is_worth_something_in_one_lead_only() -> None:
    watched = Watched()
    watched.begin(3)
    token = watched.add([(1, b"a")])
    assert holds(watched, token, 1, b"a")
    assert not holds(watched, token, 2, b"a") and not holds(watched, token, 1, b"b")
    watched.begin(4)
    assert watched.add([(1, b"a")]) != token
    assert not holds(watched, token, 1, b"a")


def test_a_key_that_is_watched_again_is_worth_nothing_to_who_watched_it_before_it_was_touched():
    watched = Watched()
    watched.begin(1)
    before = watched.add([(1, b"a")])
    watched.changed(1, b"a")
    after = watched.add([(1, b"a")])
    assert not holds(watched, before, 1, b"a") and watched.holds([Condition(after, 1, b"a")], 0)


def test_what_was_watched_first_goes_first() -> None:
    watched = Watched()
    watched.begin(1)
    first, second = watched.add([(1, b"first")]), watched.add([(1, b"second")])
    assert watched.holds(
        [Condition(watched.add([(1, b"first")]), 1, b"first")], 0
    )  # again: it stays
    watched.add([(2, b"%d" % n) for n in range(KEYS_MAX - 1)])
    assert len(watched) == KEYS_MAX
    assert holds(watched, first, 1, b"first")
    assert not holds(watched, second, 1, b"second")
    watched.add([(3, bytes(1 << 20)), (4, bytes(1 << 20)), (5, bytes(3 << 20))])
    assert len(watched) == 2


def test_an_expired_key_is_a_changed_one() -> None:
    store = new_store(0, 16383)
    store.watched.begin(1)
    place = slot_of(b"a")
    store.execute(place, [b"SET", b"a", b"1"], 1000)
    store.execute(place, [b"PEXPIRE", b"a", b"500"], 1000)
    token = store.watch([(place, b"a")])
    conditions = [(token, place, b"a")]
    assert store.watched.holds(conditions, 1499) and not store.watched.holds(conditions, 1500)
    store.advance(1600, 10)  # removed
    assert not store.watched.holds(conditions, 1600)
    token = store.watch([(place, b"a")])  # it is not there
    assert store.watched.holds([(token, place, b"a")], 9999)


class Copies:
    """Two of one partition: the first leads at term 1, the other one at term 2."""

    def __init__(self) -> None:
        self.stores = [new_store(0, 16383), new_store(0, 16383)]
        for term, store in enumerate(self.stores, 1):
            store.watched.begin(term)
        self.place = slot_of(b"a")

    def entry(self, now_ms: int, *lines: bytes, expire_max: int = 0) -> None:
        for store in self.stores:
            store.advance(now_ms, expire_max)
            for line in lines:
                words = line.split()
                at = slot_of(words[1]) if len(words) > 1 else -1
                store.execute(at, words, store.now_ms)

    def watch(self, at_ms: int) -> list[Condition]:
        words = [b"WATCH", b"a"]
        token = self.stores[0].read(self.place, words, at_ms)
        return [Condition(token, self.place, b"a")]

    def holds(self, conditions: list[Condition], now_ms: int = 2000) -> list[bool]:
        return [store.watched.holds(conditions, now_ms) for store in self.stores]


def test_the_next_leader_knows_what_was_not_touched() -> None:
    copies = Copies()
    copies.entry(1000, b"SET a 1")
    watched = copies.watch(1001)
    assert copies.holds(watched) == [True, True]
    copies.entry(1000, b"SET other 1")  # of the same time, as a slow clock makes it
    copies.entry(1002, b"SET other 1", b"GET a", b"DEL none")
    assert copies.holds(watched) == [True, True]
    copies.entry(1003, b"SET {a}b 1")  # of the same slot: another copy cannot tell
    assert copies.holds(watched) == [True, False]


@pytest.mark.parametrize(
    "line", [b"SET a 1", b"EXPIRE a 9", b"APPEND a x", b"DEL a", b"RENAME a {a}b", b"FLUSHALL"]
)
@pytest.mark.parametrize("now_ms", [1000, 1001, 5000])
@pytest.mark.parametrize("entries", range(1, 7))
def test_the_next_leader_knows_what_was_touched(line: bytes, now_ms: int, entries: int) -> None:
    """However many entries had the time of the one that changed it."""
    copies = Copies()
    copies.entry(1000, b"SET a 1")
    for _ in range(entries):
        watched = copies.watch(1001)
        copies.entry(1000, b"SET other 1")
    watched = copies.watch(1001)
    for _ in range(entries):
        copies.entry(1000, b"SET other 1")
    copies.entry(now_ms, line)
    assert copies.holds(watched, 1000) == [False, False]


def test_the_next_leader_knows_what_expired() -> None:
    copies = Copies()
    copies.entry(1000, b"SET a 1 PX 500")
    watched = copies.watch(1001)
    assert copies.holds(watched, 1499) == [True, True]
    assert copies.holds(watched, 1500) == [False, False]
    copies.entry(1600, expire_max=9)
    assert copies.holds(watched, 1600) == [False, False]


def test_what_comes_later_in_the_entry_of_a_watch_touches() -> None:
    copies = Copies()
    copies.entry(1000, b"SET a 1")
    copies.entry(1001)
    watched = copies.watch(1001)  # at the entry's own time
    copies.stores[1].execute(copies.place, [b"SET", b"a", b"1"], 1001)
    assert not copies.stores[1].watched.holds(watched, 1001)


def test_a_copy_that_was_restored_knows_what_came_since() -> None:
    copies = Copies()
    copies.entry(1000, b"SET a 1")
    before = copies.watch(1001)
    copies.entry(1000, b"SET other 1")
    builder = StoreBuilder(MACHINE_COMMANDS)
    for chunk in copies.stores[1].snapshot():
        builder.add(chunk)
    copies.stores[1] = builder.finish()
    copies.stores[1].watched.begin(2)
    assert copies.holds(before) == [True, False]  # it cannot know
    copies.entry(1000, b"SET other 1")
    assert copies.holds(copies.watch(1001)) == [True, False]
    copies.entry(1001, b"SET other 1")
    watched = copies.watch(1002)
    assert copies.holds(watched) == [True, True]
    copies.entry(1001, b"SET a 1")
    assert copies.holds(watched) == [False, False]
    # And as the one whose token it is.
    copies.stores.reverse()
    for term, store in enumerate(copies.stores, 3):
        store.watched.begin(term)
    watched = copies.watch(1002)
    assert copies.holds(watched) == [True, True]
    copies.entry(1001, b"SET a 1")
    assert copies.holds(watched) == [False, False]


def test_a_token_of_a_copy_that_was_just_restored_is_worth_something_in_its_lead_only() -> None:
    """It does not know which entry of its millisecond its newest one is."""
    copies = Copies()
    copies.entry(1000, b"SET a 1")
    builder = StoreBuilder(MACHINE_COMMANDS)
    for chunk in copies.stores[0].snapshot():
        builder.add(chunk)
    copies.stores[0] = builder.finish()
    copies.stores[0].watched.begin(1)
    watched = copies.watch(1001)
    assert copies.holds(watched) == [True, False]
    copies.entry(1000, b"SET a 1")
    assert copies.holds(watched) == [False, False]


def test_a_token_that_would_be_too_long_is_worth_something_in_its_lead_only() -> None:
    watched = Watched(touched=lambda place: 0)
    for term, holds_later in ((1, True), (TERM_MAX, True), (TERM_MAX + 1, False)):
        watched.begin(term)
        token = watched.add([(1, b"a")], 1 << 43)
        assert holds(watched, token, 1, b"a")
        conditions = [Condition(token, 1, b"a")]
        assert parts_of([b"EXEC", *pack_words([], conditions)]) == (conditions, [])
        watched.begin(term + 1)
        assert holds(watched, token, 1, b"a") == holds_later


@pytest.mark.parametrize("command", [b"FLUSHALL", b"FLUSHDB"])
def test_a_key_that_expired_and_is_cleared_with_all_is_a_changed_one(command: bytes) -> None:
    """It was there when it was watched, and is not any more."""
    store = new_store(0, 16383)
    store.watched.begin(1)
    place = slot_of(b"a")
    store.execute(place, [b"SET", b"a", b"1", b"PX", b"500"], 1000)
    token = store.watch([(place, b"a")])
    store.advance(1600, 0)  # it has expired, and no entry has removed it
    assert store.execute(-1, [command], 1600) == OK
    assert not store.watched.holds([(token, place, b"a")], 1600)


# -- what a peer forwards --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "",
        "RUN 1",
        "RUN 1 2 GET",
        "RUN 1 0",
        "RUN 1 -2",
        "RUN x 1 PING",
        "IF 2 1.1 5 a",
        "IF 1 x 5 a",
        "NOT",
        "IF",
    ],
)
def test_what_no_session_sends_is_no_transaction(words: str) -> None:
    with pytest.raises(ValueError):
        parts_of([b"EXEC", *words.encode().split()])


def test_the_parts_of_a_transaction() -> None:
    commands = [(5, [b"GET", b"a"]), (7, [b"PING"])]
    assert parts_of([b"EXEC", *pack_words(commands)]) == ([], commands)
    condition = Condition(b"1.2", 5, b"a")
    args = [b"EXEC", *pack_words(commands, [condition])]
    assert parts_of(args) == ([condition], commands)


def test_a_transaction_that_a_newer_gateway_forwards_stays_out_of_the_log() -> None:
    """A follower that met its command in the log would stop."""
    taken: list[Forwarded] = []
    inbox = Inbox(
        MACHINE_COMMANDS,
        Answers(1 << 20),
        lambda: [0] * 16384,
        lambda request, partition: taken.append(request),
    )

    def forward(chunk: int, *words: bytes) -> None:
        at = slot_of(b"a")
        args = [b"EXEC", *pack_words([(at, [b"SET", b"a", b"1"]), (at, list(words))])]
        inbox.receive("peer", [[0, 1, chunk, 7, 0, [[chunk, chunk + 1, at, args]]]])

    forward(0, b"GET", b"a")
    forward(1, b"BREW", b"a")
    forward(2, b"GET", b"a", b"b")
    assert [request.args[0] for request in taken] == [b"EXEC", b"GATEWAY", b"GATEWAY"]
    with pytest.raises(PeerError):
        inbox.receive("peer", [[0, 1, 3, 7, 0, [[3, 4, 5, [b"EXEC", b"RUN", b"5", b"9"]]]]])


# -- databases -------------------------------------------------------------------------------------


def test_a_select_among_what_is_queued_counts_for_what_follows() -> None:
    world = World()
    lines = ["SET c 0", "SELECT 2", "SET c 2", "SELECT 99", "APPEND c x", "MOVE c 0"]
    replies = ask(world, "MULTI", *lines, "EXEC", "GET c", "SELECT 0", "GET c")
    assert replies[7][:3] == [OK, OK, OK] and code(replies[7][3]) == "ERR"
    assert replies[7][4:] == [2, 0] and replies[8:] == [b"2x", OK, b"0"]


def test_a_key_is_watched_in_its_database() -> None:
    world = World()
    assert ask(world, "SELECT 1", "WATCH c", "SELECT 0", "SET c 1", "MULTI", "EXEC")[-1] == []
    assert ask(world, "WATCH c", "SELECT 1", "FLUSHDB", "MULTI", "EXEC")[-1] == []
    assert (
        ask(world, "SET c 1", "WATCH c", "SELECT 0", "SELECT 1", "FLUSHDB", "MULTI", "EXEC")[-1]
        is None
    )
