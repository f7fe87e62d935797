"""Bytes from a peer, or from a stranger on the peer port: nothing wrong gets past the border."""

import contextlib
import struct
import zlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.config import Address, NodeAddress
from distrodb.errors import PeerError
from distrodb.raft import messages as m
from distrodb.ring.clustermap import first_map
from distrodb.ring.commands import apply
from distrodb.slave.frames import FRAME_BYTES_MAX, FrameReader, Handshake, Terms, pack, split
from distrodb.slave.peers import Peers, is_in_majority, whom_to_dial

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(plain, st.integers(1, 30))
def test_frames_survive_any_chunking(content, step):
    reader = FrameReader()
    reader.bytes_max = FRAME_BYTES_MAX
    data = pack(content) * 2
    chunks = [data[start : start + step] for start in range(0, len(data), step)]
    assert [frame for chunk in chunks for frame in reader.feed(chunk)] == [content] * 2


@given(st.binary(min_size=8, max_size=64))
def test_any_bytes_are_a_frame_or_a_peer_error(data):
    with contextlib.suppress(PeerError):
        list(FrameReader().feed(data))


@given(st.binary(max_size=40))
def test_any_content_is_a_value_or_a_peer_error(content):
    data = struct.pack(">II", len(content), zlib.crc32(content)) + content
    with contextlib.suppress(PeerError):
        list(FrameReader().feed(data))


def test_a_flipped_bit_is_noticed():
    data = bytearray(pack([1, 2, 3]))
    data[-1] ^= 1
    with pytest.raises(PeerError, match="checksum"):
        list(FrameReader().feed(bytes(data)))


def test_a_stranger_gets_no_large_frame():
    with pytest.raises(PeerError, match="a frame of"):
        list(FrameReader().feed(pack(b"x" * 5000)))


@given(plain)
def test_any_value_is_a_message_or_a_peer_error(value):
    with contextlib.suppress(PeerError):
        m.check(value)


@pytest.mark.parametrize(
    "message",
    [
        [0, [], 0],
        [0, True, 1, 1, 1, False],
        [0, m.VOTE, -1],
        [0, m.STALE, 2**64 - 1],
        [0, m.APPEND, 1, 1, 1, 1, 1, [[1, b""]]],
        [0, m.APPEND, 1, 1, 1, 1, 1, [1]],
        [0, m.ACK, 1, 1, 1, 1],
    ],
)
def test_messages_of_the_wrong_shape_are_refused(message):
    with pytest.raises(PeerError):
        m.check(message)


def test_large_messages_travel_in_frames_of_their_own():
    large = [0, m.APPEND, 1, 1, 1, 1, 1, [[1, b"x" * (3 << 20)]]]
    small = [0, m.VOTE, 1]
    assert list(split([small, large, small, small])) == [[small, large], [small, small]]
    assert list(split([])) == []


def shake(dialler: Handshake, acceptor: Handshake) -> None:
    def travel(content):
        return msgpack.unpackb(msgpack.packb(content))

    answer = acceptor.receive(travel(dialler.opening()))
    proof = dialler.receive(travel(answer))
    assert acceptor.receive(travel(proof)) is None


def side(
    me,
    peer,
    cluster="c",
    replicas=3,
    layout="l",
    secret="s",
    challenge=b"1" * 16,
    objection=lambda *_: None,
):
    terms = Terms(cluster, replicas, layout, secret, me, "host:1", "host:2")
    return Handshake(terms, peer, challenge, objection)


def test_two_slaves_of_one_cluster_shake_hands():
    dialler, acceptor = side("a/1", "b"), side("b/2", None, challenge=b"2" * 16)
    shake(dialler, acceptor)
    assert (
        dialler.is_complete
        and acceptor.is_complete
        and (acceptor.peer, acceptor.incarnation) == ("a", "1")
    )
    assert (dialler.peer, dialler.incarnation) == ("b", "2")


@pytest.mark.parametrize(
    ("dialler", "words"),
    [
        (side("a/1", "b", cluster="other"), "cluster id"),
        (side("a/1", "b", layout="other"), "section"),
        (side("a/1", "b", replicas=5), "replicas"),
        (side("a/1", "b", secret="other"), "secret"),
        (side("a", "b"), "which incarnation"),
        (side("a/1", "x"), "looked for x and found b/2"),
    ],
)
def test_others_are_refused_and_told_why(dialler, words):
    with pytest.raises(PeerError, match=words):
        shake(dialler, side("b/2", None, challenge=b"2" * 16))
    assert not dialler.is_complete


