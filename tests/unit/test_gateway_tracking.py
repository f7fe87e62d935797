"""Client-side caching through a gateway: what leaders tell, and what its clients are told then."""

import msgpack
import pytest

from distrodb.errors import PeerError
from distrodb.ring.slots import slot_of
from distrodb.slave.change_feed import TOLD_BYTES_MAX
from distrodb.slave.gateway import Gateway
from distrodb.slave.links.framing import ANSWERS, CHANGES, TRACKED, Incoming, Outgoing
from distrodb.slave.session import Session
from tests.unit.session_world import World
from tests.unit.test_tracking import FLUSH, ask, invalid, told

TRACK = b"CLIENT", b"TRACKING", b"ON"


def opened(world: World, *options: bytes, tracks: bool = True) -> Session:
    session = world.service.open_session(lambda: None, "", Gateway(world.service))
    ask(world, session, b"HELLO", b"3")
    if tracks:
        assert ask(world, session, *TRACK, *options) == b"+OK\r\n"
    return session


def sent(world: World, kind: int) -> list[tuple[str, object]]:
    """To peers, as they read it."""
    found = [(peer, parcel[1]) for peer, parcel in world.parcels if parcel[0] == kind]
    world.parcels.clear()
    return [(peer, msgpack.unpackb(msgpack.packb(content))) for peer, content in found]


def frame(*keys: bytes, number: int = 1, lost: tuple[int, ...] = (), has_more: bool = False):
    return [number, has_more, list(lost), [[slot_of(key), key] for key in keys]]


def told_by(world: World, session: Session, peer: str, content: object) -> bytes:
    world.gateway_tracking.receive(peer, content)
    return told(world, session)


@pytest.fixture
def world() -> World:
    """Of which node2 leads everything, and has heard that its changes are wanted, if anybody
    tracks."""
    world = World(led=())
    world.answers_come_from = "node2"
    return world


def heard(world: World) -> None:
    world.gateway_tracking.receive("node2", frame())


def test_a_gateway_tells_what_leaders_tell_it(world: World) -> None:
    reader, other = opened(world), opened(world)
    heard(world)
    assert ask(world, reader, b"GET", b"a") == b"_\r\n"
    ask(world, reader, b"MGET", b"c", b"{c}d")
    assert told(world, reader) == b""
    assert told_by(world, reader, "node2", frame(b"{c}d", b"a", b"f")) == invalid(b"{c}d", b"a")
    assert told(world, other) == b""
    assert told_by(world, reader, "node2", frame(b"a")) == b""
    assert world.gateway_tracking.key_count == 1


@pytest.mark.parametrize("options", [(), (b"BCAST",)])
def test_what_is_read_where_nobody_tells_is_told_as_changed(
    world: World, options: tuple[bytes, ...]
) -> None:
    reader = opened(world, *options)
    ask(world, reader, b"GET", b"a")
    assert told(world, reader) == invalid(b"a")
    world.gateway_tracking.receive("node3", frame())  # of which that read was not
    heard(world)
    assert told(world, reader) == (FLUSH if options else b"")
    ask(world, reader, b"GET", b"a")
    assert told(world, reader) == b""


def test_an_answer_of_an_earlier_time_says_nothing(world: World) -> None:
    reader = opened(world)
    ask(world, reader, b"CLIENT", b"TRACKING", b"OFF")
    ask(world, reader, *TRACK)
    assert [content for peer, content in sent(world, TRACKED) if peer == "node2"] == [1, 0, 2]
    heard(world)
    ask(world, reader, b"GET", b"a")
    assert told(world, reader) == invalid(b"a")


@pytest.mark.parametrize("how", ["lost lead", "everything", "link", "kept answer"])
def test_where_changes_may_be_missed_all_is_forgotten(world: World, how: str) -> None:
    reader, broadcast = opened(world), opened(world, b"BCAST", b"PREFIX", b"zz")
    heard(world)
    told(world, broadcast)
    ask(world, reader, b"GET", b"a")
    if how == "lost lead":
        partition = world.partition_of_slot[slot_of(b"a")]
        world.gateway_tracking.receive("node2", frame(lost=(partition,)))
    elif how == "everything":
        world.gateway_tracking.receive("node2", frame(has_more=True))
    elif how == "link":
        world.gateway_tracking.link_down("node2")
    else:
        world.forwarding.answered_again = True
    assert world.gateway_tracking.has_pending
    assert told(world, reader) == FLUSH == told(world, broadcast)
    assert not world.gateway_tracking.has_pending
    if how == "link":  # until it has said again that it tells
        ask(world, reader, b"GET", b"a")
        assert told(world, reader) == invalid(b"a")


