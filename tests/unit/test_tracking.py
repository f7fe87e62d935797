"""Client-side caching: who is told of which key, when, and when to forget everything."""

from types import SimpleNamespace

import pytest

from distrodb.resp.encode import encode
from distrodb.ring.slots import slot_of
from distrodb.slave.gateway import Gateway
from distrodb.slave.observing import Observing
from distrodb.slave.replies import Replies
from distrodb.slave.session import Session
from distrodb.slave.tracking import Tracking
from tests.support.resp import pack
from tests.unit.session_world import World

FLUSH = b">2\r\n$10\r\ninvalidate\r\n_\r\n"


def invalid(*keys: bytes) -> bytes:
    return b">2\r\n$10\r\ninvalidate\r\n" + pack(*keys)


def opened(world: World, *options: bytes, protocol: bytes = b"3") -> Session:
    session = world.service.open_session(lambda: None)
    ask(world, session, b"HELLO", protocol)
    if options:
        assert ask(world, session, b"CLIENT", b"TRACKING", b"ON", *options[1:]) == b"+OK\r\n"
    return session


def ask(world: World, session: Session, *args: bytes) -> bytes:
    session.receive(pack(*args))
    for partition, queue in enumerate(world.queues):
        while queue:
            world.answer(partition)
    return taken(session)


def taken(session: Session) -> bytes:
    return b"".join(session.take(1 << 20))


def told(world: World, session: Session) -> bytes:
    """At the end of the turn."""
    world.tell_clients()
    return taken(session)


def test_each_reader_is_told_once_and_only_of_what_it_has_read() -> None:
    world = World()
    reader, other, writer = opened(world, b"on"), opened(world, b"on"), opened(world)
    ask(world, reader, b"GET", b"a")
    ask(world, reader, b"MGET", b"c", b"{c}d")
    ask(world, other, b"GET", b"c")
    for key in (b"a", b"a", b"{c}d", b"f"):
        ask(world, writer, b"SET", key, b"1")
    assert told(world, reader) == invalid(b"a", b"{c}d")
    assert told(world, other) == b""
    ask(world, writer, b"APPEND", b"c", b"1")
    assert told(world, reader) == invalid(b"c") == told(world, other)
    assert world.tracking.key_count == 0


def test_reads_and_writes_of_one_batch_are_told_in_their_order() -> None:
    """All of these are under way together; what is read behind the write is not told."""
    world = World()
    before, after, writer = opened(world, b"on"), opened(world, b"on"), opened(world)
    before.receive(pack(b"GET", b"a"))
    writer.receive(pack(b"SET", b"a", b"1"))
    after.receive(pack(b"GET", b"a"))
    for partition in range(3):
        for _ in range(3):
            world.answer(partition)
    world.tell_clients()
    assert taken(before) == b"_\r\n" + invalid(b"a")
    assert taken(after) == b"$1\r\n1\r\n"
    ask(world, writer, b"SET", b"a", b"2")
    assert told(world, after) == invalid(b"a")


def test_what_is_told_follows_the_answer_that_it_is_about() -> None:
    """The answer waits behind another one, of another partition."""
    world = World()
    reader, writer = opened(world, b"on"), opened(world)
    reader.receive(pack(b"GET", b"a") + pack(b"GET", b"b"))
    first, second = (world.partition_of_slot[slot_of(key)] for key in (b"a", b"b"))
    world.answer(second)
    writer.receive(pack(b"SET", b"b", b"1"))
    world.answer(second)
    world.tell_clients()
    assert taken(reader) == b""
    world.answer(first)
    assert taken(reader) == b"_\r\n_\r\n" + invalid(b"b")


def test_what_a_transaction_has_read_is_remembered_when_its_partition_has_run_it() -> None:
    """Its reply may come later: what was told meanwhile is told again behind it."""
    world = World()
    reader, writer = opened(world, b"on"), opened(world)
    place = b"%d" % slot_of(b"b")
    asked = (b"GET", b"a"), (b"CLUSTER", b"COUNTKEYSINSLOT", place)
    reader.receive(pack(b"MULTI") + b"".join(pack(*words) for words in asked) + pack(b"EXEC"))
    first, second = (world.partition_of_slot[slot_of(key)] for key in (b"a", b"b"))
    world.answer(first)
    writer.receive(pack(b"SET", b"a", b"1"))
    world.answer(first)
    world.tell_clients()
    early = b"+OK\r\n" + b"+QUEUED\r\n" * 2 + invalid(b"a")
    assert taken(reader) == early
    world.answer(second)
    world.tell_clients()
    assert taken(reader) == b"*2\r\n_\r\n:0\r\n" + invalid(b"a")


