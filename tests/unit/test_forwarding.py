"""What gateways and leaders send to each other, as frames that a link takes."""

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest

from distrodb.commands.gateway import OPEN
from distrodb.errors import PeerError
from distrodb.keyspace.origins import NoReply
from distrodb.keyspace.transaction import Condition, pack
from distrodb.resp.reply import OK, ErrorReply
from distrodb.ring.slots import slot_of
from distrodb.slave.forwarding import forwarded as forwarded_module
from distrodb.slave.forwarding import forwarding as forwarding_module
from distrodb.slave.forwarding.forwarded import Forwarded
from distrodb.slave.forwarding.forwarding import REPLY_BYTES_MAX, Forwarding
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.links.framing import ANSWERS, FORWARDS, Parcel
from tests.support.request import Asked

AT = slot_of(b"a")  # in partition 0


class Slave:
    """Its part that forwards; "other" leads partition 0."""

    def __init__(self, output_bytes_max: int = 1 << 30) -> None:
        limits = SimpleNamespace(
            partition_queue_max=10_000,
            partition_queue_bytes_max=1 << 30,
            output_bytes_max=output_bytes_max,
        )
        config = SimpleNamespace(limits=limits, gateway=SimpleNamespace(wait_ms=1000))
        routing = SimpleNamespace(
            maps=SimpleNamespace(me="me", birth=None),
            version=1,
            partition_of_slot=[0] * 16000 + [1] * 384,
            leader_of=lambda partition: "other",
        )
        self.submitted: list[Forwarded] = []
        self.sent: list[Parcel] = []
        dispatch = SimpleNamespace(submit_marked=lambda request, _: self.submitted.append(request))
        outgoing = SimpleNamespace(send_parcel=lambda peer, parcel: self.sent.append(parcel))
        self.forwarding = Forwarding(*cast(Any, (config, routing, dispatch, outgoing)))

    def ask(self, *commands: list[bytes]) -> None:
        """The other one forwards reads."""
        rows = [[number + 1, 0, AT, words] for number, words in enumerate(commands)]
        self.forwarding.receive(0.0, "other", FORWARDS, [[0, 1, 0, 0, 1, rows]])