def test_what_several_partitions_share_is_told_as_changed(world: World) -> None:
    reader = opened(world)
    heard(world)
    assert ask(world, reader, b"MGET", b"a", b"b") == b"*2\r\n_\r\n_\r\n"
    assert told(world, reader) == invalid(b"a", b"b")


def test_a_transaction_is_remembered(world: World) -> None:
    reader = opened(world)
    heard(world)
    reader.receive(b"MULTI\r\nGET a\r\n")
    ask(world, reader, b"EXEC")
    assert told(world, reader) == b""
    assert told_by(world, reader, "node2", frame(b"a")) == invalid(b"a")


def test_who_opts_is_told_of_what_it_opted_for(world: World) -> None:
    reader = opened(world, b"OPTIN")
    ask(world, reader, b"GET", b"b")  # node2 has said nothing yet; nobody keeps this
    heard(world)
    ask(world, reader, b"CLIENT", b"CACHING", b"YES")
    ask(world, reader, b"GET", b"a")
    ask(world, reader, b"GET", b"b")
    assert told_by(world, reader, "node2", frame(b"a", b"b")) == invalid(b"a")


def test_own_partitions_are_told_of_in_the_same_way() -> None:
    world = World()
    reader, writer = opened(world), opened(world, tracks=False)
    ask(world, reader, b"GET", b"a")
    ask(world, writer, b"SET", b"a", b"1")
    ask(world, writer, b"SET", b"b", b"1")
    assert told(world, reader) == invalid(b"a")
    ask(world, reader, b"CLIENT", b"TRACKING", b"OFF")
    assert all(store._shared.observer is None for store in world.stores)


def test_a_leader_tells_who_has_asked_until_it_asks_no_more() -> None:
    world = World(led=(0, 1), has_copies=(2,))
    feed = world.feed
    feed.asked("node2", 7)
    world.tell_clients()
    assert sent(world, CHANGES) == [("node2", frame(number=7))]
    for key in (b"c", b"c", b"b", b"a"):  # the last one is led elsewhere
        slot = slot_of(key)
        world.stores[world.partition_of_slot[slot]].execute(slot, [b"SET", key, b"1"], 0)
    feed.lost_lead(1)
    world.tell_clients()
    assert sent(world, CHANGES) == [("node2", frame(b"c", b"b", number=7, lost=(1,)))]
    world.tell_clients()
    assert sent(world, CHANGES) == []
    for number in range(3):
        feed.changed(slot_of(b"c"), b"%d" % number * (TOLD_BYTES_MAX // 2))
    world.tell_clients()
    assert sent(world, CHANGES) == [("node2", frame(number=7, has_more=True))]
    feed.link_down("node2")
    assert all(store._shared.observer is None for store in world.stores)
    feed.lost_lead(1)
    assert not feed.has_gathered


@pytest.mark.parametrize(
    "content",
    [None, [], [1], [1, False, [b"x"], []], [1, False, [], [[1, 2]]], ["1", False, [], []]],
)
def test_a_peer_that_tells_nonsense_is_found_out(content: object) -> None:
    world = World()
    with pytest.raises(PeerError):
        world.gateway_tracking.receive("node2", content)
    with pytest.raises(PeerError):
        world.feed.asked("node2", content)


@pytest.mark.parametrize("changes_bytes", [0, 1 << 17])
@pytest.mark.parametrize("answers_bytes", [[1 << 20], [1 << 14] * 50, [1 << 14] * 50 + [1 << 17]])
def test_what_has_changed_does_not_overtake_answers(
    answers_bytes: list[int], changes_bytes: int
) -> None:
    outgoing, incoming = Outgoing(), Incoming()
    incoming.is_trusted = True
    for size in answers_bytes:
        outgoing.put_parcel(ANSWERS, [b"x" * size], size)
    outgoing.put_parcel(CHANGES, frame(b"a" * changes_bytes), changes_bytes)
    kinds = []
    while pieces := outgoing.take(1 << 16):
        kinds += [content[0] for content in incoming.feed(b"".join(pieces))]
    assert kinds == [ANSWERS] * len(answers_bytes) + [CHANGES]
    assert outgoing.bytes == 0


def test_what_was_read_before_anybody_tracked_is_told_as_changed(world: World) -> None:
    """A transaction reads, and its client begins to track in it: no leader has heard so then."""
    reader = opened(world, tracks=False)
    for words in ([b"MULTI"], [*TRACK], [b"GET", b"a"], [b"EXEC"]):
        ask(world, reader, *words)
    assert told(world, reader) == invalid(b"a")
    heard(world)
    for words in ([b"MULTI"], [b"GET", b"a"], [b"EXEC"]):
        ask(world, reader, *words)
    assert told(world, reader) == b""
    assert told_by(world, reader, "node2", frame(b"a")) == invalid(b"a")