def test_a_layout_is_compared_only_before_a_map_is_known():
    dialler, acceptor = side("a/1", "b", layout=""), side("b/2", None, challenge=b"2" * 16)
    shake(dialler, acceptor)
    assert dialler.is_complete and acceptor.is_complete


def test_a_joiner_takes_whoever_answers():
    dialler, acceptor = side("f/1", "", layout=""), side("b/2", None, challenge=b"2" * 16)
    shake(dialler, acceptor)
    assert (dialler.peer, acceptor.peer) == ("b", "f")


def test_a_slave_at_other_addresses_than_its_id_s_is_told_so():
    seen = []

    def objection(*who):
        seen.append(who)
        return "b is elsewhere"

    with pytest.raises(PeerError, match="elsewhere"):
        shake(side("a/1", "b"), side("b/2", None, challenge=b"2" * 16, objection=objection))
    assert seen == [("a", "host:1", "host:2")]
    with pytest.raises(PeerError, match="it refuses: b is elsewhere"):
        side("a/1", "b").receive(["b is elsewhere"])


def nodes(*ids):
    return [(id_, f"{id_}:1", f"{id_}:2") for id_ in ids]


def test_of_two_slaves_the_one_with_the_later_row_dials():
    born = first_map(nodes("a", "b", "c"), 3, 3, dict.fromkeys("abc", "1"))

    def dialled(id_):
        me = NodeAddress(id_, Address(id_, 1), Address(id_, 2))
        return whom_to_dial(me, born, [])

    assert dialled("a") == {}
    assert dialled("c") == {"a:2": "a", "b:2": "b"}
    assert dialled("removed") == {}


def test_a_joiner_dials_its_seeds_until_the_map_names_it():
    me, seeds = (
        NodeAddress("f", Address("f", 1), Address("f", 2)),
        [Address("b", 2), Address("f", 2)],
    )
    assert whom_to_dial(me, first_map(nodes("f"), 3, 3), seeds) == {"b:2": ""}
    born = first_map(nodes("a", "b"), 3, 3, dict.fromkeys("ab", "1"))
    joined = apply(born, ["add_node", "f", "f:1", "f:2", "1"])
    assert whom_to_dial(me, joined, seeds) == {"a:2": "a", "b:2": "b"}


def test_a_lonely_slave_dials_all_that_it_knows():
    me = NodeAddress("a", Address("a", 1), Address("a", 2))
    born = first_map(nodes("a", "b"), 3, 3, dict.fromkeys("ab", "1"))
    assert whom_to_dial(me, born, [], is_lonely=True) == {"b:2": "b"}
    elsewhere = first_map(nodes("b", "c"), 3, 3, dict.fromkeys("bc", "1"))
    assert whom_to_dial(me, elsewhere, [], is_lonely=True) == {"b:2": "b", "c:2": "c"}


@pytest.mark.parametrize(
    ("linked", "known", "expected"),
    [
        ("", "a", True),
        ("", "ab", False),
        ("b", "ab", True),
        ("b", "abc", True),
        ("b", "abcd", False),
        ("bxy", "abcd", False),  # whoever is not in the map does not count
        ("", "bc", False),  # we were removed
        ("b", "bc", True),
    ],
)
def test_who_is_in_a_majority(linked, known, expected):
    assert is_in_majority("a", linked, known) is expected


def peers_of_b() -> Peers:
    me = NodeAddress("b", Address("b", 1), Address("b", 2))
    terms = Terms("c", 3, "", "s", "b/1", "b:1", "b:2")
    nothing = lambda *_: None  # noqa: E731
    return Peers(
        lambda: terms, me, (), silent_after_s=1, on_up=nothing, on_down=nothing, on_frame=nothing
    )


def test_a_complaint_is_not_repeated_until_it_is_another_one(caplog):
    peers = peers_of_b()
    for problem in ("x", "x", "y\nforged", "x", "y\nforged"):
        peers.complain("a", PeerError(problem))
    assert [record.getMessage() for record in caplog.records] == [
        "link with a closed: x",
        "link with a closed: y?forged",
    ]


def test_two_slaves_with_one_id_are_told_apart_by_the_map():
    peers = peers_of_b()
    peers._map = first_map(nodes("a", "b"), 3, 3, dict.fromkeys("ab", "1"))
    assert peers._objection("a", "a:1", "a:2") is None
    assert peers._objection("new", "x:1", "x:2") is None
    assert "a is at a:1 and a:2 in the cluster map, not at x:1" in peers._objection("a", "x:1", "x")
    assert "our own id" in peers._objection("b", "b:1", "b:2")


@given(plain)
def test_any_opening_is_refused(content):
    with pytest.raises(PeerError):
        side("b/2", None).receive(content)
