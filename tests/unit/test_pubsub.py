"""SUBSCRIBE, PUBLISH and their kind through sessions; frames between slaves."""

import math
from types import SimpleNamespace

import msgpack
import pytest

from distrodb.commands.pubsub import CHANNEL_BYTES_MAX
from distrodb.errors import PeerError
from distrodb.ring.slots import slot_of
from distrodb.slave.links.framing import PUBLISHED
from distrodb.slave.pubsub import PARCEL_BYTES, Pubsub
from distrodb.slave.questions import ANSWER_S
from distrodb.slave.replies import MESSAGE_BYTES, MESSAGES_NOT_READ
from distrodb.slave.session import Session
from distrodb.slave.subscriptions import CHANNEL, Subscriptions
from tests.support.resp import pack, read_replies
from tests.unit.session_world import World


def opened(world: World) -> Session:
    return world.service.open_session(lambda: None)


def ask(session: Session, *args: bytes) -> bytes:
    session.receive(pack(*args))
    while not session.wants_input:
        session.go_on()
    return b"".join(session.take(1 << 30))


def message(channel: bytes, text: bytes) -> bytes:
    return pack(b"message", channel, text)


def test_a_message_never_overtakes_the_confirmation_of_its_subscription() -> None:
    world = World()
    session, publisher = opened(world), opened(world)
    session.receive(pack(b"SET", b"a", b"1") + pack(b"SUBSCRIBE", b"c", b"d"))
    assert ask(publisher, b"PUBLISH", b"c", b"too early") == b":0\r\n"
    world.answer(0), world.answer(1), world.answer(2)
    session.go_on()
    assert ask(publisher, b"PUBLISH", b"c", b"m") == b":1\r\n"
    replies = read_replies(b"".join(session.take(1 << 20)))
    assert replies[1:] == [
        [b"subscribe", b"c", 1],
        [b"subscribe", b"d", 2],
        [b"message", b"c", b"m"],
    ]


def test_a_message_waits_for_no_command_that_is_under_way_but_follows_what_was_said() -> None:
    """GET a is not answered yet, GET b is: what comes now is behind b, and before what follows."""
    world = World()
    session, publisher = opened(world), opened(world)
    ask(session, b"HELLO", b"3")
    ask(session, b"SUBSCRIBE", b"c")
    session.receive(pack(b"GET", b"a"))
    ask(publisher, b"PUBLISH", b"c", b"1")
    ask(publisher, b"PUBLISH", b"c", b"2")
    both = message(b"c", b"1") + message(b"c", b"2")
    assert b"".join(session.take(1 << 20)) == both.replace(b"*3", b">3")
    session.receive(pack(b"GET", b"b"))
    slots = [number for number, queue in enumerate(world.queues) if queue]
    first = next(n for n in slots if world.queues[n][0].args[1] == b"a")
    world.answer(next(n for n in slots if n != first))
    ask(publisher, b"PUBLISH", b"c", b"3")
    assert not session.take(1 << 20)
    world.answer(first)
    third = message(b"c", b"3").replace(b"*3", b">3")
    assert b"".join(session.take(1 << 20)) == b"_\r\n_\r\n" + third


def test_a_large_message_is_taken_in_pieces_and_in_order() -> None:
    world = World()
    session, publisher = opened(world), opened(world)
    ask(session, b"SUBSCRIBE", b"c")
    texts = [b"a" * 300_000, b"b", b"c" * 70_000]
    for text in texts:
        ask(publisher, b"PUBLISH", b"c", text)
    taken = []
    while pieces := session.take(1000):
        assert max(map(len, pieces)) <= 65536
        taken += pieces
    assert b"".join(taken) == b"".join(message(b"c", text) for text in texts)
    assert session.replies.output_bytes == 0 and not session.replies.calls


def test_a_channel_that_is_too_long_is_compared_with_no_pattern() -> None:
    world = World()
    session, publisher = opened(world), opened(world)
    ask(session, b"PSUBSCRIBE", b"a*")
    assert ask(publisher, b"PUBLISH", b"a" * CHANNEL_BYTES_MAX, b"m") == b":1\r\n"
    refused = b"-ERR a channel of more than 65536 bytes\r\n"
    assert ask(publisher, b"PUBLISH", b"a" * (CHANNEL_BYTES_MAX + 1), b"m") == refused