def test_answers_leave_in_frames_that_a_link_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a client asks for one large value: a frame that is too large, or what cannot
    be encoded at once, would cost the slaves their link, again and again."""
    monkeypatch.setattr(forwarding_module, "FRAME_BYTES", 1000)
    slave = Slave()
    slave.ask(*[[b"GET", b"a"]] * 10)
    for number, request in enumerate(slave.submitted):
        request.resolve(bytes(2000) if number == 5 else bytes(400))
    slave.forwarding.deliver(0.0)
    numbers = []
    for kind, content, size in slave.sent:
        rows = [row for _, _, rows in cast(Any, content) for row in rows]
        assert kind == ANSWERS and (size <= 1000 or len(rows) == 1)
        numbers += [number for number, _, _ in rows]
    assert numbers == list(range(1, 11)) and len(slave.sent) == 6


def test_what_is_too_much_for_one_turn_is_to_be_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forwarded_module, "TURN_BYTES_MAX", 1000)
    slave = Slave()
    slave.ask(*[[b"GET", b"a"]] * 4)
    for request in slave.submitted:
        request.resolve(bytes(400))
    stream = slave.submitted[0].stream
    doubt = NoReply.IN_DOUBT.value
    assert [(why, bool(reply)) for _, why, reply in stream.answers] == [
        (0, True),
        (0, True),
        (doubt, False),
        (doubt, False),
    ]
    slave.forwarding.receive(
        0.0, "other", FORWARDS, [[0, 1, 1, 0, 1, [[5, 0, AT, [b"GET", b"a"]]]]]
    )
    assert len(slave.submitted) == 4  # what comes behind is refused, too
    slave.forwarding.deliver(0.0)
    slave.forwarding.receive(
        0.0, "other", FORWARDS, [[0, 2, 0, 0, 1, [[1, 0, AT, [b"GET", b"a"]]]]]
    )
    slave.submitted[4].resolve(bytes(4000))  # one is always taken
    assert slave.submitted[4].stream.answers == [(1, 0, bytes(4000))]


def test_commands_leave_in_frames_that_a_link_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding_module, "FRAME_BYTES", 1000)
    slave = Slave()
    for partition in range(10):
        slave.forwarding.submit(0.0, Asked(b"GET", b"a", size=400), partition, None)
    slave.forwarding.send(0.0)
    partitions = [chunk[0] for _, content, _ in slave.sent for chunk in cast(Any, content)]
    assert partitions == list(range(10)) and len(slave.sent) == 5


def test_a_reply_that_no_frame_holds_is_an_error() -> None:
    slave = Slave()
    slave.ask([b"GET", b"a"], [b"GET", b"a"])
    part = bytes(REPLY_BYTES_MAX // 4)
    slave.submitted[0].resolve([part] * 5)
    slave.submitted[1].resolve(OK)
    replies: list[Any] = [reply for _, _, reply in slave.submitted[0].stream.answers]
    assert isinstance(replies[0], ErrorReply) and replies[1] is OK


SET, GET = [b"SET", b"a", b"1"], [b"GET", b"a"]
WRITE, READ = 1, 0


def exec_of(words: list[bytes], place: int = AT, token: bytes = b"") -> list[bytes]:
    conditions = [Condition(token, AT, b"a")] if token else []
    return [b"EXEC", *pack([(place, words)], conditions)]


def nested(depth: int) -> list[bytes]:
    words = GET
    for _ in range(depth):
        words = exec_of(words)
    return words


@pytest.mark.parametrize(
    ("words", "sequence", "place", "partition"),
    [
        (SET, WRITE, -1, MAP_GROUP),  # it would stop all that hold the map
        (SET, WRITE, 1 << 40, 0),
        (nested(3000), WRITE, AT, 0),
        # Keys that are in another partition, or in another slot than the one that is named.
        ([b"SET", b"f", b"1"], WRITE, -1, 1),
        ([b"MGET", b"a", b"f"], READ, -1, 1),
        ([b"get", b"f"], READ, -1 - 15, 1),
        (SET, WRITE, 5, 0),
        ([b"MSET", b"b", b"1", b"{b}c", b"2", b"f", b"3"], WRITE, 3300, 0),
        (exec_of([b"SET", b"f", b"1"], -1), WRITE, 16001, 1),
        (exec_of([b"SET", b"f", b"1"], 16001), WRITE, 16001, 1),
        (exec_of([b"exec", *exec_of(SET, 16001)[1:]]), WRITE, AT, 0),
        ([b"exec", *exec_of(SET, 16001)[1:]], WRITE, AT, 0),
        (exec_of([b"GATEWAY", b"OPEN"]), WRITE, AT, 0),
        (exec_of(SET, 1 << 80), WRITE, AT, 0),
        (exec_of(SET, token=b"1.2.3"), WRITE, AT, 0),
        (exec_of(SET, token=b".."), WRITE, AT, 0),
        (exec_of(SET, token=b"3." + b"9" * 5000), WRITE, AT, 0),
        ([b"EXEC_RO", *exec_of(SET)[1:]], READ, AT, 0),
        ([b"WATCH", b"a"], WRITE, AT, 0),
    ],
)
def test_what_would_raise_when_it_is_applied_or_differ_between_copies_is_refused(
    words: list[bytes], sequence: int, place: int, partition: int
) -> None:
    slave = Slave()
    with pytest.raises(PeerError):
        slave.forwarding.receive(
            0.0, "other", FORWARDS, [[partition, 1, 0, 7, 1, [[1, sequence, place, words]]]]
        )
    assert not slave.submitted


@pytest.mark.parametrize(
    ("words", "sequence", "place"),
    [
        (SET, WRITE, AT),
        (SET, WRITE, 3 * 16384 + AT),
        ([b"MSET", b"a", b"1", b"f", b"2"], WRITE, -1),
        ([b"MGET", b"a", b"f"], READ, -1 - 15),
        (exec_of(SET, token=b"1.2"), WRITE, AT),
        (exec_of([b"MSET", b"a", b"1", b"f", b"2"], -1), WRITE, -1),
        ([b"WATCH", b"a", b"f"], READ, AT),
        ([b"DBSIZE"], READ, -1),
        ([b"SORT", b"a", b"STORE", b"{a}b"], WRITE, AT),
    ],
)
def test_what_gateways_forward_is_taken(words: list[bytes], sequence: int, place: int) -> None:
    slave = Slave()
    slave.forwarding.receive(
        0.0, "other", FORWARDS, [[0, 1, 0, 7, 1, [[1, sequence, place, words]]]]
    )
    assert [request.args for request in slave.submitted] == [words]


def test_what_a_connection_that_is_gone_wanted_to_read_takes_no_room() -> None:
    slave, gone = Slave(), object()
    for _ in range(100):
        slave.forwarding.submit(0.0, Asked(*GET, size=400), 0, gone)
    slave.forwarding.submit(0.0, Asked(*SET, size=400), 0, gone)
    slave.forwarding.lose(gone)
    assert slave.forwarding.next_due == -math.inf
    slave.forwarding.send(0.0)
    assert slave.forwarding._bytes < 1000
    (chunk,) = cast(Any, slave.sent[0][1])
    assert [row[3] for row in chunk[5]] == [OPEN]  # for the write


def test_connections_that_are_gone_are_forgotten_where_no_gateway_is_used() -> None:
    slave = Slave()
    slave.forwarding.lose(object())
    assert not slave.forwarding._lost and not slave.forwarding.is_used


def test_what_is_under_way_for_a_connection_that_is_gone_is_not_sent_again() -> None:
    slave, gone = Slave(), object()
    slave.forwarding.submit(0.0, Asked(*GET, size=400), 0, gone)
    slave.forwarding.send(0.0)
    slave.forwarding.lose(gone)
    slave.forwarding.send(0.0)
    slave.forwarding.link_down(0.0, "other")
    slave.forwarding.send(0.0)
    assert len(slave.sent) == 1 and slave.forwarding._bytes == 0
