"""Bytes from a peer, or from a stranger on the peer port: nothing wrong gets past the border, and
what is small does not wait for what is large."""

import contextlib
import struct
import zlib

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distrodb.errors import PeerError
from distrodb.raft import messages as m
from distrodb.raft.log import MEMBERSHIP
from distrodb.slave.links import framing
from distrodb.slave.links.framing import (
    ANSWERS,
    FORWARDS,
    GOSSIP,
    MESSAGES,
    Incoming,
    Outgoing,
    whole,
)
from tests.unit.plain_values import plain


def trusting() -> Incoming:
    incoming = Incoming()
    incoming.is_trusted = True
    return incoming


def through(outgoing: Outgoing, incoming: Incoming, bytes_max: int = 1 << 20) -> list:
    """All that waits, as it arrives."""
    arrived = []
    while taken := outgoing.take(bytes_max):
        arrived += [content for piece in taken for content in incoming.feed(bytes(piece))]
    assert not outgoing.bytes
    return arrived


def append(group, *sizes, term=1):
    return [group, m.APPEND, term, 1, 1, 1, 1, [[term, b"x" * n] for n in sizes]]


@given(plain, st.integers(1, 30))
def test_frames_survive_any_chunking(content, step):
    incoming = trusting()
    data = whole(content) * 2
    chunks = [data[start : start + step] for start in range(0, len(data), step)]
    assert [frame for chunk in chunks for frame in incoming.feed(chunk)] == [content] * 2


messages = st.lists(
    st.one_of(
        st.builds(lambda g, t: [g, m.VOTE, t], st.integers(0, 3), st.integers(0, 99)),
        st.builds(
            lambda g, t, sizes: append(g, *sizes, term=t),
            st.integers(0, 3),
            st.integers(1, 99),
            st.lists(st.sampled_from([1, 63, 64, 65, 100, 200, 201, 1000]), max_size=4),
        ),
        st.builds(
            lambda g, n, size: [g, m.SNAPSHOT, 1, 1, n, 1, 1, [1, ["a"]], b"s" * size, False],
            st.integers(0, 3),
            st.integers(0, 99),
            st.sampled_from([1, 63, 64, 300]),
        ),
    ),
    max_size=8,
)