def test_whoever_does_not_read_its_messages_is_ended_and_costs_others_nothing() -> None:
    world = World(output_bytes_max=65536)
    slow, fast, publisher = opened(world), opened(world), opened(world)
    for session in (slow, fast):
        ask(session, b"SUBSCRIBE", b"c")
    length = len(message(b"c", b"m")) + MESSAGE_BYTES
    for _ in range(65536 // length):
        assert ask(publisher, b"PUBLISH", b"c", b"m") == b":2\r\n"
        fast.take(1 << 20)
    assert not slow.is_closing
    ask(publisher, b"PUBLISH", b"c", b"m")
    assert slow.is_closing and slow.fault == MESSAGES_NOT_READ
    assert b"".join(fast.take(1 << 20)) == message(b"c", b"m") and not fast.is_closing
    assert ask(publisher, b"PUBLISH", b"c", b"m") == b":1\r\n"


@pytest.mark.parametrize("end", [b"RESET", b"QUIT"])
def test_reset_and_a_lost_connection_end_subscriptions(end: bytes) -> None:
    world = World()
    session, publisher = opened(world), opened(world)
    ask(session, b"SUBSCRIBE", b"c")
    ask(session, b"PSUBSCRIBE", b"*")
    assert session.may_be_silent
    ask(session, end)
    if end == b"QUIT":
        assert session.is_finished
        world.service.close_session(session)
    assert ask(publisher, b"PUBLISH", b"c", b"m") == b":0\r\n"
    assert not session.may_be_silent and not session.take(1 << 20)


def test_a_shard_channel_is_served_where_its_slot_is() -> None:
    world = World(led=(0,), has_copies=(1,))
    session, publisher = opened(world), opened(world)
    led, copied, elsewhere = b"b1", b"a1", b"a"  # slots in partitions 0, 1, 2
    where = [world.partition_of_slot[slot] for slot in map(slot_of, (led, copied, elsewhere))]
    assert where == [0, 1, 2]
    assert ask(session, b"SSUBSCRIBE", led) == b"*3\r\n$10\r\nssubscribe\r\n$2\r\nb1\r\n:1\r\n"
    assert b"ssubscribe" in ask(session, b"SSUBSCRIBE", copied)
    assert ask(session, b"SSUBSCRIBE", elsewhere).startswith(b"-MOVED 15495 ")
    assert ask(session, b"SSUBSCRIBE", led, copied).startswith(b"-CROSSSLOT ")
    assert ask(publisher, b"SPUBLISH", elsewhere, b"m").startswith(b"-MOVED 15495 ")
    assert ask(publisher, b"SPUBLISH", copied, b"m") == b":1\r\n"
    assert ask(publisher, b"PUBLISH", copied, b"m") == b":0\r\n"


class Client:
    protocol = 2
    is_subscribed = is_everywhere = False
    kept_bytes = 0

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def push_now(self, data: bytes) -> None:
        self.told.append(data)


def between() -> tuple[Pubsub, Pubsub, list[tuple[str, tuple[int, object, int]]]]:
    sent: list[tuple[str, tuple[int, object, int]]] = []
    outgoing = SimpleNamespace(send_parcel=lambda *parcel: sent.append(parcel))
    here = Pubsub(Subscriptions(1 << 20), outgoing, {"node2": "x"})  # type: ignore[arg-type]
    return here, Pubsub(Subscriptions(1 << 20), outgoing, {}), sent  # type: ignore[arg-type]


def test_a_turn_s_messages_go_to_each_peer_in_one_frame_in_order() -> None:
    here, there, sent = between()
    client = Client()
    there.subscriptions.add(client, CHANNEL, b"c")
    texts = [b"%d" % number for number in range(5)]
    for text in texts:
        here.publish(b"c", text)
    assert not sent and here.gathered
    here.send()
    ((peer, (kind, content, _)),) = sent
    assert (peer, kind) == ("node2", PUBLISHED) and not here.gathered
    assert isinstance(content, list)
    there.receive("node1", [list(each) for each in content])
    assert client.told == [message(b"c", text) for text in texts]


def test_what_is_large_does_not_wait_for_the_turn_s_end() -> None:
    here, _, sent = between()
    here.publish(b"c", b"x" * PARCEL_BYTES)
    assert len(sent) == 1 and sent[0][1][2] > PARCEL_BYTES and not here.gathered


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        [1],
        [[0, b"c"]],
        [[0, b"c", "text"]],
        [[b"", b"", b""]],
        [[9, 1]],
        [[3, 1, 7, b"", b""]],
        [[]],
    ],
)
def test_a_peer_that_sends_nonsense_is_found_out(content: object) -> None:
    with pytest.raises(PeerError):
        between()[1].receive("node1", content)


class Wire:
    """Two slaves that are linked, and what is on its way between them."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, object]] = []
        self.slaves = {name: self._slave(name) for name in ("node1", "node2")}

    def _slave(self, name: str) -> Pubsub:
        def send(peer: str, parcel: tuple[int, object, int]) -> None:
            self.sent.append((name, peer, msgpack.unpackb(msgpack.packb(parcel[1]))))

        others = {"node1", "node2"} - {name}
        outgoing = SimpleNamespace(send_parcel=send)
        return Pubsub(Subscriptions(1 << 20), outgoing, others)  # type: ignore[arg-type]

    def deliver(self) -> None:
        while self.sent:
            sender, receiver, content = self.sent.pop(0)
            self.slaves[receiver].receive(sender, content)


def test_a_gateway_counts_the_clients_of_all_slaves() -> None:
    wire = Wire()
    here, there = wire.slaves.values()
    for slave, names in ((here, (b"a", b"b")), (there, (b"b", b"c"))):
        for name in names:
            slave.subscriptions.add(Client(), CHANNEL, name)
    told: list[object] = []
    here.publish_counted(0.0, CHANNEL, b"b", b"m", told.append)
    here.count_subscribers(0.0, CHANNEL, [b"a", b"b", b"c", b"d"], told.append)
    here.list_active(0.0, CHANNEL, told.append)
    assert told == []
    wire.deliver()
    assert told == [2, [1, 2, 1, 0], [b"a", b"b", b"c"]]
    assert here.questions.next_due == math.inf


@pytest.mark.parametrize("end", ["time", "link"])
def test_a_slave_that_does_not_answer_counts_as_one_without_clients(end: str) -> None:
    wire = Wire()
    here, there = wire.slaves.values()
    here.subscriptions.add(Client(), CHANNEL, b"c")
    there.subscriptions.add(Client(), CHANNEL, b"c")
    told: list[object] = []
    here.publish_counted(5.0, CHANNEL, b"c", b"m", told.append)
    if end == "time":
        here.questions.give_up(5.0 + ANSWER_S - 0.01)
        assert told == []
        here.questions.give_up(5.0 + ANSWER_S)
    else:
        here.questions.link_down("node2")
    assert told == [1]
    wire.deliver()  # the answer comes late
    assert told == [1]