def test_a_client_hears_of_its_own_writes_unless_it_says_otherwise() -> None:
    world = World()
    loop, no_loop = opened(world, b"on"), opened(world, b"on", b"NOLOOP")
    for session in (loop, no_loop):
        ask(world, session, b"GET", b"a")
        ask(world, session, b"SET", b"a", b"1")
    assert told(world, loop) == invalid(b"a")
    assert told(world, no_loop) == b""
    ask(world, no_loop, b"GET", b"a")
    ask(world, loop, b"SET", b"a", b"2")
    assert told(world, no_loop) == invalid(b"a")


def test_what_is_not_remembered_is_told_as_changed_the_oldest_first() -> None:
    world = World()
    world.tracking.keys_max = 2
    reader = opened(world, b"on")
    for key in (b"a", b"b", b"c"):
        ask(world, reader, b"GET", key)
    assert told(world, reader) == invalid(b"a")
    assert world.tracking.key_count == 2


def test_broadcast_tells_of_prefixes_whoever_has_read() -> None:
    world = World(led=(0, 1), has_copies=(2,))
    all_keys, some = opened(world, b"on", b"BCAST"), opened(world, b"on", b"BCAST", b"PREFIX", b"c")
    for key in (b"c", b"b"):
        ask(world, opened(world), b"SET", key, b"1")
    assert told(world, all_keys) == invalid(b"c", b"b")
    assert told(world, some) == invalid(b"c")
    # A copy changes: that concerns who reads copies.
    copied = b"a"
    assert world.partition_of_slot[slot_of(copied)] == 2
    ask(world, some, b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", b"a")
    ask(world, all_keys, b"READONLY")
    world.stores[2].execute(slot_of(copied), [b"SET", copied, b"1"], 0)
    assert told(world, all_keys) == invalid(copied)
    assert told(world, some) == b""


def test_a_read_of_a_copy_is_remembered_too() -> None:
    world = World(led=(), has_copies=(0, 1, 2))
    reader = opened(world, b"on")
    ask(world, reader, b"READONLY")
    assert ask(world, reader, b"GET", b"a") == b"_\r\n"
    world.stores[2].execute(slot_of(b"a"), [b"SET", b"a", b"1"], 0)
    assert told(world, reader) == invalid(b"a")


def test_an_answer_that_is_none_is_not_remembered() -> None:
    world = World(led=())
    reader = opened(world, b"on")
    assert ask(world, reader, b"GET", b"a").startswith(b"-MOVED")
    assert world.tracking.key_count == 0


@pytest.mark.parametrize("how", ["lead", "term", "copy", "store", "flush"])
def test_who_has_read_where_changes_are_not_seen_any_more_forgets_everything(how: str) -> None:
    world = World()
    partition = world.partition_of_slot[slot_of(b"a")]
    world.tracking.leads(partition, 4)
    reader, other = opened(world, b"on"), opened(world, b"on")
    prefix = opened(world, b"on", b"BCAST", b"PREFIX", b"zz")
    ask(world, reader, b"GET", b"a")
    ask(world, other, b"GET", b"b")
    world.tracking.leads(partition, 4)
    assert told(world, reader) == b""
    if how == "lead":
        world.tracking.leads(partition, None)
    elif how == "term":
        world.tracking.leads(partition, 5)
    elif how == "copy":
        world.tracking.lost_sight_of(partition)
    elif how == "store":
        world.tracking.flushed(None)
    else:
        ask(world, opened(world), b"FLUSHALL")
    assert told(world, reader) == FLUSH
    assert told(world, prefix) == FLUSH
    assert told(world, other) == (FLUSH if how in ("store", "flush") else b"")


def test_in_resp2_another_connection_is_told() -> None:
    world = World()
    listener = opened(world, protocol=b"2")
    words = b"REDIRECT", b"%d" % listener.id
    reader, writer = opened(world, b"on", *words, protocol=b"2"), opened(world)
    ask(world, reader, b"GET", b"a")
    ask(world, writer, b"SET", b"a", b"1")
    assert told(world, listener) == b"" == taken(reader)  # it does not listen yet
    ask(world, listener, b"SUBSCRIBE", b"__redis__:invalidate")
    ask(world, reader, b"GET", b"a")
    ask(world, writer, b"SET", b"a", b"1")
    channel = b"$20\r\n__redis__:invalidate\r\n"
    assert told(world, listener) == b"*3\r\n$7\r\nmessage\r\n" + channel + pack(b"a")
    assert taken(reader) == b""
    ask(world, reader, b"HELLO", b"3")
    ask(world, reader, b"GET", b"a")
    world.service.close_session(listener)
    ask(world, writer, b"SET", b"a", b"1")
    assert told(world, reader) == b">2\r\n$21\r\ntracking-redir-broken\r\n:%d\r\n" % listener.id
    assert b"broken_redirect" in ask(world, reader, b"CLIENT", b"TRACKINGINFO")


@pytest.mark.parametrize("end", ["off", "reset", "lost"])
def test_who_tracks_no_more_costs_nothing(end: str) -> None:
    world = World()
    reader, writer = opened(world, b"on"), opened(world)
    ask(world, reader, b"GET", b"a")
    if end == "off":
        ask(world, reader, b"CLIENT", b"TRACKING", b"OFF")
    elif end == "reset":
        ask(world, reader, b"RESET")
    else:
        world.service.close_session(reader)
    assert all(store._shared.observer is None for store in world.stores)
    ask(world, writer, b"SET", b"a", b"1")
    assert told(world, reader) == b""
    assert world.tracking.client_count == world.tracking.key_count == 0


def test_observers_are_on_stores_that_come_later_too() -> None:
    world = World()
    groups = SimpleNamespace(partitions=[])
    observing = Observing(groups)  # type: ignore[arg-type]
    tracking = Tracking(10, observing, world)  # type: ignore[arg-type]
    tracker = tracking.begin(world.session, None, frozenset(), (), None)
    group = SimpleNamespace(machine=world.stores[0])
    groups.partitions.append(group)
    observing.opened([group])  # type: ignore[list-item]
    assert world.stores[0]._shared.observer is tracking
    group.machine = world.stores[1]
    observing.replaced(group)  # type: ignore[arg-type]
    assert world.stores[1]._shared.observer is tracking and tracking.has_pending
    tracking.end(tracker)
    assert world.stores[1]._shared.observer is None


def test_a_gateway_serves_every_shard_channel() -> None:
    world = World()
    session = Gateway(world.service).open_session(lambda: None)
    assert b":2\r\n" in ask(world, session, b"SSUBSCRIBE", b"a", b"b")
    world.pubsub.subscriptions.leave_slots(0, 16383)  # the slave has no copy any more
    assert taken(session) == b"" and session.is_subscribed


# What is begun before it, what is queued, what Redis 7 tells behind the reply; keys that others
# write then, and those of which it tells.
ON, BCAST = b"CLIENT TRACKING ON", b"CLIENT TRACKING ON BCAST"
IN_TRANSACTIONS: list[tuple[bytes, list[bytes], bytes, dict[bytes, bool]]] = [
    (b"", [BCAST, b"SET a 1"], invalid(b"a"), {}),
    (b"", [b"SET a 1", BCAST, b"SET {a}b 1"], invalid(b"{a}b"), {}),
    (b"", [BCAST + b" PREFIX {", b"SET a 1", b"SET {a}b 1"], invalid(b"{a}b"), {}),
    (b"", [BCAST, b"DEL a", b"SET a 1 XX", b"INCR {a}n", b"GETEX a"], invalid(b"{a}n"), {}),
    (b"", [BCAST, b"SET a 1", b"COPY a {a}b", b"DEL a"], invalid(b"a", b"{a}b"), {}),
    (b"", [BCAST + b" NOLOOP", b"SET a 1"], b"", {b"a": True}),
    (BCAST + b" NOLOOP", [b"SET a 1"], b"", {b"a": True}),
    (BCAST + b" PREFIX {", [BCAST + b" PREFIX a", b"SET a 1"], invalid(b"a"), {b"{a}b": True}),
    (BCAST, [b"SET a 1", b"CLIENT TRACKING OFF"], b"", {b"a": False}),
    (BCAST, [b"SET a 1", b"CLIENT TRACKING OFF", BCAST, b"SET {a}b 1"], invalid(b"{a}b"), {}),
    (b"", [ON, b"GET a"], b"", {b"a": True}),
    (b"", [b"GET a", ON], b"", {b"a": False}),
    (b"", [ON, b"GET a", b"SET a 1"], invalid(b"a"), {b"a": False}),
    (b"", [ON, b"SET a 1", b"GET a"], b"", {b"a": True}),
    (b"", [ON, b"SET a 1"], b"", {b"a": False}),
    (ON, [b"GET a", b"CLIENT TRACKING OFF"], b"", {b"a": False}),
    (ON, [b"CLIENT TRACKING OFF", b"GET a"], b"", {b"a": False}),
    (ON, [b"CLIENT TRACKING OFF", b"GET a", ON, b"GET {a}b"], b"", {b"a": False, b"{a}b": True}),
    (ON + b" NOLOOP", [b"GET a", b"SET a 1"], b"", {b"a": False}),
    (b"", [ON + b" OPTIN", b"GET a"], b"", {b"a": False}),
    (
        ON + b" OPTIN",
        [b"GET a", b"CLIENT CACHING YES", b"GET {a}b", b"GET {a}c"],
        b"",
        {b"a": False, b"{a}b": True, b"{a}c": True},
    ),
    (
        ON + b" OPTOUT",
        [b"GET a", b"CLIENT CACHING NO", b"GET {a}b"],
        b"",
        {b"a": True, b"{a}b": False},
    ),
]  # fmt: skip


@pytest.mark.parametrize("story", IN_TRANSACTIONS, ids=lambda story: repr((story[0], story[1])))
def test_in_a_transaction_tracking_counts_from_where_it_stands(
    story: tuple[bytes, list[bytes], bytes, dict[bytes, bool]],
) -> None:
    before, queued, expected, later = story
    world = World()
    session, writer = opened(world), opened(world)
    commands = [before] * bool(before) + [b"MULTI", *queued, b"EXEC"]
    for command in commands:
        answer = ask(world, session, *command.split())
    assert answer.startswith(b"*%d\r\n" % len(queued))
    assert told(world, session) == expected
    for key, is_told in later.items():
        ask(world, writer, b"SET", key, b"2")
        assert told(world, session) == (invalid(key) if is_told else b"")


def test_what_a_transaction_is_told_of_tracking_is_over_with_it() -> None:
    """CLIENT CACHING speaks of the transaction that it is in, and of nothing behind it."""
    world = World()
    session, writer = opened(world, b"on", b"OPTIN"), opened(world)
    for words in ("MULTI", "CLIENT CACHING YES", "EXEC", "GET a"):
        ask(world, session, *words.encode().split())
    ask(world, writer, b"SET", b"a", b"1")
    assert told(world, session) == b""


def test_a_transaction_that_flushes_tells_who_begins_to_track_in_it() -> None:
    world = World(partitions=1)
    session, writer = opened(world), opened(world)
    for words in ("MULTI", "CLIENT TRACKING ON", "GET a", "FLUSHALL", "EXEC"):
        ask(world, session, *words.encode().split())
    assert told(world, session) == FLUSH
    ask(world, writer, b"SET", b"a", b"1")
    assert told(world, session) == b""


def test_what_was_read_behind_a_command_that_waited_is_told_as_changed() -> None:
    """Here the read ran before another client's write, and the client begins to track after it."""
    world = World()
    session, writer = opened(world), opened(world)
    waits = b"CLUSTER COUNTKEYSINSLOT %d" % slot_of(b"b")
    for words in (b"MULTI", waits, ON, b"GET a"):
        ask(world, session, *words.split())
    session.receive(pack(b"EXEC"))
    first, second = (world.partition_of_slot[slot_of(key)] for key in (b"a", b"b"))
    world.answer(first)
    writer.receive(pack(b"SET", b"a", b"1"))
    world.answer(first)
    world.answer(second)
    taken(session)
    assert told(world, session) == invalid(b"a")


def test_what_has_changed_waits_only_for_replies_that_may_tell_of_it() -> None:
    """A client that pipelines would hear of it when the slowest partition has answered."""
    replies = Replies(1 << 20, lambda: None)
    waits, reads, other = (replies.add([b"GET", key], 5) for key in (b"w", b"k", b"o"))
    reads.resolve(b"old")
    other.resolve(b"o")
    assert replies.push_now(b"<k>", {b"k", b"x"}) and replies.push_now(b"<x>", {b"x"})
    assert replies.take(100) == [b"<x>"]
    waits.resolve(b"w")
    assert b"".join(replies.take(100)) == b"$1\r\nw\r\n$3\r\nold\r\n<k>$1\r\no\r\n"


@pytest.mark.parametrize("slot", [-1, 5])
def test_what_has_changed_waits_for_a_reply_that_does_not_name_its_keys(slot: int) -> None:
    """EXEC, commands on several slots, reads of a copy, and those with very many words."""
    replies = Replies(1 << 20, lambda: None)
    words = [b"EXEC"] if slot < 0 else [b"MGET", *[b"o"] * 100]
    waits, executed = replies.add([b"GET", b"w"], 5), replies.add(words, slot)
    executed.resolve(b"old")
    assert replies.push_now(b"<k>", {b"k"})
    assert replies.take(100) == []
    waits.resolve(b"w")
    assert b"".join(replies.take(100)) == b"$1\r\nw\r\n$3\r\nold\r\n<k>"


def test_what_has_changed_does_not_come_within_a_reply() -> None:
    replies = Replies(1 << 20, lambda: None)
    large = [b"x" * 1000] * 200
    first, waits = replies.add([b"MGET", b"l"], 5), replies.add([b"GET", b"w"], 5)
    first.resolve(large)
    taken = b"".join(replies.take(10))
    assert replies.push_now(b"<k>", {b"k"})
    waits.resolve(b"w")
    while more := replies.take(1 << 16):
        taken += b"".join(more)
    assert taken == encode(large, 2) + b"<k>$1\r\nw\r\n"