@pytest.fixture
def small_sizes():
    """Slices of 100 bytes, so that many are tried."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "SMALL_BYTES_MAX", 64)
        patch.setattr(framing, "SLICE_BYTES", 100)
        patch.setattr(framing, "WHOLE_BYTES", 128)
        yield


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages, messages, st.integers(1, 500), st.integers(1, 500))
def test_all_that_is_put_arrives_whole_and_bulk_in_its_group_s_order(
    small_sizes, first, then, step, bytes_max
):
    outgoing, incoming = Outgoing(), trusting()
    outgoing.put_messages(first)
    stream = b"".join(outgoing.take(bytes_max))
    outgoing.put_messages(then)
    outgoing.put_gossip({"epoch": 1})
    while taken := outgoing.take(bytes_max):
        stream += b"".join(taken)
    chunks = [stream[start : start + step] for start in range(0, len(stream), step)]
    frames = [frame for chunk in chunks for frame in incoming.feed(chunk)]
    arrived = [message for kind, content in frames if kind == MESSAGES for message in content]
    assert sorted(map(repr, arrived)) == sorted(map(repr, [*first, *then]))
    assert [GOSSIP, {"epoch": 1}] in frames
    for group in range(4):
        for kind in (m.APPEND, m.SNAPSHOT):
            # An append without entries may overtake.
            def bulk(of, group=group, kind=kind):
                return [x for x in of if x[0] == group and x[1] == kind and x[7]]

            assert bulk(arrived) == bulk([*first, *then])


def test_what_is_small_overtakes_what_is_large_between_two_slices():
    outgoing, incoming = Outgoing(), trusting()
    outgoing.put_messages([append(1, 16_000_000)])
    begun = outgoing.take(1)
    assert sum(map(len, begun)) < 300_000
    outgoing.put_messages([[2, m.VOTE, 5], append(2, 10), [1, m.ACK, 1, True, 1, 1], append(1)])
    begun += outgoing.take(1)
    arrived = [frame for piece in begun for frame in incoming.feed(bytes(piece))]
    small = [[2, m.VOTE, 5], append(2, 10), [1, m.ACK, 1, True, 1, 1], append(1)]
    assert arrived == [[MESSAGES, small]]
    assert through(outgoing, incoming) == [[MESSAGES, [append(1, 16_000_000)]]]


def test_appends_and_chunks_of_a_group_do_not_overtake_each_other():
    outgoing, incoming = Outgoing(), trusting()
    chunk = [1, m.SNAPSHOT, 1, 1, 1, 1, 1, [1, ["a"]], b"small", False]
    outgoing.put_messages([append(1, 100_000), append(1, 10), chunk])
    assert through(outgoing, incoming, 1) == [
        [MESSAGES, [message]] for message in (append(1, 100_000), append(1, 10), chunk)
    ]
    outgoing.put_messages([append(1, 10), chunk])  # nothing large is before them any more
    assert through(outgoing, incoming, 1) == [[MESSAGES, [append(1, 10), chunk]]]


def test_gossip_does_not_overtake_gossip():
    outgoing, incoming = Outgoing(), trusting()
    old, new = {"epoch": 1, "map": "x" * 100_000}, {"epoch": 2}
    outgoing.put_gossip(old)
    outgoing.put_gossip(new)
    assert through(outgoing, incoming, 1) == [[GOSSIP, old], [GOSSIP, new]]


# Of bytes that a value of a parcel has: small, and large enough to be a part of its own.
_SIZES = st.sampled_from([0, 1, 63, 64, 65, 300])
_parcels = st.lists(st.tuples(st.sampled_from([FORWARDS, ANSWERS]), st.lists(_SIZES)), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_parcels, st.booleans(), st.integers(1, 500), st.sampled_from([1, 2, framing.PARTS_MAX]))
def test_parcels_of_a_kind_stay_in_order_whatever_their_size(
    small_sizes, parcels, is_size_known, bytes_max, parts_max
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "PARTS_MAX", parts_max)
        outgoing, incoming, sent = Outgoing(), trusting(), []
        for number, (kind, sizes) in enumerate(parcels):
            content = [number, [[b"x" * size, None, [size]] for size in sizes]]
            outgoing.put_parcel(kind, content, sum(sizes) if is_size_known else 0)
            sent.append([kind, content])
        arrived = through(outgoing, incoming, bytes_max)
    for kind in (FORWARDS, ANSWERS):
        assert [each for each in arrived if each[0] == kind] == [s for s in sent if s[0] == kind]
    assert len(arrived) == len(sent)


def test_what_is_large_goes_on_though_what_is_small_never_ends():
    outgoing, incoming = Outgoing(), trusting()
    outgoing.put_messages([append(1, 1_000_000)])
    arrived = []
    for turn in range(20):
        outgoing.put_messages([[2, m.VOTE, turn]] * 100)
        arrived += [frame for piece in outgoing.take(10) for frame in incoming.feed(bytes(piece))]
    assert [MESSAGES, [append(1, 1_000_000)]] in arrived


def test_many_small_messages_are_not_one_large_frame():
    outgoing = Outgoing()
    outgoing.put_messages([append(group, 60_000) for group in range(20)])
    assert max(map(len, outgoing.take(1 << 30))) < 300_000


def test_a_value_that_is_large_is_not_copied_to_be_queued():
    outgoing, command = Outgoing(), b"x" * 1_000_000
    outgoing.put_messages([[1, m.APPEND, 1, 1, 1, 1, 1, [[1, command]]]])
    assert any(part is command for part in outgoing._large[0]._parts)


@given(st.binary(min_size=8, max_size=64), st.booleans())
def test_any_bytes_are_a_frame_or_a_peer_error(data, is_trusted):
    incoming = Incoming()
    incoming.is_trusted = is_trusted
    with contextlib.suppress(PeerError):
        list(incoming.feed(data))


@given(st.binary(max_size=40), st.sampled_from([framing.WHOLE, framing.PARTS, framing.SLICE]))
def test_any_content_is_a_value_or_a_peer_error(content, kind):
    incoming = trusting()
    for piece in large()[:2]:
        assert not list(incoming.feed(bytes(piece)))
    checksum = incoming._parts._checksum if kind == framing.SLICE else kind
    data = framing._record(kind, content, zlib.crc32(content, checksum))
    with contextlib.suppress(PeerError):
        list(incoming.feed(data))


def large() -> list[bytes]:
    """The records of a large frame."""
    outgoing = Outgoing()
    outgoing.put_messages([append(1, 300_000, 70_000)])
    data, records = b"".join(outgoing.take(1 << 30)), []
    while data:
        end = 8 + (int.from_bytes(data[:4], "big") & (1 << 28) - 1)
        records.append(data[:end])
        data = data[end:]
    return records


def refused(records: list[bytes], words: str) -> None:
    incoming = trusting()
    with pytest.raises(PeerError, match=words):
        for record in records:
            list(incoming.feed(record))


def test_a_flipped_bit_is_noticed():
    data = bytearray(whole([1, 2, 3]))
    data[-1] ^= 1
    refused([bytes(data)], "checksum")
    for place, record in enumerate(large()):
        damaged = bytearray(record)
        damaged[-1] ^= 1
        refused([*large()[:place], bytes(damaged)], "checksum")


def test_a_slice_that_is_lost_repeated_or_exchanged_is_noticed():
    records = large()
    assert len(records) == 6  # parts, what stands for them, three slices, one slice
    refused([*records[:2], *records[3:]], "checksum")
    refused([*records[:3], *records[2:]], "checksum")
    refused([*records[:2], records[3], records[2]], "checksum")
    refused(records[1:], "a slice of no frame")
    refused([records[0], records[0]], "within another")


def parts(lengths: object) -> bytes:
    data = msgpack.packb(lengths)
    return framing._record(framing.PARTS, data, zlib.crc32(data, framing.PARTS))


@pytest.mark.parametrize("lengths", [[], [0], [-1], [1.5], {}, "x", [True], [1] * 2000, None])
def test_parts_are_lengths(lengths):
    refused([parts(lengths)], "without parts")


def test_nobody_makes_a_reader_hold_more_than_the_limit():
    refused([parts([framing.FRAME_BYTES_MAX, 1])], "a frame of")
    refused([struct.pack(">I", framing.RECORD_BYTES_MAX + 1) + b"1234"], "a frame of")


@pytest.mark.parametrize(
    ("first", "others"),
    [
        (msgpack.ExtType(1, b""), 0),
        (msgpack.ExtType(1, b"x"), 1),
        (msgpack.ExtType(2, b""), 1),
        (None, 1),
    ],
)
def test_each_part_stands_for_one_extension(first, others):
    data = msgpack.packb(first)
    begin = parts([len(data), *[1] * others])
    checksum = zlib.crc32(begin[8:], framing.PARTS)
    records = [begin]
    for content in [data, *[b"p"] * others]:
        checksum = zlib.crc32(content, checksum)
        records.append(framing._record(framing.SLICE, content, checksum))
    refused(records, "no msgpack value")


def test_a_stranger_gets_no_large_frame():
    for data in (whole(b"x" * 5000), parts([10]), framing._record(framing.SLICE, b"x", 0)):
        with pytest.raises(PeerError, match="a frame of|does not speak"):
            list(Incoming().feed(data))


@given(plain)
def test_any_value_is_a_message_or_a_peer_error(value):
    with contextlib.suppress(PeerError):
        m.check(value)


# Of a membership entry, and of a snapshot: the epoch, and who is a member.
NO_CONFIGURATIONS: list[list[object]] = [
    [1, []],
    [1, "abc"],
    [1, ["a/1", "a/1"]],
    [1, ["a/1", 2]],
    [1, ["a/1", [2]]],
    [-1, ["a/1"]],
    [1 << 63, ["a/1"]],
    [True, ["a/1"]],
    [["a/1"]],
]


@pytest.mark.parametrize("configuration", [[0, ["a/1"]], [7, ["b/2", "a/1"]]])
def test_a_configuration_is_taken(configuration):
    entry = MEMBERSHIP + msgpack.packb(configuration)
    m.check([0, m.APPEND, 1, 1, 1, 1, 1, [[1, entry]]])
    m.check([0, m.SNAPSHOT, 1, 1, 1, 1, 1, configuration, b"", True])


@pytest.mark.parametrize(
    "message",
    [
        [0, [], 0],
        [0, True, 1, 1, 1, False],
        [0, m.VOTE, -1],
        [0, m.STALE, 2**64 - 1],
        [0, m.APPEND, 1, 1, 1, 1, 1, [[1, b""]]],
        [0, m.APPEND, 1, 1, 1, 1, 1, [1]],
        *(
            [0, m.APPEND, 1, 1, 1, 1, 1, [[1, MEMBERSHIP + msgpack.packb(configuration)]]]
            for configuration in NO_CONFIGURATIONS
        ),
        *(
            [0, m.SNAPSHOT, 1, 1, 1, 1, 1, configuration, b"", True]
            for configuration in NO_CONFIGURATIONS
        ),
        [0, m.ACK, 1, 1, 1, 1],
    ],
)
def test_messages_of_the_wrong_shape_are_refused(message):
    with pytest.raises(PeerError):
        m.check(message)
